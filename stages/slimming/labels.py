"""Names for channels. Channels that must stay or go together are one class; a class that must stay says why.

Every output channel of a layer with a kernel gets a label of its own. Where two tensors are added their labels are
united, where they are concatenated they stand one after the other, and so on: a tensor is then described by its labels
along one axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

LabelArray = NDArray[np.int64]


@dataclass(frozen=True)
class Channels:
    """A tensor whose elements belong to channels along one axis.

    Attributes:
        axis: of a sample's shape, from 0; the batch axis is not counted.
        labels: (length of that axis,); a label may stand there several times.
    """

    axis: int
    labels: LabelArray


@dataclass(frozen=True)
class Fixed:
    """A tensor whose shape cannot change, and why."""

    reason: str


Flow: TypeAlias = Channels | Fixed
"""What is known of a tensor."""


class Labels:
    """Classes of labels: union-find with path halving."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._reasons: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._parents)

    def fresh(self, count: int) -> LabelArray:
        """So many new labels.  # (count,)."""
        start = len(self._parents)
        self._parents += range(start, start + count)
        return np.arange(start, start + count)

    def root(self, label: int) -> int:
        """The label that stands for the class."""
        parents = self._parents
        while parents[label] != label:
            parents[label] = parents[parents[label]]
            label = parents[label]
        return label

    def roots(self, labels: LabelArray) -> LabelArray:
        """`root` of each."""
        return np.array([self.root(int(label)) for label in labels], np.int64)

    def unite(self, one: LabelArray, other: LabelArray) -> None:
        """Have the labels at the same places belong together; arrays of one shape."""
        for first, second in zip(one.ravel(), other.ravel(), strict=True):
            low, high = sorted((self.root(int(first)), self.root(int(second))))
            if low != high:
                self._parents[high] = low
                reason = self._reasons.pop(high, "")
                if reason:
                    self._reasons.setdefault(low, reason)

    def fix(self, labels: LabelArray, reason: str, instead: bool = False) -> None:
        """Have labels stay; the first reason is kept, unless this one is to stand `instead` of it."""
        for label in labels:
            root = self.root(int(label))
            if instead or root not in self._reasons:
                self._reasons[root] = reason

    def reason(self, label: int) -> str:
        """Why a label must stay; empty where it may go."""
        return self._reasons.get(self.root(label), "")
