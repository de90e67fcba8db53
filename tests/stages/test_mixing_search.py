"""The search: the built model decides, and what cannot be kept is said with the least that can."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from device_profiles.errors import StageError
from stages.mixing.search import Built, Formats, Search
from stages.mixing.solver import Choice

LAYERS = 6


def search(drop: Callable[[int], float], rounds: int = 8, extra_bytes: int = 0, floats: bool = False) -> Search:
    """Six layers that each cost 10 bytes in int8 and 5 in int4, where they lose 1; `drop` of how many are int4."""
    def build(formats: Formats) -> Built:
        low = formats.count("int4")
        return Built(drop(low), 100 + 60 - 5 * low + extra_bytes)
    choices = [Choice("int8", "int8", 10, 0.0 if floats else 0.1), Choice("int4", "int8", 5, 1.0)]
    return Search([list(choices) for _ in range(LAYERS)], [], list(range(LAYERS)), build, 100, rounds)


def test_where_losses_add_up_as_predicted_the_first_rounds_find_the_best() -> None:
    work = search(lambda low: 0.5 * low)
    chosen = work.done[work.for_drop(1.6, 0.5)]
    assert chosen.formats == {"int4": 3, "int8": 3}
    assert (chosen.accepted, chosen.predicted_cost, chosen.tflite_bytes) == (True, 145, 145)


def test_where_losses_compound_the_bound_is_tightened_until_the_drop_is_kept() -> None:
    work = search(lambda low: 0.2 * low ** 2)
    chosen = work.done[work.for_drop(1.0, 0.2)]  # the additive model would take 5 layers, which lose 5 points
    assert work.done[0].accepted is False
    assert chosen.formats == {"int4": 2, "int8": 4}


def test_a_drop_that_stays_low_lets_the_bound_rise() -> None:
    work = search(lambda low: 0.0)
    chosen = work.done[work.for_drop(0.5, 0.5)]
    assert chosen.formats == {"int4": 6}
    assert len(work.done) > 1


def test_without_a_slope_the_cheapest_is_tried_first() -> None:
    work = search(lambda low: 0.0)
    assert work.for_drop(0.5, 0.0) == 0
    assert work.done[0].formats == {"int4": 6}


def test_a_drop_that_nothing_keeps_is_said_with_the_least_that_was_found() -> None:
    with pytest.raises(StageError, match=r"0\.1 points cannot be kept: the least that was found is 3") as caught:
        search(lambda low: 3 + low).for_drop(0.1, 1.0)
    assert "quantize.mixed.drop_points of 3 or more" in caught.value.allowed


def test_a_drop_of_zero_is_met_by_what_loses_nothing() -> None:
    work = search(lambda low: float(low > 0), floats=True)
    assert work.done[work.for_drop(0.0, 1.0)].formats == {"int8": 6}


def test_the_rounds_are_not_exceeded_but_for_the_last_resort() -> None:
    work = search(lambda low: 0.0 if low == 0 else 5.0, rounds=2, floats=True)
    work.for_drop(1.0, 0.01)
    assert len(work.done) <= 3


def test_a_budget_gives_the_least_loss_that_it_pays_for() -> None:
    work = search(lambda low: 0.1 * low)
    chosen = work.done[work.for_budget(150, of_file=True)]
    assert chosen.formats == {"int4": 2, "int8": 4}
    assert chosen.tflite_bytes == 150


def test_a_file_larger_than_predicted_lowers_the_budget_by_the_difference() -> None:
    work = search(lambda low: 0.1 * low, extra_bytes=8)
    chosen = work.done[work.for_budget(150, of_file=True)]
    assert [each.accepted for each in work.done] == [False, True]
    assert chosen.formats == {"int4": 4, "int8": 2}  # 140 predicted, and 8


def test_a_file_smaller_than_predicted_leaves_room_for_more() -> None:
    """The cheapest choice is predicted to have 130 bytes and has 110: what is left buys three layers in 8 bits."""
    work = search(lambda low: 0.1 * low, extra_bytes=-20)
    chosen = work.done[work.for_budget(128, of_file=True)]
    assert (chosen.formats, chosen.tflite_bytes) == ({"int4": 3, "int8": 3}, 125)


def test_a_budget_below_the_cheapest_is_said_with_the_least() -> None:
    with pytest.raises(StageError, match="a budget of 120 bytes cannot be kept: the least here is 130"):
        search(lambda low: 0.0).for_budget(120, of_file=True)


def test_a_budget_in_milliseconds_is_the_predicted_one() -> None:
    work = search(lambda low: 0.0, extra_bytes=10**6)
    assert work.for_budget(150, of_file=False) == 0
    assert math.isclose(work.done[0].predicted_cost, 150)
