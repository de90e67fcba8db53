"""One removal: follow the channels, weigh them, choose, rebuild, prove. `Goal` says what is to fall, and how far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError
from stages.slimming.budget import MISSED_SHARE, Bounds, choose, floors, full, going, units
from stages.slimming.importance import Scores
from stages.slimming.latency import Clock
from stages.slimming.proof import prove
from stages.slimming.rebuild import Removed, rebuild
from stages.slimming.spaces import Cost, Costs, Counts, Space, find_spaces
from stages.slimming.trace import Trace, trace

TimeOf = Callable[[Counts], float]
_MOST_PROBED = 24
"""Spaces whose time is found out one by one, at most: each is a conversion of a few seconds."""
_MOST_TRIES = 7
_MOST_PAST = 0.03
"""How far past its goal a model without some branches may lie, as a share of the whole."""


class TooMuch(StageError):
    """The goal cannot be met: even the fewest channels cost more, or what is gone already saves more."""


@dataclass(frozen=True)
class Goal:
    """How far a cost is to fall.

    Attributes:
        budget: "macs", "parameters" or "latency".
        whole: the cost of the model as it came.
        share: of that, what is to be gone, 0 to 1.
        clock: for latency.
        savings: for latency, milliseconds that one class saves, found so far: by (layers, classes) of its space.
    """

    budget: str
    whole: float
    share: float
    clock: Clock | None = None
    savings: dict[tuple[tuple[str, ...], int], float] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """What is to be left."""
        return self.whole * (1 - self.share)


@dataclass(frozen=True)
class Surveyed:
    """A model, the channels that may go, and its costs."""

    model: Any
    trace: Trace
    spaces: list[Space]
    macs: Cost
    parameters: Cost
    fewest: Counts
    unit: Counts

    @property
    def all(self) -> Counts:
        """Everything kept."""
        return full(self.spaces)

    def channels(self) -> dict[str, int]:
        """By layer that makes channels, how many."""
        return {name: len(self.trace.ledger.made[name]) for name in self.trace.layers}

    def counting(self, scores: Scores, joined_worth: float) -> Scores:
        """The scores with channels that additions join counting so many times."""
        found = scores.copy()
        for space in self.spaces:
            found[space.classes] *= joined_worth if space.joined else 1.0
        return found

    def removed(self, scores: Scores, kept: Counts) -> Removed:
        """The least important classes, so many that `kept` stay."""
        return Removed(self.trace, going(self.spaces, scores, kept))


@dataclass(frozen=True)
class Narrowed:
    """A model after a removal, the cost that it has by the goal's measure, and the proof's difference."""

    model: Any
    kept: Counts
    cost: float
    proof: float


def survey(model: Any, protect: tuple[str, ...], bounds: Bounds) -> Surveyed:
    """What may go, and what everything costs.

    Raises:
        ModelError: a protected layer that is not there.
        StageError: no channel of the model can go.
    """
    traced = trace(model, protect)
    spaces = find_spaces(traced)
    if not spaces:
        reasons = "; ".join(f"'{name}': {reason}" for name, reason in list(traced.fixed().items())[:3])
        raise StageError("no channel of the model can be removed" + (f": {reasons}" if reasons else
                         f": '{model.layers[-1].name}' and the layers before it make none that can be followed"),
                         "layers between input and output that make channels", "choose a variant without slim")
    costs = Costs(traced, spaces, model)
    now = {name: len(traced.ledger.made[name]) for name in traced.layers}
    return Surveyed(model, traced, spaces, costs.macs(), costs.parameters(), floors(spaces, bounds, now),
                    units(spaces, bounds))


def narrow(surveyed: Surveyed, goal: Goal, scores: Scores, inputs: Any, planned: Counts | None = None) -> Narrowed:
    """Remove channels until the goal is reached.

    Args:
        surveyed: the model.
        goal: what is to fall.
        scores: the importance of each class.
        inputs: samples for the proof, as the model is called with them.
        planned: how many classes each space keeps, where an earlier try has found it out.

    Raises:
        StageError: the narrower model computes something else.
    """
    find = _within_latency if goal.clock else _within_cost
    kept, cost = find(surveyed, goal, scores, planned)
    removed = surveyed.removed(scores, kept)
    model = rebuild(surveyed.model, removed)
    return Narrowed(model, kept, cost, prove(surveyed.model, model, surveyed.trace, removed, inputs))


def cost_of(surveyed: Surveyed, budget: str) -> Cost:
    """MACs or parameters."""
    return surveyed.parameters if budget == "parameters" else surveyed.macs


def _within_cost(surveyed: Surveyed, goal: Goal, scores: Scores, planned: Counts | None) -> tuple[Counts, float]:
    """For MACs and parameters, which are known of any choice."""
    cost = cost_of(surveyed, goal.budget)
    kept = planned if planned is not None else choose(
        cost, goal.cost, surveyed.spaces, scores, surveyed.fewest, surveyed.unit, goal.whole)
    return kept, cost(kept)


def _within_latency(surveyed: Surveyed, goal: Goal, scores: Scores, planned: Counts | None) -> tuple[Counts, float]:
    """For milliseconds: choose by a linear guide, look at the model itself, and aim again."""
    clock = goal.clock
    if clock is None:
        raise StageError("a latency budget has no clock", "a profile", "set slim.profile")

    time_of = timing(surveyed, clock, scores)
    if planned is not None:
        return planned, time_of(planned)
    guide = guide_to_time(surveyed, time_of, goal.savings)
    found = _aimed(goal, guide, surveyed, scores, time_of)
    if abs(found[1] - goal.cost) <= MISSED_SHARE * goal.whole:
        return found
    again = _aimed(goal, guide, surveyed, scores, time_of, finer=True)
    return _filled(goal, surveyed, time_of, *min(found, again, key=lambda each: abs(each[1] - goal.cost)))


def timing(surveyed: Surveyed, clock: Clock, scores: Scores) -> TimeOf:
    """What says how many milliseconds a model takes with so many classes of each space kept."""
    return lambda kept: clock(rebuild(surveyed.model, surveyed.removed(scores, kept)))


def _filled(goal: Goal, surveyed: Surveyed, time_of: TimeOf, kept: Counts,
            cost: float) -> tuple[Counts, float]:
    """The next multiples up, where kernels take no longer for these: channels that cost nothing are kept."""
    up = np.minimum(surveyed.all, -(-kept // surveyed.unit) * surveyed.unit)
    above = time_of(up)
    return (up, above) if above <= max(cost, goal.cost + MISSED_SHARE * goal.whole) else (kept, cost)


def _aimed(goal: Goal, guide: Cost, surveyed: Surveyed, scores: Scores,
           time_of: TimeOf, finer: bool = False) -> tuple[Counts, float]:
    """The choice whose time comes closest to the goal: bisection over the guide's cost."""
    low, high = guide(surveyed.fewest), guide(surveyed.all)
    tried: dict[tuple[int, ...], float] = {}
    aim = min(high, max(low, guide(surveyed.all) * goal.cost / time_of(surveyed.all)))
    for _ in range(_MOST_TRIES):
        kept = choose(guide, aim, surveyed.spaces, scores, surveyed.fewest, surveyed.unit, guide(surveyed.all),
                      finer)
        key = tuple(int(count) for count in kept)
        tried[key] = tried[key] if key in tried else time_of(kept)
        if abs(tried[key] - goal.cost) <= MISSED_SHARE * goal.whole / 2:
            break
        low, high = (low, aim) if tried[key] > goal.cost else (aim, high)
        aim = (low + high) / 2
    best = min(tried, key=lambda key: abs(tried[key] - goal.cost))
    return np.array(best, np.int64), tried[best]


