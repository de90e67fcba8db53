"""Intervals: how sure a share, a mean or a resampled score is. Most intervals are at `LEVEL`.

What a limit is held against has ends that are each a one-sided bound at `ONE_SIDED`: such an interval is one of the
two-sided level `ENDS_LEVEL`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.records import Figure, Provenance

Array = npt.NDArray[Any]
Interval = tuple[float, float]

LEVEL = 0.95
Z = 1.959963984540054  # the normal distribution's 97.5 % quantile
ONE_SIDED = 0.95
"""Level of each end of an interval that a limit is held against: a limit looks at one end alone."""
ENDS_LEVEL = 0.9
"""The two-sided level of such an interval: 1 - 2 (1 - ONE_SIDED)."""
MOST_BLOCKS = 10_000
"""From here on sums are resampled over blocks of samples, not over single ones."""
_CELLS_AT_ONCE = 2_000_000  # resampled counts held in memory at a time


def wilson(successes: int, samples: int) -> Interval:
    """Wilson's score interval of a share (Wilson 1927, JASA 22:209-212).

    centre = (p + z²/2n) / (1 + z²/n); half width = z / (1 + z²/n) · sqrt(p(1-p)/n + z²/4n²)
    """
    share, z2 = successes / samples, Z * Z
    centre = (share + z2 / (2 * samples)) / (1 + z2 / samples)
    half = Z / (1 + z2 / samples) * float(np.sqrt(share * (1 - share) / samples + z2 / (4 * samples**2)))
    return max(0.0, centre - half), min(1.0, centre + half)


def share_figure(successes: int, samples: int, provenance: Provenance, what: str = "share") -> Figure:
    """A share with Wilson's interval."""
    return Figure(value=successes / samples, unit="fraction", provenance=provenance, samples=samples, level=LEVEL,
                  interval=wilson(successes, samples), method=f"{what}; Wilson score interval")


def normal_quantile(share: float) -> float:
    """The standard normal distribution's quantile: 1.645 of 0.95."""
    from scipy.special import ndtri

    return float(ndtri(share))


def clopper_pearson(successes: float, samples: float, level: float = ENDS_LEVEL) -> Interval:
    """Exact interval of a share (Clopper and Pearson 1934, Biometrika 26:404-413): never less sure than it says.

    Its lower end is the (1 - level) / 2 quantile of Beta(x, n - x + 1), its upper end the (1 + level) / 2 quantile of
    Beta(x + 1, n - x). With x = 0 the upper end is 1 - ((1 - level) / 2)^(1/n), about 3 / n for one-sided 95 %.

    Args:
        successes: x, 0 to n; need not be whole.
        samples: n, above 0.
        level: two-sided; at `ENDS_LEVEL` each end is a one-sided bound at `ONE_SIDED`.
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(successes, samples - successes + 1, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, samples - successes, 1 - tail)) if successes < samples else 1.0
    return low, high


def bounded_share(successes: int, samples: int, provenance: Provenance, what: str) -> Figure:
    """A share whose interval's ends are each an exact one-sided bound."""
    return Figure(value=successes / samples, unit="fraction", provenance=provenance, samples=samples, level=ENDS_LEVEL,
                  interval=clopper_pearson(successes, samples),
                  method=f"{what}; Clopper-Pearson, each end a one-sided {100 * ONE_SIDED:.0f} % bound")


def mean_figure(values: Array, unit: str, provenance: Provenance, what: str = "mean",
                least: float = -np.inf, most: float = np.inf) -> Figure:
    """A mean with its normal interval.

    Args:
        values: (samples,) float.
        unit: of the values.
        provenance: of the figure.
        what: of what it is a mean, for `method`.
        least: the interval's lower end is no lower.
        most: the interval's upper end is no higher.
    """
    mean = float(values.mean())
    half = Z * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None
    return Figure(value=mean, unit=unit, provenance=provenance, samples=len(values), level=LEVEL,
                  interval=None if half is None else (max(least, mean - half), min(most, mean + half)),
                  method=f"{what}; normal interval")


def percentiles(values: Array, level: float = LEVEL) -> Interval | None:
    """The middle `level` of resampled values; those that are not finite are left out. None where none is left."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled_counts(samples: int, resamples: int, seed: int) -> Iterator[Array]:
    """How often each sample is drawn when `samples` are drawn with replacement, some resamples at a time.

    Yields:
        (resamples of this part, samples) int64; each row sums to `samples`.
    """
    generator = np.random.default_rng(seed)
    step = max(1, _CELLS_AT_ONCE // samples)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = generator.integers(0, samples, (size, samples))
        drawn += np.arange(size)[:, None] * samples
        yield np.bincount(drawn.ravel(), minlength=size * samples).reshape(size, samples)


def resampled_sums(columns: Array, resamples: int, seed: int) -> Array:
    """Sums over bootstrap resamples, by matrix product.

    More than `MOST_BLOCKS` samples are first summed in that many blocks of random members: resampled block sums have
    the variance that resampled sample sums have, and their number no longer grows with the data.

    Args:
        columns: (samples, columns) float; what is summed.
        resamples: how many.
        seed: of the draws.

    Returns:
        (resamples, columns) float64.
    """
    columns = _blocks(np.asarray(columns, np.float64), seed)
    return np.concatenate([counts @ columns for counts in resampled_counts(len(columns), resamples, seed)])


def _blocks(columns: Array, seed: int) -> Array:
    """At most `MOST_BLOCKS` sums of equally many random rows (but for the last).  # (blocks, columns)."""
    samples = len(columns)
    if samples <= MOST_BLOCKS:
        return columns
    order = np.random.default_rng((seed, samples)).permutation(samples)
    return np.asarray(np.add.reduceat(columns[order], np.arange(0, samples, -(-samples // MOST_BLOCKS)), axis=0))
