"""Figures from latency samples that came in rounds.

Samples of one round follow each other within milliseconds and share the machine's mood: its clock, its caches, its
other load. They are not independent, and an interval that takes them so is too narrow. So the bootstrap draws whole
rounds with replacement (block bootstrap; Künsch 1989, Annals of Statistics 17:1217-1241) and keeps each round's samples
together. Where rounds follow their neighbours, because the machine's mood outlasts a round, it draws blocks of several.
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
_RESAMPLES = 1000
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


def latency_figures(rounds: Sequence[Array], *, seed: int = 0, resamples: int = _RESAMPLES,
                    of: str = "rounds") -> LatencyFigures:
    """Median, percentiles, minimum and throughput with block-bootstrap intervals.

    Args:
        rounds: per round its samples in nanoseconds, in order; none empty.
        seed: of the bootstrap.
        resamples: how many.
        of: what the rounds are, for the figures' method; "launches" are whole blocks already and are drawn singly.
    """
    samples = np.concatenate(rounds) / 1e6  # (samples,) ms
    count, shares = len(samples), _supported(len(samples))
    length = block_length([float(np.median(each)) for each in rounds]) if of == "rounds" else 1
    enough = len(rounds) >= FEWEST_ROUNDS
    spread = _spreads(_blocks(rounds, length), shares, seed, resamples) if enough else None
    how = f"{len(rounds)} {of}; {_drawing(of, length, resamples)}" if enough else (
        f"{len(rounds)} {of}; too few for an interval")

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


def ratio_figure(launches: Sequence[Array], *, seed: int = 0, resamples: int = _RESAMPLES) -> Figure:
    """Ratio of the medians of two models that were measured in turns: its median over all rounds.

    Both medians of a ratio are of the same round, so that what the round shared (the clock, the load) is not in it. A
    launch's rounds are drawn as a whole: they are of the same two processes.

    Args:
        launches: per launch (rounds,) the candidate's median by the reference's.
        seed: of the bootstrap.
        resamples: how many.

    Returns:
        With a 95 % percentile interval; without one for fewer than `FEWEST_ROUNDS` launches.
    """
    ratios, count = np.concatenate(launches), len(launches)
    value, interval = float(np.median(ratios)), None
    if count >= FEWEST_ROUNDS:
        drawn = _drawn_percentiles(launches, [0.5], _draws(count, seed, resamples))[:, 0]
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        interval = (min(float(low), value), max(float(high), value))
    how = _drawing("launches", 1, resamples) if interval else f"{count} launches are too few for an interval"
    return Figure(value=value, unit="ratio", provenance="measured", samples=len(ratios), interval=interval, level=LEVEL,
                  method=f"ratio of medians, median of {len(ratios):,} rounds; {how}")


def block_length(levels: Sequence[float]) -> int:
    """How many neighbouring rounds are drawn together.

    With the correlation r of neighbours, blocks of n^(1/3) (2 r / (1 - r^2))^(2/3) rounds have the least mean squared
    error for a first-order autoregression (Carlstein 1986, Annals of Statistics 14:1171-1179). Correlations that chance
    explains (below 1.96 / sqrt(n)) count as none, and at least `FEWEST_ROUNDS` blocks are left.

    Args:
        levels: one number a round, in order.
    """
    count, logs = len(levels), np.log(np.maximum(np.asarray(levels, np.float64), 1.0))
    centred = logs - logs.mean()
    total = float((centred**2).sum())
    if count < 2 * FEWEST_ROUNDS or total == 0:
        return 1
    r = min(float((centred[1:] * centred[:-1]).sum()) / total, 0.95)
    if r < 1.96 / count**0.5:
        return 1
    wanted = count ** (1 / 3) * (2 * r / (1 - r * r)) ** (2 / 3)
    return int(np.clip(round(wanted), 1, count // FEWEST_ROUNDS))


def _drawing(of: str, length: int, resamples: int) -> str:
    """How the interval came about, in words."""
    drawn = f"blocks of {length} {of}" if length > 1 else of
    return f"block bootstrap of {resamples:,} resamples over {drawn}"


def _blocks(rounds: Sequence[Array], length: int) -> Sequence[Array]:
    """Neighbouring rounds in one array each; the last block may be shorter."""
    if length == 1:
        return rounds
    return [np.concatenate(rounds[start:start + length]) for start in range(0, len(rounds), length)]


def _supported(count: int) -> list[float]:
    """The shares whose percentile the samples support; the median always."""
    return [share for share in _NAMES if share == 0.5 or count * (1 - share) >= BEYOND - 1e-9]


def _spreads(blocks: Sequence[Array], shares: Sequence[float], seed: int, resamples: int) -> Array:
    """(resamples, shares + 1) bootstrapped percentiles in ms, and the throughput in 1/s."""
    draws = _draws(len(blocks), seed, resamples)
    sizes = np.array([len(each) for each in blocks])
    totals = np.array([each.sum() / 1e6 for each in blocks])  # ms
    throughput = 1e3 * (draws @ sizes) / (draws @ totals)
    return np.column_stack([_drawn_percentiles(blocks, shares, draws) / 1e6, throughput])


def _draws(blocks: int, seed: int, resamples: int) -> Array:
    """(resamples, blocks) how often each block is drawn."""
    return np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)


def _drawn_percentiles(blocks: Sequence[Array], shares: Sequence[float], draws: Array) -> Array:
    """(resamples, shares) percentiles, in the samples' unit.

    The samples are sorted once; a percentile is then the first sample at which the running sum of its block's draws
    reaches the share of all.
    """
    samples = np.concatenate(blocks)
    owner = np.repeat(np.arange(len(blocks)), [len(each) for each in blocks])  # (samples,)
    order = np.argsort(samples, kind="stable")
    ranked, owner = samples[order], owner[order]
    found = np.empty((len(draws), len(shares)))
    step = max(1, _AT_ONCE // len(samples))
    for start in range(0, len(draws), step):
        part = draws[start:start + step].astype(np.int32)  # (step, blocks)
        running = np.cumsum(part[:, owner], axis=1, dtype=np.int32)  # (step, samples)
        for position, share in enumerate(shares):
            reached = running >= np.ceil(share * running[:, -1:])
            found[start:start + step, position] = ranked[reached.argmax(axis=1)]
    return found
