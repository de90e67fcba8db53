"""What a change of one kernel alone costs, measured on validation samples without training.

Most of such a loss comes back when the model is fine-tuned, so a figure says which kernels are sensitive, not what a
variant will lose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.datasets.prepared import Split
from stages.models.inference import make_predictor
from stages.paired import POINTS
from stages.pruning.kernels import GROUP, NONZERO, groups_of_four, variable_of
from stages.training import Lesson

Kernel = NDArray[np.float32]
Change = Callable[[str, Kernel, float], Kernel]
"""`change(layer, kernel, strength)` gives the kernel as it would be."""

_HALVINGS = 4


class Sensitivity:
    """Measures kernels of one model one at a time; the model is put back after each.

    Attributes:
        score: of the model as it is, on the samples.
    """

    def __init__(self, model: Any, lesson: Lesson, samples: int, seed: int) -> None:
        """Score the model as it is.

        Args:
            model: a flat `tf_keras.Model`.
            lesson: whose validation split is measured on.
            samples: how many of it, at most.
            seed: of which ones.
        """
        self._model, self._lesson = model, lesson
        self._split = some_samples(lesson.validation, samples, seed)
        self._predict = make_predictor(model)
        self._truth = lesson.truth(self._split)
        self.score = self._measure()

    def _measure(self) -> float:
        """The score on the samples; NaN where the task has none on them."""
        return self._lesson.task.validate_parts(self._predict.slices(self._split.x), self._truth)[1]

    def cost(self, layer: str, kernel: Kernel) -> float:
        """Points of the score that the model loses with another kernel in one layer; NaN where it has no score."""
        variable = variable_of(self._model.get_layer(layer))
        before = variable.numpy()
        variable.assign(kernel)
        try:
            return float(POINTS * (self.score - self._measure()))
        finally:
            variable.assign(before)

    def most_affordable(self, layer: str, kernel: Kernel, strength: float, points: float,
                        change: Change) -> tuple[float, float]:
        """(the largest strength of a change that costs no more than `points`, what the full strength costs).

        Looked for by halving between none and the full strength: exact to a sixteenth of it.
        """
        full = self.cost(layer, change(layer, kernel, strength))
        if not full > points:
            return strength, full
        low, high = 0.0, strength
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if self.cost(layer, change(layer, kernel, middle)) > points:
                high = middle
            else:
                low = middle
        return low, full


def some_samples(split: Split, count: int, seed: int) -> Split:
    """At most `count` samples of a split, drawn by seed, in their order; parts of one recording are drawn apart."""
    if len(split.y) <= count:
        return split
    rows = np.sort(np.random.default_rng(seed).choice(len(split.y), count, replace=False))
    groups = tuple(split.groups[row] for row in rows) if split.groups else ()
    return replace(split, x=split.x[rows], y=split.y[rows], names=(), groups=groups,
                   clips=None if split.clips is None else split.clips[rows])


def without_smallest(_layer: str, kernel: Kernel, share: float) -> Kernel:
    """A kernel with that share of its weights, the smallest, set to zero. A `Change`."""
    count = round(share * kernel.size)
    changed = kernel.copy().reshape(-1)
    changed[np.argsort(np.abs(changed), kind="stable")[:count]] = 0
    return changed.reshape(kernel.shape)


def in_pattern(kernel: Kernel) -> Kernel:
    """A kernel with the two smallest of every four weights along the input channels set to zero."""
    rows = groups_of_four(kernel).copy()
    np.put_along_axis(rows, np.argsort(np.abs(rows), axis=1, kind="stable")[:, :GROUP - NONZERO], 0, axis=1)
    inputs = kernel.shape[-2]
    lines = rows.reshape(*kernel.shape[:-2], kernel.shape[-1], -1)[..., :inputs]  # (..., output, input channels)
    return np.ascontiguousarray(np.moveaxis(lines, -1, -2))


def spared(sensitivity: Sensitivity, kernels: Mapping[str, Kernel], points: float,
           share_out: Callable[[Mapping[str, float]], dict[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Shares of zeros of which none, alone, costs more than `points`; and what each kernel's first share cost alone.

    Kernels that cost too much get the largest share that does not, the others take more for it and are measured again,
    until none costs too much.

    Args:
        sensitivity: of the model.
        kernels: by layer.
        points: see above.
        share_out: the shares by layer for given largest shares.

    Raises:
        StageError: as `share_out` says, where too few zeros are left.
    """
    most: dict[str, float] = {}
    costs: dict[str, float] = {}
    known: dict[str, float] = {}  # the largest share by layer that was found to be affordable
    while True:
        shares = share_out(most)
        found = len(most)
        for name, share in shares.items():
            if name in most or share <= known.get(name, 0.0):
                continue
            affordable, cost = sensitivity.most_affordable(name, kernels[name], share, points, without_smallest)
            costs.setdefault(name, cost)
            if affordable < share:
                most[name] = affordable
            known[name] = affordable
        if len(most) == found:
            return shares, costs
