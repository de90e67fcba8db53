"""Channels that can stand for each other, and what a model costs with so many of each.

A class of labels goes as a whole. Classes with the same cuts (as many places on the same axes of the same weights) cost
the same, and are a space: only how many of them stay counts.
With `n_s` classes kept in space s, the length of any axis of any weight is

    length_a(n) = fixed_a + sum over s of share_as n_s

and every cost here is a sum of products of two of these: `sum over t of factor_t * length_a(n) * length_b(n)`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.slimming.labels import LabelArray
from stages.slimming.ledger import Ledger
from stages.slimming.trace import Trace

Counts = NDArray[np.int64]
"""Classes that stay, by space."""


@dataclass(frozen=True)
class Space:
    """Classes of channels that cost the same.

    Attributes:
        classes: the label that stands for each.
        layers: the layers that make these channels, with how many of the layer's channels one class is.
        joined: whether additions join them: what several layers write to, and all after them read.
    """

    classes: LabelArray
    layers: dict[str, int]
    joined: bool = False


def find_spaces(trace: Trace) -> list[Space]:
    """The spaces of a model, in the order in which their first channel is made."""
    labels = trace.ledger.labels
    marks: dict[int, list[int]] = {}
    for number, cut in enumerate(trace.ledger.cuts):
        for root in labels.roots(cut.labels):
            marks.setdefault(int(root), []).append(number)
    makers: dict[int, Counter[str]] = {}
    for name in trace.layers:
        for root in labels.roots(trace.ledger.made[name]):
            makers.setdefault(int(root), Counter())[name] += 1
    groups: dict[tuple[int, ...], list[int]] = {}
    for root, mark in marks.items():
        if not labels.reason(root) and root in makers:
            groups.setdefault(tuple(mark), []).append(root)
    joined = {int(root) for each in trace.ledger.joined for root in labels.roots(each)}
    return sorted((Space(np.array(sorted(roots)), dict(makers[roots[0]]), not joined.isdisjoint(roots))
                   for roots in groups.values()),
                  key=lambda space: int(space.classes[0]))


class Cost:
    """A sum of products of two lengths, each linear in how many classes every space keeps."""

    def __init__(self, factors: Sequence[float], fixed: NDArray[np.float64], shares: NDArray[np.float64]) -> None:
        """The terms.

        Args:
            factors: (terms,).
            fixed: (2, terms), what stays of both lengths.
            shares: (2, terms, spaces), how much a class of a space adds to them.
        """
        self._factors = np.asarray(factors, np.float64)
        self._fixed, self._shares = fixed, shares

    def __call__(self, kept: Counts) -> float:
        """The cost with so many classes kept."""
        return float(self.of_each(kept[None])[0])

    def of_each(self, choices: Counts) -> NDArray[np.float64]:
        """The cost of several choices.  # (choices, spaces) -> (choices,)."""
        one, other = self._fixed[:, :, None] + self._shares @ choices.T  # (terms, choices)
        costs: NDArray[np.float64] = self._factors @ (one * other)
        return costs

    def saved(self, kept: Counts, steps: Counts) -> NDArray[np.float64]:
        """What each space's step alone would save.  # (spaces,).

        Args:
            kept: (spaces,) classes now.
            steps: (spaces,) classes that a step takes away.
        """
        one, other = self._fixed + self._shares @ kept  # (terms,)
        less_one, less_other = self._shares * steps  # (terms, spaces)
        after = (one[:, None] - less_one) * (other[:, None] - less_other)
        saved: NDArray[np.float64] = self._factors @ ((one * other)[:, None] - after)
        return saved


class Costs:
    """Makes the costs of one model."""

    def __init__(self, trace: Trace, spaces: Sequence[Space], model: Any) -> None:
        self._ledger: Ledger = trace.ledger
        self._model = model
        self._place = {int(root): number for number, space in enumerate(spaces) for root in space.classes}
        self._count = len(spaces)

    def macs(self) -> Cost:
        """Multiply-accumulates of one inference."""
        return self._cost((work.factor, work.reads, work.makes) for work in self._ledger.work)

    def parameters(self) -> Cost:
        """Elements of all weights, as Keras counts them."""
        axes: dict[tuple[str, int], list[Any]] = {}
        for cut in self._ledger.cuts:
            axes.setdefault((cut.layer, cut.weight), []).append(cut)
        terms: list[tuple[float, LabelArray | None, LabelArray | None]] = []
        for layer in self._model.layers:
            for place, weight in enumerate(layer.weights):
                cuts = axes.get((layer.name, place), [])
                size = math.prod(weight.shape) / math.prod(len(cut.labels) for cut in cuts)
                labels = [cut.labels for cut in cuts] + [None, None]
                terms.append((size, labels[0], labels[1]))
        return self._cost(terms)

    def linear(self, base: float, per_class: NDArray[np.float64], full: Counts) -> Cost:
        """`base` with everything kept, less `per_class` for each class of a space that goes."""
        shares = np.zeros((2, 1, self._count))
        shares[0, 0] = per_class
        return Cost([1.0], np.array([[base - float(per_class @ full)], [1.0]]), shares)

    def _cost(self, terms: Iterable[tuple[float, LabelArray | None, LabelArray | None]]) -> Cost:
        listed = list(terms)
        fixed, shares = np.ones((2, len(listed))), np.zeros((2, len(listed), self._count))
        for number, (_, *axes) in enumerate(listed):
            for side, labels in enumerate(axes):
                if labels is not None:
                    fixed[side, number], shares[side, number] = self._length(labels)
        return Cost([factor for factor, _, _ in listed], fixed, shares)

    def _length(self, labels: LabelArray) -> tuple[int, NDArray[np.float64]]:
        """(what stays, what a class of each space adds) of an axis."""
        shares = np.zeros(self._count)
        places = [self._place.get(int(root)) for root in self._ledger.labels.roots(labels)]
        sizes = Counter(root for root in self._ledger.labels.roots(labels).tolist())
        for root, size in sizes.items():
            place = self._place.get(root)
            if place is not None:
                shares[place] = size
        return places.count(None), shares
