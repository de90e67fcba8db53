"""Values at the ends of their range: saturated pixels, clipped audio. One pass, whatever the ends turn out to be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.records import InputExtremes

CLIPPED_SHARE = 0.2
"""A sample counts as clipped from this share of its elements at one end on."""
CLIPPED_TIMES = 3
"""And only where that is so many times what the median sample has: a black background clips nothing."""
LEAST_ELEMENTS = 64

Array = NDArray[Any]


class Extremes:
    """Counts, for each sample, of elements at the lowest and at the highest value seen so far.

    Where a later chunk goes beyond an end, the samples before it have nothing at the new end: their counts become 0.
    """

    def __init__(self) -> None:
        self._ends = [np.inf, -np.inf]
        self._counts: list[list[Array]] = [[], []]
        self._elements = 1

    def add(self, stored: Array) -> None:
        """Count a chunk.  # stored (samples, *shape)."""
        flat = stored.reshape(len(stored), -1)
        self._elements = flat.shape[1]
        for place, (end, sign) in enumerate(((float(flat.min()), 1), (float(flat.max()), -1))):
            if sign * end < sign * self._ends[place]:
                self._ends[place] = end
                self._counts[place] = [np.zeros_like(counts) for counts in self._counts[place]]
            self._counts[place].append((flat == self._ends[place]).sum(axis=1))

    def result(self) -> InputExtremes:
        """Shares over all samples, and how many are clipped."""
        shares = [np.concatenate(counts) / self._elements for counts in self._counts]  # (samples,) each
        clipped = np.zeros(len(shares[0]), bool)
        if self._elements >= LEAST_ELEMENTS and self._ends[0] < self._ends[1]:
            for share in shares:
                clipped |= share > max(CLIPPED_SHARE, CLIPPED_TIMES * float(np.median(share)))
        lowest, highest = (round(float(share.mean()), 6) for share in shares)
        return InputExtremes(lowest=self._ends[0], highest=self._ends[1], share_lowest=lowest, share_highest=highest,
                             clipped_samples=int(clipped.sum()))
