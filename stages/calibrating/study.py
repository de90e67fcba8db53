"""One float32 tflite model, calibrated with more and more samples and scored each time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.records import Figure
from stages.calibrating.record import CalibrationPoint
from stages.context import Progress
from stages.converting.quantizing import PostTraining, Ranges
from stages.datasets.prepared import Samples
from stages.engines.pool import Job
from stages.outputs import engine_outputs
from stages.records import Normalization
from stages.tasks import Task, Truth
from stages.tasks.matching import Shape

Array = NDArray[Any]


@dataclass(frozen=True)
class Bench:
    """What every trial of a study shares.

    Attributes:
        engine: that runs the models.
        samples: an `.npy` file of stored samples.
        normalization: by input name.
        truth: of the same samples.
        task: that scores.
        shapes: of the outputs; see `stages.tasks.matching.arrange`.
        workers, timeout_s, log: of the engine.
        seed, resamples: of the bootstrap.
    """

    engine: str
    samples: Path
    normalization: dict[str, Normalization]
    truth: Truth
    task: Task
    shapes: Mapping[str, Shape | None]
    workers: int
    timeout_s: float
    log: Path
    seed: int
    resamples: int

    def outputs(self, content: bytes, name: str) -> Array:
        """Outputs of a tflite model on all samples.

        Raises:
            EngineError: the engine cannot run it.
        """
        job = Job(engine=self.engine, tflite=content, model=name, samples=self.samples, batch=0, workers=self.workers,
                  timeout_s=self.timeout_s, log=self.log, normalization=self.normalization)
        found = engine_outputs(job, self.shapes, lambda _done, _total: None)
        self.task.check_outputs(found, self.truth, name)
        return found

    def score(self, outputs: Array) -> float:
        """The task's score."""
        return self.task.validate(outputs, self.truth)[1]

    def drop(self, reference: Array, outputs: Array) -> Figure:
        """Score of one less that of the other, in points, with a paired interval."""
        return self.task.drop(reference, outputs, self.truth, seed=self.seed, resamples=self.resamples)


@dataclass(frozen=True)
class Trial:
    """One size in one draw: the model's outputs, and the ranges that it was quantized with."""

    outputs: Array
    ranges: Ranges


def run_draw(work: PostTraining, x: Samples, order: NDArray[np.int64], sizes: Sequence[int], bench: Bench,
             progress: Progress) -> list[Trial]:
    """Every size of one draw; the first n rows of `order` are the set of n."""
    trials = []
    samples = x[order[:sizes[-1]]]  # as drawn, so that a larger set begins with the smaller one
    for position, (size, ranges) in enumerate(zip(sizes, work.calibrations(samples, list(sizes)), strict=True)):
        outputs = bench.outputs(work.quantize(dict(ranges)), f"{size} calibration samples")
        trials.append(Trial(outputs, ranges))
        progress(position + 1, len(sizes), f"{size} calibration samples")
    return trials


def compare(draws: Sequence[Sequence[Trial]], sizes: Sequence[int], reference: Array, bench: Bench) -> tuple[
        CalibrationPoint, ...]:
    """A point for each size, each draw held against its own largest size and against the float model.

    Args:
        draws: (draws, sizes) trials.
        sizes: ascending.
        reference: outputs of the float model.
        bench: what they were run with.
    """
    comparisons = len(draws) * (len(sizes) - 1)
    points = []
    for position, size in enumerate(sizes):
        trials, largest = [draw[position] for draw in draws], [draw[-1] for draw in draws]
        differences = () if size == sizes[-1] else tuple(
            bench.drop(full.outputs, trial.outputs) for trial, full in zip(trials, largest, strict=True))
        points.append(CalibrationPoint(
            samples=size, scores=tuple(bench.score(trial.outputs) for trial in trials),
            drops=tuple(bench.drop(reference, trial.outputs) for trial in trials), differences=differences,
            range_shares=tuple(range_share(trial.ranges, full.ranges) for trial, full in zip(
                trials, largest, strict=True)),
            differs=any(excludes_zero(each, comparisons) for each in differences)))
    return tuple(points)


def excludes_zero(difference: Figure, comparisons: int) -> bool:
    """Whether a difference is proven, with the interval widened for as many comparisons as the study makes.

    Bonferroni: each at the level `1 - (1 - level) / comparisons`; the interval's halves are stretched by the ratio of
    the normal distribution's quantiles, since the bootstrap has too few resamples for so far a tail.
    """
    low, high = difference.interval or (difference.value, difference.value)
    share = (1 - difference.level) / 2
    stretch = NormalDist().inv_cdf(1 - share / max(1, comparisons)) / NormalDist().inv_cdf(1 - share)
    value = difference.value
    return value - stretch * (value - low) > 0 or value + stretch * (high - value) < 0


def enough(points: Sequence[CalibrationPoint]) -> int | None:
    """The smallest size from which on nothing differs; None where the last size below the largest one does."""
    found = None
    for point in reversed(points[:-1]):
        if point.differs:
            return found
        found = point.samples
    return found


def resolution(points: Sequence[CalibrationPoint]) -> float:
    """Half the widest interval of all differences: smaller ones could not have been seen."""
    intervals = [each.interval for point in points for each in point.differences if each.interval]
    return max(((high - low) / 2 for low, high in intervals), default=0.0)


def range_share(ranges: Ranges, full: Ranges) -> float:
    """Mean over tensors of the range's width as a share of that in `full`.

    Only tensors whose range differs between the two enter, so that constants do not hide a change; 1.0 where none does.
    """
    shares = []
    for name, wide in full.items():
        if "max" not in wide or name not in ranges:
            continue
        whole, part = (float(np.max(each["max"]) - np.min(each["min"])) for each in (wide, ranges[name]))
        if math.isfinite(whole) and whole > 0 and part != whole:
            shares.append(part / whole)
    return float(np.mean(shares)) if shares else 1.0
