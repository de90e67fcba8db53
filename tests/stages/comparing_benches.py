"""Benches for tests: launches out of a random generator or a recording, at once and without an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from stages.comparing.launching import Launch
from stages.comparing.records import OutputDifference, Predictions
from stages.comparing.trial import Against

ROUNDS, INFERENCES = 4, 9


def launch_of(log_ratio: float, level_ms: float = 1.0, **more: object) -> Launch:
    """A launch with that logarithm of the ratio, to the nanosecond, and a reference at that level."""
    first = np.full(INFERENCES, 1e6 * level_ms)
    second = first * np.exp(log_ratio)
    return Launch(turns=((first,) * ROUNDS, (second,) * ROUNDS), **{"steady": True, **more})  # type: ignore[arg-type]


@dataclass
class Simulated:
    """A bench whose launches take `seconds` of its own clock.

    Attributes:
        noise: the logarithm of a launch's ratio where both are alike.
        effect: logarithm of the true ratio of the candidate.
    """

    noise: Callable[[], float]
    effect: float = 0.0
    seconds: float = 1.0
    time_s: float = 0.0
    asked: list[str] = field(default_factory=list)

    def __call__(self, against: Against) -> Launch:
        self.time_s += self.seconds
        self.asked.append(against)
        return launch_of(self.noise() + (self.effect if against == "candidate" else 0.0))

    def now(self) -> float:
        """The clock."""
        return self.time_s


def normal(seed: int, deviation: float) -> Callable[[], float]:
    """Seeded normal noise."""
    generator = np.random.default_rng(seed)
    return lambda: float(deviation * generator.standard_normal())


def resampled(seed: int, recorded: list[float], block: int = 3) -> Callable[[], float]:
    """Noise out of a recording: blocks of neighbouring launches, each with a sign of its own.

    Which of two equal processes comes first is a coin's throw, so a block with all its signs turned is as likely.
    """
    generator, left = np.random.default_rng(seed), []

    def draw() -> float:
        if not left:
            start = generator.integers(0, len(recorded))
            sign = generator.choice([-1.0, 1.0])
            left.extend(sign * recorded[(start + step) % len(recorded)] for step in range(block))
        return left.pop()

    return draw


def without_engines(monkeypatch: pytest.MonkeyPatch, launch: Callable[..., Launch]) -> None:
    """Comparisons that start no process: launches are handed in, outputs are equal, every arena has 1,000 bytes."""
    output = OutputDifference(name="output", largest=0.0, mean=0.0, range=1.0, decisions_changed=None)

    def with_samples(pair: Any, place: Any) -> Any:
        return pair

    monkeypatch.setattr("stages.comparing.pairing.launch", launch)
    monkeypatch.setattr("stages.comparing.pairing.with_samples", with_samples)
    monkeypatch.setattr("pipeline.latency.with_samples", with_samples)
    monkeypatch.setattr("stages.comparing.pairing.predictions",
                        lambda pair, place, inputs: Predictions(samples=64, inputs=inputs, outputs=(output,)))
    monkeypatch.setattr("stages.comparing.differences.arena_bytes", lambda content, log: 1000)
