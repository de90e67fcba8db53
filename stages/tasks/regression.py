"""One or more values a sample. Score: R2, the share of the variance that is explained, mean over the values.

    R2 = 1 - sum (y - f)² / sum (y - mean y)²

Models are trained on targets in model units; every figure is in the user's: `y_user = y_model · scale + offset`. R2 is
the same in both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from device_profiles.errors import DataError
from device_profiles.records import Figure, Provenance
from stages.datasets.prepared import Preprocessing
from stages.paired import POINTS
from stages.records import Metrics
from stages.statistics import LEVEL, Interval, mean_figure, percentiles, resampled_sums
from stages.tasks import losses
from stages.tasks.base import ONLY_OUTPUT, Array, Task, Truth
from stages.tasks.matching import Shape
from stages.tasks.settings import SCORE_NAMES

UNIT = "target"
"""Unit of an error: that of the targets, which only the user knows."""


class Regression(Task):
    """See the module."""

    kind = "regression"
    score = "r2"
    score_name = SCORE_NAMES["regression"]
    label_kind = "values"
    output = "linear"

    def encode(self, y: Array, class_names: tuple[str, ...]) -> Array:  # noqa: ARG002 (values have no classes)
        """Values as float32, in the user's units.  # (samples, values)."""
        if y.dtype.kind not in "iufb" or y.ndim not in (1, 2):
            raise DataError(f"the targets have the shape {y.shape} and the type {y.dtype}",
                            "numbers, one or several for each sample", "set task.kind, or correct the targets")
        values = y.reshape(len(y), -1).astype(np.float32)
        wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(wrong):
            raise DataError(f"the target of sample {wrong[0]} is NaN or infinite; {len(wrong)} of {len(y)} are",
                            "finite numbers", "leave these samples out")
        return values

    def check_split(self, name: str, y: Array) -> None:
        """As `Task.check_split`; and no target may be constant, in the test split at least."""
        super().check_split(name, y)
        constant = np.flatnonzero(np.ptp(y, axis=0) == 0)
        if len(constant) and name == "test":
            which = f"value {constant[0]} of the targets" if y.shape[1] > 1 else "the target"
            raise DataError(f"{which} is {y[0, constant[0]]:g} in all {len(y)} samples of the {name} split: it has no "
                            "variance to explain", "targets that differ", "give more samples, or drop this value")

    def output_shape(self, preprocessing: Preprocessing, name: str = ONLY_OUTPUT) -> Shape | None:
        """One unit per value."""
        targets = preprocessing.targets
        found = targets.get(name) or (next(iter(targets.values())) if len(targets) == 1 else None)
        return found.shape if found else None

    def wants(self, preprocessing: Preprocessing) -> str:
        """How many values there are."""
        return f"the data has targets of shape {self.output_shape(preprocessing)}"

    def tensor_loss(self, x: Any, y: Any, outputs: Any, logits: bool) -> Any:  # noqa: ARG002
        """Distance in model units."""
        return losses.distance_tensors(self.settings.loss_name, y, outputs)

    def scored_shape(self, outputs: Array, truth: Truth) -> Shape | None:  # noqa: ARG002
        """A value for each target."""
        return tuple(truth.y.shape[1:])

    def validate(self, outputs: Array, truth: Truth) -> tuple[float, float]:
        """(mean loss in model units, R2); R2 is NaN for a constant target."""
        found = losses.distances(self.settings.loss_name, truth.y, outputs)
        with np.errstate(invalid="ignore", divide="ignore"):
            score = _r2(_columns(*in_user_units(outputs, truth)).sum(axis=0)[None], len(truth.y)).mean()
        return float(found.mean()), float(score) if np.isfinite(score) else float("nan")

    def figures(self, outputs: Array, truth: Truth, *, seed: int, resamples: int, provenance: Provenance) -> Metrics:
        """R2, root mean squared, mean absolute, median and largest error, and bias; then R2 and error of each value."""
        target, given = in_user_units(outputs, truth)
        values = target.shape[1]
        found = _figures(target, given, seed=seed, resamples=resamples, provenance=provenance)
        for place in range(values if values > 1 else 0):
            alone = _figures(target[:, [place]], given[:, [place]], seed=seed, resamples=resamples,
                             provenance=provenance)
            found |= {f"{name}_{place}": alone[name] for name in ("r2", "rmse", "mae")}
        return Metrics(task=self.kind, samples=len(target), score=self.score, figures=found)

    def for_users(self, outputs: Array, truth: Truth) -> tuple[Array, Array]:
        """Both in the user's units."""
        return in_user_units(outputs, truth)

    def drop(self, reference: Array, outputs: Array, truth: Truth, *, seed: int = 0, resamples: int = 2000,
             provenance: Provenance = "measured", level: float = LEVEL) -> Figure:
        """Points of R2: 1 point is 1 % of the targets' variance. Both are scored on the same resamples."""
        samples = len(truth.y)
        both = [_columns(*in_user_units(each, truth)) for each in (reference, outputs)]
        before, after = (_r2(each.sum(axis=0)[None], samples).mean() for each in both)
        interval, how = None, ""
        if resamples:
            how = f"; paired bootstrap of {resamples:,} resamples"
            one, other = (_resampled_r2(each, samples, resamples, seed).mean(axis=1) for each in both)
            interval = percentiles(POINTS * (one - other), level)
        return Figure(value=POINTS * float(before - after), unit="points", provenance=provenance, samples=samples,
                      level=level, interval=interval, method=f"difference{how}")


