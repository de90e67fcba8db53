"""Trades between layers: what is proposed beside a choice, in which order, and what is timed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.slimming import trades as module
from stages.slimming.budget import Bounds
from stages.slimming.cutting import Goal, Surveyed, survey
from stages.slimming.trades import trades
from tests.stages.slimming.test_cutting import network

KEPT = (12, 8)
"""Of `one` and `two`, which have 16 channels each. With a and b of them the network has 19 a + 9 a b + 3 b + 2
parameters: 2,658 with all, 1,118 with these. One step is 4 channels."""


def surveyed() -> Surveyed:
    return survey(network(), (), Bounds(multiple=4))


def scores(found: Surveyed, one: float, two: float) -> Any:
    """So much for each channel."""
    worth = np.zeros(len(found.trace.ledger.labels))
    for space, each in zip(found.spaces, (one, two), strict=True):
        worth[space.classes] = each
    return worth


def offered(goal: Goal, found: Surveyed, one: float = 1.0, two: float = 10.0,
            kept: tuple[int, ...] = KEPT) -> list[tuple[int, ...]]:
    return [tuple(trial.tolist()) for trial in trades(found, goal, scores(found, one, two), np.array(kept))]


@pytest.mark.parametrize(("one", "two", "order"), [
    (1.0, 10.0, [(8, 12), (16, 4)]),  # lost, times 16 / kept: 8 * 2 + 40 * 4 / 3 = 69 against 120 * 4 = 480
    (10.0, 1.0, [(16, 4), (8, 12)])])  # 12 * 4 = 48 against 80 * 2 + 4 * 4 / 3 = 165
def test_a_step_less_of_one_layer_pays_for_steps_of_another(one: float, two: float, order: list[Any]) -> None:
    # 1,118 and a point of 2,658 is 1,144.6: (8, 12) has 1,054, (8, 16) 1,354; (16, 4) has 894
    assert offered(Goal("parameters", 2658, 1 - 1118 / 2658), surveyed(), one, two) == order


def test_where_there_is_room_a_layer_takes_and_none_gives() -> None:
    # 1,506.6 is room for (16, 8) with 1,482 and not for (12, 12) with 1,562; lost: 16, 160 and 480
    assert offered(Goal("parameters", 2658, 1 - 1480 / 2658), surveyed()) == [(8, 16), (16, 8), (16, 4)]


def test_no_layer_gives_more_than_its_least_share() -> None:
    found = survey(network(), (), Bounds(multiple=4, least_share=0.5))  # 8 of 16 stay
    assert offered(Goal("parameters", 2658, 1 - 1118 / 2658), found) == [(8, 12)]


def test_no_trade_is_offered_where_none_fits() -> None:
    assert offered(Goal("parameters", 2658, 1 - 1354 / 2658), surveyed(), kept=(8, 16)) == []


def timed(found: Surveyed, share: float) -> tuple[Goal, list[int]]:
    """A goal in a time that is the number of parameters, and what was timed."""
    seen: list[int] = []

    def clock(model: Any) -> float:
        seen.append(model.count_params())
        return float(model.count_params())

    return Goal("latency", 2658.0, share, clock), seen


def test_a_time_is_guessed_first_and_measured_before_a_trade_is_offered() -> None:
    found = surveyed()
    goal, seen = timed(found, 1 - 1118 / 2658)
    assert offered(goal, found) == [(8, 12), (16, 4)]
    assert seen[:4] == [2658, 1354, 1482, 1118]  # all, half of each layer, and where the trades begin
    assert seen[4:] == [1054, 894]  # never what the guide thinks far too slow


def test_what_takes_too_long_is_tried_with_a_step_less() -> None:
    found = survey(network(), (), Bounds(multiple=2))
    goal, seen = timed(found, 1 - 1173.4 / 2658)  # and a point: 1,200
    assert offered(goal, found, kept=(16, 4)) == [(14, 6), (16, 6)]
    assert seen[4:] == [1300, 1042, 1188]  # the guide gives 1,156 for (14, 8), 862 for (14, 6), 1,188 for (16, 6)


def test_one_step_is_timed_where_the_guide_may_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GUIDE_SHARE", 0.5)
    found = surveyed()
    goal, seen = timed(found, 1 - 1118 / 2658)
    assert offered(goal, found) == [(8, 12), (16, 4)]
    assert seen[4:] == [1562, 1054, 1482, 894]  # (12, 12) and (16, 8), for which none gives, as well


def test_no_more_trades_are_timed_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_TIMED", 1)
    found = surveyed()
    goal, seen = timed(found, 1 - 1118 / 2658)
    assert offered(goal, found) == [(8, 12)]
    assert len(seen) == 5


def test_a_model_with_very_many_layers_trades_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WIDEST", 1)
    assert offered(Goal("parameters", 2658, 1 - 1118 / 2658), surveyed()) == []
