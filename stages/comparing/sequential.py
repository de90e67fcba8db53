"""When a difference between two latencies is proven, asked after every launch without raising the false alarms.

Each launch (two fresh processes, measured in turns) gives one number: the logarithm of the ratio of the two latencies.
The interval around their mean is valid at every moment at once: the chance that it *ever* misses the true ratio is
1 - LEVEL, however often one looks and whenever one stops. It comes from the Bayes factor of a t test with a normal
prior on the effect in standard deviations, d ~ N(0, g) (Gönen, Johnson, Lu, Westfall 2005, American Statistician
59:252-257):

    BF = (1 + n g)^(-1/2) * [(1 + t^2 / v) / (1 + t^2 / (v (1 + n g)))]^(n / 2),    v = n - 1

Where the true ratio is the one that t is taken from, BF is a nonnegative martingale of mean 1 in what does not change
with the scale, whatever the variance (Lai 1976, Annals of Statistics 4:265-280; Pérez-Ortiz, Lardy, de Heide, Grünwald
2024, Annals of Statistics 52:1410-1432), so by Ville's inequality it ever reaches 1 / a with a chance of at most a.
Solved for t, with q = (sqrt(1 + n g) / a)^(2 / n):

    t* = sqrt(v (q - 1) / (1 - q / (1 + n g)));  no bound where q >= 1 + n g (fewer than four launches)

The interval is mean +- t* s / sqrt(n). From ten launches on it is that of the trimmed mean, with a tenth of them left
out at each end: a launch that a neighbour disturbed would otherwise widen it for ever. With k left out at each end,
h = n - 2 k, and the Winsorized deviation s_w (the k outermost set to the next),

    trimmed mean +- t*(h) s_w sqrt((n - 1) / (h (h - 1)))

(Tukey, McLaughlin 1963, Sankhya A 25:331-352). The martingale holds for normal launches; that the interval keeps its
word with heavy tails, with two kinds of launches and trimmed is shown by simulation in the tests, and on what machines
really do by resampling recorded launches (`benchmarks/noise.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Claim = Literal["faster", "slower", "same", "undecided"]
Placed = Literal["above", "below", "within", "across"]
_CLAIMS: dict[Placed, Claim] = {"above": "slower", "below": "faster", "within": "same", "across": "undecided"}
LEVEL = 0.99
_G = 10.0
"""Variance of the prior on the effect in standard deviations of a launch; t* is least for few launches near 10."""
_TRIMMED = 0.1
MOST_LAUNCHES = 100_000
"""Above so many, "measure for longer" is no advice."""


@dataclass(frozen=True)
class Decision:
    """What the launches so far prove.

    Attributes:
        claim: of the candidate against the reference.
        estimate: trimmed mean of the logarithms of the ratio.
        half: half the interval's width, in logarithms; infinite for fewer than four launches.
    """

    claim: Claim
    estimate: float
    half: float

    @property
    def ratio(self) -> float:
        """Candidate's latency by the reference's."""
        return math.exp(self.estimate)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the ratio, always valid; None where there are too few launches for one."""
        if math.isinf(self.half):
            return None
        return math.exp(self.estimate - self.half), math.exp(self.estimate + self.half)


def critical(launches: int, level: float = LEVEL) -> float:
    """t*: how many standard errors the interval reaches to each side.

    Args:
        launches: n.
        level: 0 to 1; the chance that the interval covers the truth at every moment.
    """
    if launches < 2:
        return math.inf
    room = 1 + launches * _G
    log_q = 2 / launches * (math.log(room) / 2 - math.log(1 - level))
    if log_q >= math.log(room):
        return math.inf
    q = math.exp(log_q)
    return math.sqrt((launches - 1) * (q - 1) / (1 - q / room))


