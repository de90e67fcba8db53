"""How many channels each space keeps, so that a cost falls to a goal at the least loss.

Counts end on multiples that kernels like. Where all choices of such counts can be looked at, the one that loses least
is taken. Where there are too many the search is greedy: of all steps down to the next multiple, the one with the least
importance lost for what it saves, until the goal is reached. Where multiples do not come within a point of the goal,
the last counts are finer.

What a space has left counts the more the less it is: the importance lost is multiplied by `classes / classes kept`, for
the channels that stay have to do the work of those that went.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stages.slimming.importance import Scores
from stages.slimming.spaces import Cost, Counts, Space

Multiple = Literal["auto", 1, 4, 8, 16]
MISSED_SHARE = 0.01
"""A goal that is missed by more than this share of the whole is missed."""
_CLOSE_SHARE = 0.005
_LIKED = 8
_FEWEST_CHOICES = 2
_MOST_CHOICES = 60_000
_MOST_SWAPPED = 64
"""With more spaces than that, single steps come close enough."""


@dataclass(frozen=True)
class Bounds:
    """What a space may keep.

    Attributes:
        multiple: channel counts to end on; auto: 8, or less where a layer would be left with fewer than two choices.
        least_share: of a layer's channels that stay.
        originals: channels of each layer before anything was removed, where that was more than now.
    """

    multiple: Multiple = "auto"
    least_share: float = 0.125
    originals: Mapping[str, int] | None = None


def full(spaces: Sequence[Space]) -> Counts:
    """Everything kept."""
    return np.array([len(space.classes) for space in spaces], np.int64)


def floors(spaces: Sequence[Space], bounds: Bounds, now: Mapping[str, int]) -> Counts:
    """The fewest classes that each space may keep.

    Args:
        spaces: of the model as it is now.
        bounds: what is allowed.
        now: channels of each layer as it is now.
    """
    found = []
    for space in spaces:
        grown = max((bounds.originals or now).get(name, now[name]) / now[name] for name in space.layers)
        least = math.ceil(len(space.classes) * grown * bounds.least_share - 1e-9)
        found.append(min(len(space.classes), max(1, least)))
    return np.array(found, np.int64)


def units(spaces: Sequence[Space], bounds: Bounds) -> Counts:
    """Classes of each space that make the multiple of channels."""
    found = []
    for space in spaces:
        size = min(space.layers.values())
        multiple = bounds.multiple
        if multiple == "auto":
            most = len(space.classes) * size // _FEWEST_CHOICES
            multiple_here = min(_LIKED, 1 << max(0, most.bit_length() - 1))
        else:
            multiple_here = int(multiple)
        found.append(multiple_here // math.gcd(multiple_here, size))
    return np.array(found, np.int64)


def choose(cost: Cost, goal: float, spaces: Sequence[Space], scores: Scores, fewest: Counts, unit: Counts,
           whole: float, finer: bool = True) -> Counts:
    """How many classes each space keeps.

    Args:
        cost: to be lowered.
        goal: to this.
        spaces: the model's.
        scores: the importance of each class.
        fewest: that each space may keep.
        unit: classes of each space that make the multiple.
        whole: the cost of the original model, of which a point is a hundredth.
        finer: whether counts may be finer where multiples do not come within a point.

    Returns:
        (spaces,); the cost may stay above the goal where nothing more can go.
    """
    losses = _Losses(spaces, scores)
    size = unit
    while True:
        best = _best_of_all(cost, goal, fewest, size, losses, whole)
        if best is not None:
            return best
        if not finer or (size == 1).all():
            return _greedy(cost, goal, fewest, unit, losses, whole, finer)
        size = np.maximum(1, size // 2)


def _best_of_all(cost: Cost, goal: float, fewest: Counts, unit: Counts, losses: _Losses,
                 whole: float) -> Counts | None:
    """The choice that loses least of all that meet the goal; None where none does, or there are too many."""
    levels = [np.array([most, *range((most - 1) // size * size, least - 1, -size)], np.int64)
              for most, least, size in zip(losses.full.tolist(), fewest.tolist(), unit.tolist(), strict=True)]
    levels = [each[each >= max(1, least)] for each, least in zip(levels, fewest.tolist(), strict=True)]
    if math.prod(len(each) for each in levels) > _MOST_CHOICES:
        return None
    choices = np.stack([part.ravel() for part in np.meshgrid(*levels, indexing="ij")], axis=1)
    over = cost.of_each(choices) - goal
    for most in (_CLOSE_SHARE, MISSED_SHARE):  # rather a little too much than too little
        near = choices[(-MISSED_SHARE * whole <= over) & (over <= most * whole)]
        if len(near):
            best: Counts = near[int(np.argmin(losses.total(near)))]
            return best
    return None


def _greedy(cost: Cost, goal: float, fewest: Counts, unit: Counts, losses: _Losses, whole: float,
            finer: bool) -> Counts:
    """Step by step; see above."""
    kept = losses.full.copy()
    while (over := cost(kept) - goal) > _CLOSE_SHARE * whole:
        steps = _steps(kept, unit, fewest)
        saved = cost.saved(kept, steps)
        useful = (steps > 0) & (saved > 0)
        fits = useful & (saved <= over + MISSED_SHARE * whole)
        if not fits.any():
            swapped = _swapped(cost, goal, kept, unit, fewest, losses, MISSED_SHARE * whole)
            if swapped is not None or over <= MISSED_SHARE * whole:
                return kept if swapped is None else swapped
            if not finer or (unit == 1).all():
                return _nearest(kept, steps, saved, over, useful)
            unit = np.maximum(1, unit // 2)
            continue
        price = np.where(fits, losses.of(kept, steps) / np.where(fits, saved, 1), np.inf)
        best = int(np.argmin(price))
        kept[best] -= steps[best]
    return kept


def _steps(kept: Counts, unit: Counts, fewest: Counts) -> Counts:
    """Classes to take away to come to the next multiple; 0 where that would be too many."""
    steps = np.where(kept % unit > 0, kept % unit, unit)
    return np.where(kept - steps >= fewest, steps, 0)


def _swapped(cost: Cost, goal: float, kept: Counts, unit: Counts, fewest: Counts, losses: _Losses,
             tolerance: float) -> Counts | None:
    """One space a step wider and another one narrower, where that meets the goal; the pair that loses least."""
    if len(kept) > _MOST_SWAPPED:
        return None
    best, least = None, np.inf
    for wider in np.flatnonzero(kept < losses.full):
        base = kept.copy()
        base[wider] = min(losses.full[wider], (kept[wider] // unit[wider] + 1) * unit[wider])
        steps = _steps(base, unit, fewest)
        steps[wider] = 0
        missed = np.abs(cost(base) - cost.saved(base, steps) - goal)
        for narrower in np.flatnonzero((missed <= tolerance) & (steps > 0)):
            trial = base.copy()
            trial[narrower] -= steps[narrower]
            loss = float(losses.total(trial[None])[0])
            if loss < least:
                best, least = trial, loss
    return best


def _nearest(kept: Counts, steps: Counts, saved: NDArray[np.float64], over: float, useful: NDArray[np.bool_]) -> Counts:
    """One more step past the goal, where that comes closer to it than staying above."""
    past = np.where(useful, saved - over, np.inf)
    best = int(np.argmin(past)) if len(past) else 0
    if len(past) and past[best] < over:
        kept[best] -= steps[best]
    return kept


class _Losses:
    """Importance lost by the next steps: the least important classes of a space go first."""

    def __init__(self, spaces: Sequence[Space], scores: Scores) -> None:
        self._sums = [np.concatenate([[0.0], np.cumsum(np.sort(scores[space.classes]))]) for space in spaces]
        self.full = full(spaces)

    def of(self, kept: Counts, steps: Counts) -> NDArray[np.float64]:
        """What each space's step loses.  # (spaces,)."""
        gone = self.full - kept
        lost = [sums[start + step] - sums[start] for sums, start, step in zip(self._sums, gone, steps, strict=True)]
        return np.array(lost) * self.full / kept

    def total(self, choices: Counts) -> NDArray[np.float64]:
        """What each of several choices loses in all.  # (choices, spaces) -> (choices,)."""
        lost = np.zeros(len(choices))
        for sums, most, kept in zip(self._sums, self.full, choices.T, strict=True):
            lost += sums[most - kept] * most / kept
        return lost


def lost(spaces: Sequence[Space], scores: Scores, choices: Counts) -> NDArray[np.float64]:
    """The importance that each of several choices loses in all.  # (choices, spaces) -> (choices,)."""
    return _Losses(spaces, scores).total(choices)


def going(spaces: Sequence[Space], scores: Scores, kept: Counts) -> list[int]:
    """The classes that go: of each space the least important ones; of equal ones those that come first."""
    found: list[int] = []
    for space, count in zip(spaces, kept, strict=True):
        order = np.argsort(scores[space.classes], kind="stable")
        found += [int(root) for root in space.classes[order[:len(order) - int(count)]]]
    return found