def guide_to_time(surveyed: Surveyed, time_of: TimeOf, savings: dict[tuple[tuple[str, ...], int], float]) -> Cost:
    """What a class of each space saves in time, found by halving one space after the other, if not found before."""
    spaces, everything = surveyed.spaces, surveyed.all
    if len(spaces) > _MOST_PROBED:
        return surveyed.macs
    base, per_class = time_of(everything), np.zeros(len(spaces))
    for number, space in enumerate(spaces):
        key = (tuple(space.layers), int(everything[number]))
        if key not in savings:
            kept = everything.copy()
            kept[number] = max(int(surveyed.fewest[number]), int(everything[number]) // 2)
            gone = int(everything[number] - kept[number])
            savings[key] = max(0.0, base - time_of(kept)) / gone if gone else 0.0
        per_class[number] = savings[key]
    return Costs(surveyed.trace, spaces, surveyed.model).linear(base, per_class, everything)


def check_reachable(surveyed: Surveyed, goal: Goal) -> None:
    """Refuse a goal below what is left when every layer keeps its least share.

    Raises:
        TooMuch: says which layer binds, and the most that can go.
    """
    if goal.clock is None:
        least = cost_of(surveyed, goal.budget)(surveyed.fewest)
    else:
        any_scores = np.zeros(len(surveyed.trace.ledger.labels))
        least = goal.clock(rebuild(surveyed.model, surveyed.removed(any_scores, surveyed.fewest)))
    if least <= goal.cost + MISSED_SHARE * goal.whole:
        return
    most = 100 * (1 - least / goal.whole)
    name, why = _binding(surveyed)
    raise TooMuch(
        f"{100 * goal.share:.0f} % of the {WORDS[goal.budget]} cannot go: with the fewest channels that may stay, "
        f"'{name}' alone has {_share_left(surveyed, name):.0f} % of the MACs that are left ({why})",
        f"at most {max(0, int(most))} %", "ask for less, lower slim.least_share, or protect fewer layers")


def check_not_past(narrowed: Narrowed, goal: Goal) -> None:
    """Refuse a model that has lost more than was asked for: it would win by being another one.

    Raises:
        TooMuch: it has.
    """
    past = goal.cost - narrowed.cost
    if past > _MOST_PAST * goal.whole:
        raise TooMuch(f"{100 * (1 - narrowed.cost / goal.whole):.0f} % of the {WORDS[goal.budget]} would go, more than "
                      f"{100 * goal.share:.0f} %", f"at least {100 * (1 - goal.share):.0f} % left", "ask for more")


WORDS: Mapping[str, str] = {"macs": "MACs", "parameters": "parameters", "latency": "latency"}


def _work_left(surveyed: Surveyed) -> dict[str, float]:
    """MACs by layer with the fewest channels kept."""
    fewest = {int(root): bool(place < count) for space, count in zip(surveyed.spaces, surveyed.fewest, strict=True)
              for place, root in enumerate(space.classes)}
    roots = surveyed.trace.ledger.labels.roots

    def length(labels: NDArray[np.int64] | None) -> int:
        """Channels that stay."""
        return 1 if labels is None else sum(fewest.get(int(root), True) for root in roots(labels))

    found: dict[str, float] = {}
    for work in surveyed.trace.ledger.work:
        found[work.layer] = found.get(work.layer, 0) + work.factor * length(work.reads) * length(work.makes)
    return found


def _binding(surveyed: Surveyed) -> tuple[str, str]:
    """The layer with the most MACs left, and why it cannot be smaller."""
    left = _work_left(surveyed)
    name = max(left, key=lambda each: left[each]) if left else surveyed.model.layers[-1].name
    return name, surveyed.trace.fixed().get(name, "its layers keep their least share")


def _share_left(surveyed: Surveyed, name: str) -> float:
    left = _work_left(surveyed)
    return 100 * left.get(name, 0) / max(1.0, sum(left.values()))