def decide(logs: Sequence[float], margin: float, floor: float = 0.0, level: float = LEVEL) -> Decision:
    """The claim that the launches prove.

    With the interval [low, high] of the ratio and the margin m:

        slower     low > 1 + m
        faster     high < 1 / (1 + m)
        same       1 / (1 + m) <= low and high <= 1 + m
        undecided  otherwise

    so no two claims are ever true at once, and a difference within the margin is never called one.

    Args:
        logs: logarithms of the launches' ratios.
        margin: the difference that does not matter, 0.02 for 2 %; 0: any proven difference is one.
        floor: standard deviation of a launch of one model against itself; the launches' own is never taken as less,
            since that of few launches is small by luck.
        level: of the interval.
    """
    return claimed(*spread(logs, floor, level), margin)


def spread(logs: Sequence[float], floor: float = 0.0, level: float = LEVEL) -> tuple[float, float]:
    """(trimmed mean, half width of the always-valid interval) of the launches' logarithms."""
    if not len(logs):
        return 0.0, math.inf
    trimmed = _trimmed(len(logs))
    estimate = float(np.sort(logs)[trimmed:len(logs) - trimmed].mean())
    reach = critical(len(logs) - 2 * trimmed, level)
    return estimate, math.inf if math.isinf(reach) else reach * standard_error(logs, floor)


def _trimmed(launches: int) -> int:
    """How many launches are left out at each end."""
    return int(_TRIMMED * launches)


def standard_error(logs: Sequence[float], floor: float = 0.0) -> float:
    """Of the trimmed mean of at least two launches; at least what launches of the deviation `floor` would have."""
    count, trimmed = len(logs), _trimmed(len(logs))
    ordered, kept = np.sort(np.asarray(logs, np.float64)), count - 2 * trimmed
    winsorized = np.clip(ordered, ordered[trimmed], ordered[count - trimmed - 1])
    error = float(winsorized.std(ddof=1)) * math.sqrt((count - 1) / (kept * (kept - 1)))
    return max(error, floor / math.sqrt(count))


def robust_deviation(logs: Sequence[float]) -> float:
    """Standard deviation of a launch from the median absolute deviation: 1.4826 of it.

    One disturbed launch of five would else make all that follow prove nothing.
    """
    return 1.4826 * float(np.median(np.abs(np.asarray(logs) - np.median(logs)))) if len(logs) else 0.0


def claimed(estimate: float, half: float, margin: float) -> Decision:
    """The claim of an interval, estimate +- half in logarithms; the rule stands at `decide`."""
    bound = math.log1p(margin)
    return Decision(_CLAIMS[placed((estimate - half, estimate + half), (-bound, bound))], estimate, half)


def placed(interval: tuple[float, float], band: tuple[float, float]) -> Placed:
    """Where an interval lies that bears a claim only as a whole.

    Args:
        interval: of what was found, low and high.
        band: what is called the same, low and high; its ends belong to it.
    """
    (low, high), (least, most) = interval, band
    if low > most:
        return "above"
    if high < least:
        return "below"
    return "within" if least <= low and high <= most else "across"


def launches_to_decide(estimate: float, deviation: float, margin: float, now: int, level: float = LEVEL) -> int | None:
    """The least number of launches from which the interval clears the margin, should mean and deviation stay.

    Args:
        estimate: logarithm of the ratio.
        deviation: standard deviation of a launch: the standard error times sqrt(launches).
        margin: as for `decide`.
        now: launches there are.
        level: of the interval.

    Returns:
        At least `now` + 1; None where the estimate lies at the margin, or more than `MOST_LAUNCHES` would be needed.
    """
    gap = abs(math.log1p(margin) - abs(estimate))

    def clears(launches: int) -> bool:
        """Whether so many would do."""
        return critical(launches - 2 * _trimmed(launches), level) * deviation < gap * math.sqrt(launches)

    if not clears(MOST_LAUNCHES):
        return None
    few, many = now, MOST_LAUNCHES
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if clears(middle) else (middle, many)
    return many


def detectable(deviation: float, margin: float, launches: int, level: float = LEVEL) -> float:
    """The slow-down, as a share, that so many launches prove half of the time: exp(log(1 + m) + half width) - 1."""
    reach = critical(launches - 2 * _trimmed(launches), level)
    if math.isinf(reach):
        return math.inf
    return math.expm1(math.log1p(margin) + reach * deviation / math.sqrt(launches))