def in_user_units(outputs: Array, truth: Truth) -> tuple[Array, Array]:
    """(targets, outputs) as the user counts them.  # each (samples, values) float64."""
    y, given = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (truth.y, outputs))
    if truth.target is None:
        return y, given
    normalization = truth.target.normalization
    scale, offset = np.array(normalization.scale), np.array(normalization.offset)
    return y * scale + offset, given * scale + offset


def _figures(target: Array, given: Array, *, seed: int, resamples: int, provenance: Provenance) -> dict[str, Figure]:
    """The figures of (samples, values) targets; means over the values where there are several."""
    samples, errors = len(target), given - target
    columns = _columns(target, given)
    mean = "mean over the values" if target.shape[1] > 1 else ""
    sums = resampled_sums(columns, resamples, seed) if resamples else None

    def figure(value: float, unit: str, text: str, spread: Interval | None, how: str = "") -> Figure:
        """One figure; `how` the interval was had is said where there is one."""
        said = "; ".join(part for part in (text, mean, how if spread else "") if part)
        return Figure(value=float(value), unit=unit, provenance=provenance, samples=samples, level=LEVEL,
                      interval=spread, method=said)

    drawn = f"bootstrap of {resamples:,} resamples, percentiles"
    middle = None if mean else median_interval(abs(errors)[:, 0])
    scores = None if sums is None else percentiles(_r2(sums, samples).mean(axis=1))
    roots = None if sums is None else percentiles(np.sqrt(sums[:, :target.shape[1]] / samples).mean(axis=1))
    return {
        "r2": figure(_r2(columns.sum(axis=0)[None], samples).mean(), "fraction", "share of the variance explained",
                     scores, drawn),
        "rmse": figure(np.sqrt((errors**2).mean(axis=0)).mean(), UNIT, "root mean squared error", roots, drawn),
        "mae": mean_figure(abs(errors).mean(axis=1), UNIT, provenance, "mean absolute error", least=0),
        "median_error": figure(np.median(abs(errors), axis=0).mean(), UNIT, "median absolute error", middle,
                               "order statistics"),
        "bias": mean_figure(errors.mean(axis=1), UNIT, provenance, "mean of output less target"),
        "max_error": Figure(value=float(abs(errors).max()), unit=UNIT, provenance=provenance, samples=samples,
                            method="largest absolute error"),
    }


def median_interval(values: Array) -> Interval | None:
    """Interval of a median between two order statistics, whatever the distribution.

    The number of values below the median is binomial(n, 1/2). The ends are the k-th value from either end, k being
    that distribution's 2.5 % quantile. None for fewer than 6 values: not even the outermost cover so much.
    """
    from scipy.stats import binom

    below = int(binom.ppf((1 - LEVEL) / 2, len(values), 0.5)) - 1
    if below < 0:
        return None
    ordered = np.sort(values)
    return float(ordered[below]), float(ordered[-1 - below])


def _columns(target: Array, given: Array) -> Array:
    """Squared errors, and the targets and their squares about the mean.  # (samples, 3 * values)."""
    about = target - target.mean(axis=0)
    return np.concatenate([(given - target) ** 2, about, about**2], axis=1)


def _r2(sums: Array, samples: int) -> Array:
    """R2 of each value from (resamples, 3 * values) sums over `samples` rows; NaN for a constant target."""
    errors, about, squares = np.split(sums, 3, axis=1)
    spread = squares - about**2 / samples
    return np.asarray(1 - errors / np.where(spread > 0, spread, np.nan))


def _resampled_r2(columns: Array, samples: int, resamples: int, seed: int) -> Array:
    """(resamples, values)."""
    return _r2(resampled_sums(columns, resamples, seed), samples)
