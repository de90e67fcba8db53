"""Near-duplicates: samples that show nearly the same as another one, above all across splits, where they leak.

Candidates are the nearest neighbours by the angle between whitened principal components: what all samples share (a
background, a silhouette) weighs little there. Each candidate is then verified on the samples themselves: the
correlation of their detail (the plane less its 3 x 3 mean, without the margin) at the best shift of up to one pixel.
How alike two unrelated samples can be differs from data set to data set, so the threshold is set on the data: a robust
outlier among the similarities of all samples to their best neighbour, and at least `FLOOR`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.datasets.records import SPLITS
from stages.examining.gathering import Examined
from stages.examining.looks import GRID_SIDE, block_means, principal, standardized, units
from stages.records import NearDuplicates, NearPair

NEIGHBOURS, COMPONENTS = 4, 32
LEAST_SAMPLES, LEAST_VALUES = 50, 16
FLOOR = 0.6
"""Least correlation of detail of a pair. Chosen on CIFAR-10, by eye, where pairs above it show the same photograph."""
LEAST_WHOLE = 0.8
"""Least correlation of the planes themselves."""
OUTLIER = 5.0
"""Robust standard deviations from the middle of the similarities to the best neighbour."""
OUTLIER_OF_THIRD = 7.5
"""The same from the middle of those to the third best, which lies lower."""
FAR_APART = 1.0
"""Where the best neighbours are typically ten times nearer than the third, most samples have a copy."""
MOST_LISTED = 12
_CALIBRATED_ON = 1000
_BLOCK = 1000
_PAIRS_AT_ONCE = 2000

Array = NDArray[Any]


@dataclass(frozen=True)
class _Similar:
    """Pairs (i < j) with how alike they are."""

    pairs: Array  # (pairs, 2)
    similarity: Array  # (pairs,)


def near_duplicates(examined: Examined, seed: int) -> NearDuplicates:
    """Find the pairs.

    Args:
        examined: the samples.
        seed: of the samples that the threshold is set on.
    """
    values = examined.looks.vectors.shape[1]
    if len(examined.index) < LEAST_SAMPLES or (examined.looks.planes is None and values < LEAST_VALUES):
        few = f"{len(examined.index)} samples" if len(examined.index) < LEAST_SAMPLES else f"samples of {values} values"
        return NearDuplicates(left_out=f"{few} tell too little; at least {LEAST_SAMPLES} samples of {LEAST_VALUES} "
                                       "values are needed")
    rows = np.sort(np.unique(examined.digests, return_index=True)[1])  # exact repeats are counted by `prepare`
    compared = _Compared(examined, rows)
    threshold = compared.threshold(seed)
    found = compared.above(threshold)
    return _result(examined, found, _method(examined, threshold))


class _Compared:
    """Samples made comparable.

    Args:
        examined: all of them.
        rows: those that are compared.
    """

    def __init__(self, examined: Examined, rows: Array) -> None:
        self.rows, self.clips, self.split = rows, examined.clips[rows], examined.split[rows]
        planes = examined.looks.planes
        if planes is None:
            self.whole = self.detail = None
            self.grid = units(standardized(examined.looks.vectors[rows]))
        else:
            self.whole = _inner(planes[rows])
            self.detail = _detail(planes[rows])
            self.grid = units(block_means(planes[rows][..., None], GRID_SIDE))
        components = principal(self.grid, COMPONENTS)
        self.neighbours = nearest(components / np.maximum(np.linalg.norm(components, axis=1, keepdims=True), 1e-6),
                                  min(NEIGHBOURS, len(rows) - 1))

    def threshold(self, seed: int) -> float:
        """From how alike a pair counts, by the best neighbours of some samples; by the third where most have a copy.

        Computed on d = -log10(1 - similarity), whose distribution is near normal in unrelated samples. A data set in
        which nearly everything has three copies or more cannot be told from one whose samples are all alike.
        """
        count = len(self.rows)
        some = np.random.default_rng((seed, 1)).choice(count, min(count, _CALIBRATED_ON), replace=False)
        pairs = np.stack([np.repeat(some, self.neighbours.shape[1]), self.neighbours[some].ravel()], axis=1)
        alike = np.sort(self._similarity(pairs).reshape(len(some), -1), axis=1)[:, ::-1]  # best first
        nearness = -np.log10(np.maximum(1 - alike, 1e-7))
        middle, deviation = _middle(nearness[:, 0])
        end = middle + OUTLIER * deviation
        third, its_deviation = _middle(nearness[:, min(2, nearness.shape[1] - 1)])
        if middle - third > FAR_APART:
            end = third + OUTLIER_OF_THIRD * its_deviation
        return float(min(max(1 - 10.0**-end, FLOOR), 0.9999))

    def above(self, threshold: float) -> _Similar:
        """All neighbouring pairs that are at least so alike, parts of one recording left out."""
        count = len(self.rows)
        pairs = np.stack([np.repeat(np.arange(count), self.neighbours.shape[1]), self.neighbours.ravel()], axis=1)
        pairs = np.unique(np.sort(pairs, axis=1), axis=0)
        one, other = pairs.T
        same_split = self.split[one] == self.split[other]
        same_clip = (self.clips[one] >= 0) & (self.clips[one] == self.clips[other]) & same_split
        alike = np.einsum("ij,ij->i", self.grid[one], self.grid[other]) >= LEAST_WHOLE
        pairs = pairs[alike & ~same_clip]
        similarity = self._similarity(pairs)
        kept = similarity >= threshold
        if self.whole is not None:
            kept[kept] &= shifted_correlation(self.whole, pairs[kept]) >= LEAST_WHOLE
        return _Similar(pairs=self.rows[pairs[kept]], similarity=similarity[kept])

    def _similarity(self, pairs: Array) -> Array:
        """Correlation of the detail at the best shift; of the vectors where samples are no planes."""
        if self.detail is None:
            return np.asarray(np.einsum("ij,ij->i", self.grid[pairs[:, 0]], self.grid[pairs[:, 1]]))
        return shifted_correlation(self.detail, pairs)


def _middle(values: Array) -> tuple[float, float]:
    """Middle and deviation of the normal distribution that has the same 5 % and 25 % quantiles.

    These stay near where they are while up to half of the values are drawn away upwards.
    """
    low, quarter = np.quantile(values, (0.05, 0.25))
    deviation = max(float(quarter - low) / (1.645 - 0.674), 0.01)
    return float(quarter) + 0.674 * deviation, deviation


def nearest(points: Array, count: int) -> Array:
    """The `count` nearest other points of each, by product.  # (points, count)."""
    found = np.empty((len(points), count), np.int64)
    for start in range(0, len(points), _BLOCK):
        products = points[start:start + _BLOCK] @ points.T
        rows = np.arange(len(products))
        products[rows, rows + start] = -np.inf
        for place in range(count):  # a few passes over the maximum are faster than a sort of parts
            best = products.argmax(axis=1)
            found[start:start + len(rows), place] = best
            products[rows, best] = -np.inf
    return found


