"""Choosing how many channels each space keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.slimming import budget
from stages.slimming.budget import Bounds, choose, floors, full, going, units
from stages.slimming.spaces import Cost, Space


def spaces(*sizes: int, share: int = 1) -> list[Space]:
    """Spaces of so many classes, each made by a layer of its own."""
    starts = np.cumsum([0, *sizes])
    return [Space(np.arange(start, start + size), {f"layer{number}": share})
            for number, (start, size) in enumerate(zip(starts, sizes, strict=False))]


def linear(*prices: float) -> Cost:
    """So much for every class of each space."""
    shares = np.zeros((2, 1, len(prices)))
    shares[0, 0] = prices
    return Cost([1.0], np.array([[0.0], [1.0]]), shares)


def ones(*sizes: int) -> Any:
    return np.array(sizes, np.int64)


def test_the_cheapest_to_lose_for_what_they_save_go_first() -> None:
    two, scores = spaces(8, 8), np.array([1.0] * 8 + [3.0] * 8)
    kept = choose(linear(1, 1), 12, two, scores, ones(2, 2), ones(2, 2), 16)
    assert kept.tolist() == [4, 8]  # loses 4 * 8 / 4 = 8; [6, 6] loses 2 * 8 / 6 + 6 * 8 / 6 = 10.7
    kept = choose(linear(1, 9), 62, two, scores, ones(2, 2), ones(2, 2), 80)
    assert kept.tolist() == [8, 6]  # two that save 18, although each is worth more


def test_what_is_left_of_a_space_counts_the_more_the_less_it_is() -> None:
    two, scores = spaces(8, 8), np.array([1.0] * 8 + [2.0] * 8)
    assert choose(linear(1, 1), 8, two, scores, ones(1, 1), ones(1, 1), 16).tolist() == [3, 5]


@pytest.mark.parametrize("looked_at", [60_000, 0], ids=["all", "greedy"])
def test_the_goal_is_met_within_a_point(looked_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "_MOST_CHOICES", looked_at)
    sizes = (16, 32, 48, 64)
    cost, four = linear(1, 2, 3, 5), spaces(*sizes)
    whole = cost(full(four))
    scores = np.random.default_rng(1).random(sum(sizes))
    for share in (0.1, 0.25, 0.5, 0.7):
        kept = choose(cost, whole * (1 - share), four, scores, ones(2, 4, 6, 8), ones(4, 4, 4, 8), whole)
        assert abs(1 - cost(kept) / whole - share) <= 0.01
        if looked_at:
            assert not (kept % ones(4, 4, 4, 8)).any()


def test_where_multiples_do_not_come_close_the_last_counts_are_finer() -> None:
    kept = choose(linear(1), 13, spaces(16), np.ones(16), ones(1), ones(8), 16)
    assert kept.tolist() == [13]


def test_one_step_past_the_goal_is_taken_where_it_comes_closer() -> None:
    assert choose(linear(1), 1.9, spaces(4), np.ones(4), ones(1), ones(1), 4).tolist() == [2]
    assert choose(linear(1), 1.2, spaces(4), np.ones(4), ones(1), ones(1), 4).tolist() == [1]
    assert choose(linear(1), 0.2, spaces(4), np.ones(4), ones(2), ones(1), 4).tolist() == [2]


def test_of_equal_channels_the_first_go_and_never_more_than_asked() -> None:
    two = spaces(3, 2)
    assert going(two, np.array([2.0, 1, 1, 5, 4]), ones(1, 1)) == [1, 2, 4]
    assert going(two, np.zeros(5), ones(3, 2)) == []


def test_multiples_are_counted_in_channels_and_narrow_layers_have_smaller_ones() -> None:
    assert units(spaces(64, 32, 16, 8, 3), Bounds()).tolist() == [8, 8, 8, 4, 1]
    assert units(spaces(64, 3), Bounds(multiple=16)).tolist() == [16, 16]
    assert units(spaces(16, share=2), Bounds(multiple=8)).tolist() == [4]  # four classes of two channels
    assert units(spaces(16, share=16), Bounds(multiple=8)).tolist() == [1]


def test_a_layer_keeps_its_least_share_of_what_it_had_at_first() -> None:
    now = {"layer0": 8, "layer1": 6}
    assert floors(spaces(8, 6), Bounds(least_share=0.25), now).tolist() == [2, 2]
    bounds = Bounds(least_share=0.25, originals={"layer0": 16, "layer1": 6})
    assert floors(spaces(8, 6), bounds, now).tolist() == [4, 2]
    assert floors(spaces(2), Bounds(least_share=0.01), {"layer0": 2}).tolist() == [1]
