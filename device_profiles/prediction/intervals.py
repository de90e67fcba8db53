"""Intervals of a prediction: the fit's own doubt, scaled so that it covers what was left out.

    deviation = sqrt(misfit^2 + g^T C g + (reach * distance)^2)     (logs; g: shares of the terms, C: their covariance)
    interval  = [x / f, x * f],  f = exp(scale_level * deviation)

`scale_level` is the level's quantile of |log error| / deviation over rows that were left out (split conformal
prediction with a normalized score: J. Lei et al., "Distribution-free predictive inference for regression", JASA 113,
2018, section 5.2). Rows of a board whose family was left out give the scale for devices that were
measured, rows of boards that were left out the one for devices that were not. `distance` is how far the workload's MACs
lie outside those of the fit, in logs; `reach` is a convention that says "less sure".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from device_profiles.records import Record

LEVELS = (0.8, 0.95)
REACH = 0.15
Known = Literal["measured", "unmeasured"]


class Scales(Record):
    """Of one class of devices.

    Attributes:
        misfit: what a network differs by that no price explains, in logs.
        level_80, level_95: multiples of the deviation.
    """

    misfit: float
    level_80: float
    level_95: float

    def factors(self, variance: float, distance: float) -> tuple[float, float]:
        """Factors f of the 80 % and of the 95 % interval."""
        deviation = math.sqrt(self.misfit ** 2 + variance + (REACH * distance) ** 2)
        return math.exp(self.level_80 * deviation), math.exp(self.level_95 * deviation)


def distance_outside(macs: int, smallest: int, largest: int) -> float:
    """How far a size lies outside a range, in logs; 0 inside."""
    if macs < smallest:
        return math.log(max(smallest, 1) / max(macs, 1))
    return math.log(macs / largest) if macs > largest else 0.0


def conformal_scales(errors: Sequence[float], variances: Sequence[float], misfits: Sequence[float]) -> Scales:
    """Scales from rows that were left out, with the misfit whose 80 % intervals are narrowest on average.

    Args:
        errors: log errors.
        variances: of the log predictions, by the fit.
        misfits: to choose from.
    """
    best: tuple[float, Scales] | None = None
    for misfit in misfits:
        deviations = [math.sqrt(misfit ** 2 + variance) for variance in variances]
        scores = sorted(abs(error) / deviation for error, deviation in zip(errors, deviations, strict=True))
        low, high = (_quantile(scores, level) for level in LEVELS)
        width = low * sum(deviations) / len(deviations)
        if best is None or width < best[0]:
            best = width, Scales(misfit=misfit, level_80=low, level_95=high)
    if best is None:
        raise ValueError("no misfit to choose from")
    return best[1]


def _quantile(ordered: Sequence[float], level: float) -> float:
    """The conformal quantile: the ceil((n + 1) * level)-th smallest, the largest where there are too few."""
    return ordered[min(len(ordered), math.ceil((len(ordered) + 1) * level)) - 1]