def shifted_correlation(planes: Array, pairs: Array) -> Array:
    """Largest correlation of two planes over shifts of up to one pixel, on what overlaps.

    Args:
        planes: (samples, height, width) float32.
        pairs: (pairs, 2) rows of `planes`.

    Returns:
        (pairs,) -1 to 1; 0 for a plane without any contrast.
    """
    found = np.zeros(len(pairs), np.float32)
    height, width = planes.shape[1:]
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        one, other = (planes[pairs[start:start + _PAIRS_AT_ONCE, side]] for side in (0, 1))
        best = np.full(len(one), -1, np.float32)
        for down, right in np.ndindex(3, 3):
            a = one[:, max(down - 1, 0):height + min(down - 1, 0), max(right - 1, 0):width + min(right - 1, 0)]
            b = other[:, max(1 - down, 0):height + min(1 - down, 0), max(1 - right, 0):width + min(1 - right, 0)]
            best = np.maximum(best, np.einsum("ij,ij->i", units(a), units(b)))
        found[start:start + len(one)] = best
    return found


def _inner(planes: Array) -> Array:
    """The planes without a margin of a twelfth of each side: pictures in a frame are alike by their frames."""
    down, right = (size // 12 for size in planes.shape[1:])
    return planes[:, down:planes.shape[1] - down, right:planes.shape[2] - right]


def _detail(planes: Array) -> Array:
    """Each pixel less the mean of the 3 x 3 pixels around it, without the margin."""
    height, width = planes.shape[1:]
    found = []
    for start in range(0, len(planes), _BLOCK):
        some = planes[start:start + _BLOCK]
        padded = np.pad(some, [(0, 0), (1, 1), (1, 1)], mode="edge")
        around = sum(padded[:, down:down + height, right:right + width] for down, right in np.ndindex(3, 3))
        found.append(_inner(some - around / 9))
    return np.concatenate(found)


def _method(examined: Examined, threshold: float) -> str:
    """What was done, for people."""
    what = "values" if examined.looks.planes is None else "detail at the best shift of up to a pixel"
    return (f"correlation of {what} from {threshold:.3f} on (set on this data), among the {NEIGHBOURS} nearest "
            "neighbours by principal components")


def _result(examined: Examined, found: _Similar, method: str) -> NearDuplicates:
    """Counts by split, and the pairs to look at first."""
    split = examined.split[found.pairs]  # (pairs, 2), ascending: samples stand split by split
    within = {name: int((split == place).all(axis=1).sum()) for place, name in enumerate(SPLITS)}
    across, samples = {}, {}
    for one, other in combinations(range(len(SPLITS)), 2):
        between = (split[:, 0] == one) & (split[:, 1] == other)
        key = f"{SPLITS[one]}/{SPLITS[other]}"
        across[key], samples[key] = int(between.sum()), len(np.unique(found.pairs[between, 1]))
    order = np.lexsort((found.pairs[:, 1], found.pairs[:, 0], -found.similarity, split[:, 0] == split[:, 1]))
    return NearDuplicates(method=method, within=within, across=across, samples_across=samples,
                          pairs=tuple(_pairs(examined, found, order[:MOST_LISTED])))


def _pairs(examined: Examined, found: _Similar, order: Array) -> Iterator[NearPair]:
    """The pairs as the result names them."""
    for place in order:
        first, second = found.pairs[place]
        yield NearPair(first=examined.sample(first), second=examined.sample(second),
                       similarity=round(float(found.similarity[place]), 4))
