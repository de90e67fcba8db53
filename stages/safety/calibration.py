"""Expected calibration error: how far confidence and share of right answers lie apart.

Decisions are put into up to `BINS` bins of equal mass by their confidence; equal confidences stay together, so that a
quantized model has fewer bins. With g the mean of right (1 or 0) less confidence in a bin, and w the bin's share,

    ECE = sum over bins of w |g|

(Naeini, Cooper and Hauskrecht 2015, AAAI; bins of equal mass: Nixon et al. 2019, CVPR workshops). This value has a
bias: noise makes |g| positive for a perfectly calibrated model too. A bin's g is normal around the true one d with a
standard deviation s, and |d| <= E |g| <= |d| + s sqrt(2 / pi), so that the bias lies between 0 and

    B = sqrt(2 / pi) * sum of w s

A bootstrap does not see it, so the interval is had from the inequality. With S the standard deviation of the sum at the
observed signs, its ends are

    ECE - B - z S    and    ECE + z S

and each holds the truth at least as often as it says. The rise over the float model is taken in the float model's bins,
where paired differences D of the two g are small and known well: the sum of w |D|, plus z times its own deviation, is
an upper bound of the rise, since |d'| <= |d| + |D|.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.records import Figure
from stages.paired import POINTS
from stages.records import Calibration
from stages.statistics import ENDS_LEVEL, ONE_SIDED, Interval, normal_quantile

Array = npt.NDArray[Any]
Decisions = tuple[Array, Array]
"""(probability, 1 or 0 whether it holds), each (samples, decisions a sample)."""

BINS = 15
_HOW = f"each end a one-sided {100 * ONE_SIDED:.0f} % bound"


@dataclass(frozen=True)
class _Sum:
    """A sum of w |g| over bins, in points: its value, its standard deviation, and the most that noise adds to it."""

    value: float
    deviation: float
    bias: float


def calibration(reference: Decisions, outputs: Decisions) -> Calibration:
    """Calibration of a variant beside its float model's on the same samples.

    Args:
        reference: of the float model.
        outputs: of the variant, for the same samples.
    """
    own, base = bins(outputs[0]), bins(reference[0])
    error, float_error = _sum(gaps(*outputs, own)), _sum(gaps(*reference, base))
    columns, float_columns = gaps(*outputs, base), gaps(*reference, base)
    there, moved = _sum(columns), _sum(columns - float_columns)
    samples, z = len(outputs[0]), normal_quantile(ONE_SIDED)
    rise = there.value - float_error.value
    low = rise - there.bias - z * (there.deviation + float_error.deviation)
    return Calibration(
        bins=int(own.max()) + 1, noise=error.bias,
        error=_figure(error.value, _ends(error), samples, f"calibration error in {own.max() + 1} bins of equal mass, "
                      f"of which noise is up to {error.bias:.2f} points"),
        float_error=_figure(float_error.value, _ends(float_error), samples,
                            f"calibration error in {base.max() + 1} bins of equal mass, of which noise is up to "
                            f"{float_error.bias:.2f} points"),
        rise=_figure(rise, (low, max(rise, moved.value + z * moved.deviation)), samples,
                     "calibration error less the float model's, both in its bins"))


def bins(confidence: Array) -> Array:
    """The bin of each confidence: of equal mass but for ties, counted from 0, none of them empty.

    Args:
        confidence: (samples, decisions) in 0..1.

    Returns:
        Of the same shape, int64.
    """
    edges = np.unique(np.quantile(confidence, np.arange(1, BINS) / BINS))
    _, places = np.unique(np.searchsorted(edges, confidence, side="right"), return_inverse=True)
    return np.asarray(places.reshape(confidence.shape))


def gaps(confidence: Array, right: Array, places: Array) -> Array:
    """What each sample adds to each bin: right less confidence, by the mean over its decisions.

    Args:
        confidence: (samples, decisions) in 0..1.
        right: (samples, decisions) of 0 and 1.
        places: (samples, decisions) bins.

    Returns:
        (samples, bins) float64.
    """
    found = np.zeros((len(confidence), int(places.max()) + 1))
    rows = np.arange(len(confidence))
    for decision in range(confidence.shape[1]):
        found[rows, places[:, decision]] += (right[:, decision] - confidence[:, decision]) / confidence.shape[1]
    return found


def _sum(columns: Array) -> _Sum:
    """Of (samples, bins) gaps."""
    samples, sums = len(columns), columns.sum(axis=0)
    spread = np.sqrt(columns.var(axis=0) * samples)  # (bins,) standard deviation of each bin's sum
    deviation = float((columns @ np.sign(sums)).std()) * math.sqrt(samples)
    return _Sum(value=POINTS * float(np.abs(sums).sum()) / samples, deviation=POINTS * deviation / samples,
                bias=POINTS * math.sqrt(2 / math.pi) * float(spread.sum()) / samples)


def _ends(found: _Sum) -> Interval:
    """See the module."""
    z = normal_quantile(ONE_SIDED)
    return max(0.0, found.value - found.bias - z * found.deviation), found.value + z * found.deviation


def _figure(value: float, interval: Interval, samples: int, method: str) -> Figure:
    return Figure(value=value, unit="points", provenance="measured", samples=samples, level=ENDS_LEVEL,
                  interval=interval, method=f"{method}; {_HOW}")
