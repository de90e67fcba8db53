"""Figures from latency samples that came in rounds.

Samples of one round follow each other within milliseconds and share the machine's mood: its clock, its caches, its
other load. They are not independent, and an interval that takes them so is too narrow. So the bootstrap draws whole
rounds with replacement (block bootstrap; Künsch 1989, Annals of Statistics 17:1217-1241) and keeps each round's samples
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.records import Figure

Array = npt.NDArray[Any]

LEVEL = 0.95
BEYOND = 10
"""A percentile is printed only where at least this many samples lie beyond it: p90 from 100 samples, p99 from 1,000."""
FEWEST_ROUNDS = 5
"""With fewer rounds there is too little to resample, and no interval."""
_NAMES = {0.5: "median", 0.9: "90th percentile", 0.99: "99th percentile"}
_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class LatencyFigures:
    """What the samples of one model in one engine support; names as in `EngineBenchmark`."""

    median: Figure
    p90: Figure | None
    p99: Figure | None
    minimum: Figure
    throughput: Figure
    deciles_ms: tuple[float, ...]


def latency_figures(rounds: Sequence[Array], *, seed: int = 0, resamples: int = 1000) -> LatencyFigures:
    """Median, percentiles, minimum and throughput with block-bootstrap intervals.

    Args:
        rounds: per round its samples in nanoseconds, in order; none empty.
        seed: of the bootstrap.
        resamples: how many.
    """
    samples = np.concatenate(rounds) / 1e6  # (samples,) ms
    count, shares = len(samples), _supported(len(samples))
    spread = _spreads(rounds, shares, seed, resamples) if len(rounds) >= FEWEST_ROUNDS else None
    how = f"{len(rounds)} rounds; block bootstrap of {resamples:,} resamples over rounds" if spread is not None else (
        f"{len(rounds)} rounds; too few for an interval")

    def figure(name: str, value: float, position: int, unit: str = "ms") -> Figure:
        """The figure whose bootstrapped values stand in the column `position`."""
        interval = None
        if spread is not None:
            low, high = np.quantile(spread[:, position], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            interval = (min(float(low), value), max(float(high), value))
        return Figure(value=value, unit=unit, provenance="measured", samples=count, interval=interval, level=LEVEL,
                      method=f"{name} of {how}")

    values = np.quantile(samples, shares)
    found = {share: figure(_NAMES[share], float(values[position]), position) for position, share in enumerate(shares)}
    return LatencyFigures(
        median=found[0.5], p90=found.get(0.9), p99=found.get(0.99),
        minimum=Figure(value=float(samples.min()), unit="ms", provenance="measured", samples=count, method="minimum"),
        throughput=figure("1 / mean", 1e3 / float(samples.mean()), len(shares), "1/s"),
        deciles_ms=tuple(float(value) for value in np.quantile(samples, np.linspace(0, 1, 11))))


def _supported(count: int) -> list[float]:
    """The shares whose percentile the samples support; the median always."""
    return [share for share in _NAMES if share == 0.5 or count * (1 - share) >= BEYOND - 1e-9]


def _spreads(rounds: Sequence[Array], shares: Sequence[float], seed: int, resamples: int) -> Array:
    """(resamples, shares + 1) bootstrapped percentiles in ms, and the throughput in 1/s.

    A resample is how often each round was drawn. The samples are sorted once; a percentile is then the first sample at
    which the running sum of its round's draws reaches the share of all.
    """
    samples = np.concatenate(rounds) / 1e6
    owner = np.repeat(np.arange(len(rounds)), [len(each) for each in rounds])  # (samples,)
    order = np.argsort(samples, kind="stable")
    ranked, owner = samples[order], owner[order]
    sizes = np.array([len(each) for each in rounds])
    totals = np.array([each.sum() / 1e6 for each in rounds])  # ms
    draws = np.random.default_rng(seed).multinomial(len(rounds), np.full(len(rounds), 1 / len(rounds)), size=resamples)
    found = np.empty((resamples, len(shares) + 1))
    step = max(1, _AT_ONCE // len(samples))
    for start in range(0, resamples, step):
        part = draws[start:start + step].astype(np.int32)  # (step, rounds)
        running = np.cumsum(part[:, owner], axis=1, dtype=np.int32)  # (step, samples)
        for position, share in enumerate(shares):
            reached = running >= np.ceil(share * running[:, -1:])
            found[start:start + step, position] = ranked[reached.argmax(axis=1)]
        found[start:start + step, -1] = 1e3 * (part @ sizes) / (part @ totals)
    return found
