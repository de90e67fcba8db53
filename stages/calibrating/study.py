"""One float32 tflite model, calibrated with more and more samples and scored each time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from device_profiles.records import Figure
from stages.bench import Array, Bench
from stages.calibrating.record import CalibrationPoint
from stages.context import Progress
from stages.converting.quantizing import PostTraining
from stages.converting.ranges import Ranges
from stages.datasets.prepared import Samples
from stages.datasets.rows import slices
from stages.engines.pool import Job
from stages.outputs import engine_outputs

Drop = Callable[[Array, Array], Figure]
"""Score of one model's outputs less that of another's, in points, with a paired interval."""


def outputs_of(bench: Bench, content: bytes, name: str) -> Array:
    """Outputs of a tflite model on all samples, which its workers share.

    Raises:
        EngineError: the engine cannot run it.
    """
    job = Job(engine=bench.engine, tflite=content, model=name, samples=bench.samples, batch=0, workers=bench.workers,
              timeout_s=bench.timeout_s, log=bench.log, normalization=dict(bench.normalization))
    found = engine_outputs(job, bench.shapes, lambda _done, _total: None)
    bench.task.check_outputs(found, bench.truth, name)
    return found


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
        outputs = outputs_of(bench, work.quantize(dict(ranges)), f"{size} calibration samples")
        trials.append(Trial(outputs, ranges))
        progress(position + 1, len(sizes), f"{size} calibration samples")
    return trials


def compare(draws: Sequence[Sequence[Trial]], sizes: Sequence[int], reference: Array, bench: Bench,
            drop: Drop) -> tuple[CalibrationPoint, ...]:
    """A point for each size, each draw held against its own largest size and against the float model.

    Args:
        draws: (draws, sizes) trials.
        sizes: ascending.
        reference: outputs of the float model.
        bench: what they were run with.
        drop: of two models' outputs.
    """
    comparisons, largest = len(draws) * (len(sizes) - 1), [draw[-1] for draw in draws]
    return tuple(_point(size, [draw[position] for draw in draws], largest, reference, bench, drop, comparisons)
                 for position, size in enumerate(sizes))


def _point(size: int, trials: Sequence[Trial], largest: Sequence[Trial], reference: Array, bench: Bench,
           drop: Drop, comparisons: int) -> CalibrationPoint:
    """One size: its trials, those of the largest size in the same draws, and outputs of the float model."""
    pairs = [(trial, full) for trial, full in zip(trials, largest, strict=True) if trial is not full]
    differences = tuple(drop(full.outputs, trial.outputs) for trial, full in pairs)
    changed = [bench.task.changed(reference, trial.outputs, bench.truth) for trial in trials]
    return CalibrationPoint(
        samples=size, scores=tuple(bench.score(trial.outputs) for trial in trials),
        drops=tuple(drop(reference, trial.outputs) for trial in trials), differences=differences,
        changed=tuple(each for each in changed if each is not None),
        distances=tuple(mean_distance(reference, trial.outputs) for trial in trials),
        range_shares=tuple(range_share(trial.ranges, full.ranges)
                           for trial, full in zip(trials, largest, strict=True)),
        differs=any(excludes_zero(each, comparisons) for each in differences))


def excludes_zero(difference: Figure, comparisons: int) -> bool:
    """Whether a difference is proven, with the interval widened for as many comparisons as the study makes."""
    low, high = difference.interval or (difference.value, difference.value)
    value, factor = difference.value, stretch(difference.level, comparisons)
    return value - factor * (value - low) > 0 or value + factor * (high - value) < 0


def stretch(level: float, comparisons: int) -> float:
    """By how much an interval's halves grow for one of several comparisons.

    Bonferroni: each is made at the level `1 - (1 - level) / comparisons`; the factor is the ratio of the normal
    distribution's quantiles, since a bootstrap has too few resamples for so far a tail.
    """
    share = (1 - level) / 2
    return NormalDist().inv_cdf(1 - share / max(1, comparisons)) / NormalDist().inv_cdf(1 - share)


def enough(points: Sequence[CalibrationPoint]) -> int | None:
    """The smallest size from which on nothing differs; None where the last size below the largest one does."""
    found = None
    for point in reversed(points[:-1]):
        if point.differs:
            return found
        found = point.samples
    return found


def resolution(points: Sequence[CalibrationPoint], first: int | None) -> float:
    """The smallest difference in points that could have been proven at every size from `first` on; None: at any size.

    Half the widest interval, stretched as for `excludes_zero`.
    """
    compared = [each for point in points for each in point.differences]
    kept = [each for point in points if first is None or point.samples >= first for each in point.differences]
    return max(((each.interval[1] - each.interval[0]) / 2 * stretch(each.level, len(compared))
                for each in kept if each.interval), default=0.0)


def mean_distance(one: Array, other: Array) -> float:
    """Mean absolute difference over all outputs and samples, some megabytes at a time."""
    total, count = 0.0, 0
    for name in one.dtype.names or ("",):
        left, right = (each[name] if name else each for each in (one, other))
        for part in slices(len(left), left[:1].nbytes):
            difference = np.abs(left[part] - right[part])
            total, count = total + float(difference.sum(dtype=np.float64)), count + difference.size
    return total / max(1, count)


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
