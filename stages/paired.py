"""Two models on the same samples: the difference of their shares, whether it is there at all, and what would decide it.

Of n samples, b are right by the float model alone ("lost") and c by the variant alone ("gained"); the others tell
nothing about the difference (b - c) / n but how large n is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from device_profiles.records import Figure, Provenance
from stages.records import PairedCounts
from stages.statistics import ENDS_LEVEL, ONE_SIDED, Interval, normal_quantile

Array = npt.NDArray[Any]

POINTS = 100.0
"""Points in a share of 1."""
MOST_SAMPLES = 1_000_000
"""Above so many samples, "take more" is no advice."""
_STEPS = 50  # of the bisection: 2 / 2^50 is far below a thousandth of a point


def counts(before: Array, after: Array) -> PairedCounts:
    """The paired table of two (samples,) bool arrays: right by the float model, right by the variant."""
    return PairedCounts(lost=int((before & ~after).sum()), gained=int((~before & after).sum()), samples=len(before))


def mcnemar(lost: int, gained: int) -> float:
    """McNemar's exact test, two-sided (McNemar 1947, Psychometrika 12:153-157; exact: Cochran 1950).

    Where neither model is better, each of the b + c samples falls to either with probability 1/2, so

        p = min(1, 2 P(X <= min(b, c))),  X ~ Binomial(b + c, 1/2)

    Returns:
        The p value; 1 where no sample tells them apart.
    """
    from scipy.special import bdtr

    if lost == gained:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(lost, gained), lost + gained, 0.5)))


def score_interval(lost: float, gained: float, samples: float, level: float = ENDS_LEVEL) -> Interval:
    """Score interval of the paired difference (b - c) / n (Tango 1998, Statistics in Medicine 17:891-908).

    Its ends are the differences d at which the score statistic

        T(d) = (b - c - n d) / sqrt(n (2 q + d (1 - d)))

    is z and -z, with q the share of "gained" that is most likely where the difference is d:

        q = (sqrt(B^2 - 8 n C) - B) / (4 n),  B = (2 n - b + c) d - b - c,  C = -c d (1 - d)

    T falls as d grows, so that each end is had by bisection. With b = c = 0 the upper end is z^2 / (n + z^2).

    Args:
        lost: b; need not be whole.
        gained: c.
        samples: n, above 0.
        level: two-sided.

    Returns:
        (lower, upper) end, -1 to 1.
    """
    z = normal_quantile((1 + level) / 2)
    return _root(lost, gained, samples, z), _root(lost, gained, samples, -z)


def _root(b: float, c: float, n: float, wanted: float) -> float:
    """Where the score statistic is `wanted`."""
    low, high = -1.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _score(b, c, n, middle) > wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _score(b: float, c: float, n: float, d: float) -> float:
    """T(d)."""
    distance = b - c - n * d
    big_b, big_c = (2 * n - b + c) * d - b - c, -c * d * (1 - d)
    root = math.sqrt(max(big_b**2 - 8 * n * big_c, 0.0))
    # of the two ways to write the root, the one in which nothing cancels
    q = -2 * big_c / (root + big_b) if big_b > 0 else (root - big_b) / (4 * n)
    variance = n * (2 * max(q, 0.0) + d * (1 - d))
    if distance == 0:
        return 0.0
    return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)


def drop_interval(table: PairedCounts, level: float = ENDS_LEVEL) -> Interval:
    """`score_interval` of a paired table, in points."""
    low, high = score_interval(table.lost, table.gained, table.samples, level)
    return POINTS * low, POINTS * high


def drop_figure(table: PairedCounts, provenance: Provenance = "measured", level: float = ENDS_LEVEL,
                what: str = "difference") -> Figure:
    """Share of right answers before less that after, in points, with its score interval.

    Args:
        table: at least one sample.
        provenance: of the figure.
        level: of the interval, two-sided.
        what: of what, for `method`.
    """
    ends = f", each end a one-sided {100 * ONE_SIDED:.0f} % bound" if level == ENDS_LEVEL else ""
    return Figure(value=POINTS * (table.lost - table.gained) / table.samples, unit="points", provenance=provenance,
                  samples=table.samples, level=level, interval=drop_interval(table, level),
                  method=f"{what} on {table.lost:,} lost and {table.gained:,} gained; score interval for paired shares "
                         f"(Tango 1998){ends}")


def samples_to_clear(now: int, ends: Callable[[float], Interval], bound: float, *, below: bool) -> int | None:
    """The least number of samples from which an interval no longer spans a bound, should all shares stay.

    Args:
        now: how many there are.
        ends: the interval where every count is multiplied by a factor.
        bound: in the interval's unit.
        below: whether the interval is to lie at or below the bound, or above it.

    Returns:
        At least `now` + 1; None where more than `MOST_SAMPLES` would be needed.
    """
    def clears(samples: int) -> bool:
        """Whether so many would do."""
        low, high = ends(samples / now)
        return high <= bound if below else low > bound

    few, many = now, now
    while not clears(many):
        if many >= MOST_SAMPLES:
            return None
        few, many = many, min(2 * many, MOST_SAMPLES)
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if clears(middle) else (middle, many)
    return max(many, now + 1)
