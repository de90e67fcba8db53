"""Counts of channels beside others: a step less of one space, for as many steps more of another as the goal allows.

Importance says which channels of a layer go first, but compares layers only roughly: how much the others can take over
shows in training alone. So what it has chosen is where a search begins, and auditions are what it goes by.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stages.slimming.budget import MISSED_SHARE, lost
from stages.slimming.cutting import Goal, Surveyed, cost_of, guide_to_time, timing
from stages.slimming.importance import Scores
from stages.slimming.spaces import Cost, Counts

_WIDEST = 64
"""Spaces, at most: with more, one step is too little of a model to be heard."""


def trades(surveyed: Surveyed, goal: Goal, scores: Scores, kept: Counts) -> Iterator[Counts]:
    """Each trade that stays at the goal, the one that loses least importance first.

    Args:
        surveyed: the model with all of its channels.
        goal: what is to fall.
        scores: the importance of each class.
        kept: classes that each space keeps before the trade, at the goal.

    Yields:
        (spaces,); for a latency that is measured, each is measured when it is asked for.
    """
    if len(kept) > _WIDEST:
        return
    room = goal.cost + MISSED_SHARE * goal.whole
    if goal.clock is None:
        cost = cost_of(surveyed, goal.budget)
        yield from _by_loss(surveyed, scores, _proposed(surveyed, kept, cost, room))
        return
    time_of = timing(surveyed, goal.clock, scores)
    guide = guide_to_time(surveyed, time_of, goal.savings)
    # the guide's zero is moved to where the model is: what it says of a few steps is then nearly right
    proposed = _proposed(surveyed, kept, guide, room - time_of(kept) + guide(kept))
    for trial in _by_loss(surveyed, scores, proposed):
        if time_of(trial) <= room:
            yield trial


def _proposed(surveyed: Surveyed, kept: Counts, cost: Cost, room: float) -> Iterator[Counts]:
    """Every pair of a space that gives a step, or none, and one that takes as many as there is room for."""
    numbers = range(len(kept))
    for gives in (None, *numbers):
        base = kept.copy()
        if gives is not None:
            base[gives] = (kept[gives] - 1) // surveyed.unit[gives] * surveyed.unit[gives]
            if base[gives] < surveyed.fewest[gives]:
                continue
        for takes in numbers:
            trial = base if takes == gives else _grown(surveyed, base, takes, cost, room)
            if trial[takes] > kept[takes]:
                yield trial


def _grown(surveyed: Surveyed, base: Counts, takes: int, cost: Cost, room: float) -> Counts:
    """As many steps more of one space as there is room for."""
    trial = base.copy()
    while trial[takes] < surveyed.all[takes]:
        more = trial.copy()
        unit = surveyed.unit[takes]
        more[takes] = min(surveyed.all[takes], (trial[takes] // unit + 1) * unit)
        if cost(more) > room:
            break
        trial = more
    return trial


def _by_loss(surveyed: Surveyed, scores: Scores, proposed: Iterator[Counts]) -> list[Counts]:
    """The ones that lose least importance first."""
    found = list(proposed)
    if not found:
        return []
    order = np.argsort(lost(surveyed.spaces, scores, np.stack(found)), kind="stable")
    return [found[int(place)] for place in order]
