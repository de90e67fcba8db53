"""Counts of channels beside others: a step less of one space, for as many steps more of another as the goal allows.

Importance says which channels of a layer go first, but compares layers only roughly: how much the others can take over
shows in training alone. So what it has chosen is where a search begins, and auditions are what it goes by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from stages.slimming.budget import MISSED_SHARE, lost
from stages.slimming.cutting import Goal, Surveyed, cost_of, guide_to_time, timing
from stages.slimming.importance import Scores
from stages.slimming.spaces import Cost, Counts

WIDEST = 64
"""Spaces, at most: of more, one step is too little of a model to be heard."""
_MOST_TIMED = 32
"""Trades beside one choice whose time is measured, at most: each is a conversion of a few seconds."""
_GUIDE_SHARE = 0.05
"""What a linear guide to the time may be wrong by, as a share of the whole: so much too slow, a step is still timed."""


def trades(surveyed: Surveyed, goal: Goal, scores: Scores, kept: Counts) -> Iterator[Counts]:
    """Each trade that stays at the goal, the one that loses least importance first.

    Args:
        surveyed: the model with all of its channels.
        goal: what is to fall.
        scores: the importance of each class.
        kept: classes that each space keeps before the trade, at the goal.

    Yields:
        (spaces,); for a latency, each is converted and timed when it is asked for.
    """
    if len(kept) > WIDEST:
        return
    room = goal.cost + MISSED_SHARE * goal.whole
    if goal.clock is None:
        for series in _by_loss(surveyed, scores, _proposed(surveyed, kept, cost_of(surveyed, goal.budget), room)):
            yield series[-1]
        return
    time_of = timing(surveyed, goal.clock, scores)
    guide = guide_to_time(surveyed, time_of, goal.savings)
    # the guide's zero is moved to where the model is: what it says of a few steps is then nearly right
    nearly = room - time_of(kept) + guide(kept)
    timed = 0
    for series in _by_loss(surveyed, scores, _proposed(surveyed, kept, guide, nearly, _GUIDE_SHARE * goal.whole)):
        for trial in reversed(series):
            if timed == _MOST_TIMED:
                return
            timed += 1
            if time_of(trial) <= room:
                yield trial
                break


def _proposed(surveyed: Surveyed, kept: Counts, cost: Cost, room: float, doubt: float = 0.0) -> Iterator[list[Counts]]:
    """For every pair of a space that gives a step, or none, and one that takes: one step, two, as long as they fit.

    Args:
        surveyed: the model with all of its channels.
        kept: before the trade.
        cost: of counts.
        room: what they may cost.
        doubt: what a first step may cost beyond that.
    """
    numbers = range(len(kept))
    for gives in (None, *numbers):
        base = kept.copy()
        if gives is not None:
            base[gives] = (kept[gives] - 1) // surveyed.unit[gives] * surveyed.unit[gives]
            if base[gives] < surveyed.fewest[gives]:
                continue
        for takes in numbers:
            series = list(_growing(surveyed, base, takes, cost, room, doubt)) if takes != gives else []
            if series:
                yield series


def _growing(surveyed: Surveyed, base: Counts, takes: int, cost: Cost, room: float, doubt: float) -> Iterator[Counts]:
    """Step by step more of one space."""
    trial, unit, most = base.copy(), surveyed.unit[takes], surveyed.all[takes]
    while trial[takes] < most:
        trial = trial.copy()
        trial[takes] = min(most, (trial[takes] // unit + 1) * unit)
        if cost(trial) > room + doubt:
            return
        yield trial
        doubt = 0.0


def _by_loss(surveyed: Surveyed, scores: Scores, proposed: Iterable[list[Counts]]) -> list[list[Counts]]:
    """The ones that lose least importance first, each taken as its last step leaves it."""
    found = list(proposed)
    if not found:
        return []
    order = np.argsort(lost(surveyed.spaces, scores, np.stack([series[-1] for series in found])), kind="stable")
    return [found[int(place)] for place in order]
