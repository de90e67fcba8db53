"""The choice of formats: by hand, and against trying every choice there is."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from stages.mixing.solver import Choice, Link, solve, worth

FORMATS = (("float32", "float32"), ("int8", "int8"), ("int4", "int8"), ("int16x8", "int16"))
PAIRS = [(made, read) for made in ("float32", "int8", "int16") for read in ("float32", "int8", "int16") if made != read]


def choices(**worths: tuple[float, float]) -> list[Choice]:
    kinds = dict(FORMATS)
    return [Choice(name, kinds[name], cost, loss) for name, (cost, loss) in worths.items()]


def test_the_cheapest_formats_within_the_allowed_loss_are_taken() -> None:
    """Both in int4 lose 5, more than 4: the one that saves less per loss, the first, goes to int8."""
    nodes = [choices(int8=(10, 1), int4=(5, 3)), choices(int8=(40, 1), int4=(20, 2))]
    found = solve(nodes, [], "cost", 4)
    assert found is not None
    assert (found.formats, found.cost, found.loss, found.gap) == (("int8", "int4"), 30, 3, 0)


def test_the_least_loss_within_the_budget_is_taken() -> None:
    nodes = [choices(int8=(10, 1), int4=(5, 3)), choices(int8=(40, 1), int4=(20, 2))]
    found = solve(nodes, [], "loss", 45)
    assert found is not None
    assert (found.formats, found.cost, found.loss) == (("int8", "int4"), 30, 3)  # 45 bytes would buy a loss of 4


def test_a_conversion_that_costs_more_than_it_saves_is_not_made() -> None:
    nodes = [choices(int8=(10, 0)), choices(float32=(8, 0), int8=(10, 0)), choices(int8=(10, 0))]
    dear, cheap = (
        [Link(1, 0, 1, dict.fromkeys(PAIRS, cost)), Link(2, 1, 2, dict.fromkeys(PAIRS, cost))] for cost in (2.0, 0.5))
    kept, turned = solve(nodes, dear, "cost", math.inf), solve(nodes, cheap, "cost", math.inf)
    assert kept is not None
    assert turned is not None
    assert (kept.formats[1], kept.cost) == ("int8", 30)
    assert (turned.formats[1], turned.cost) == ("float32", 29)  # 10 + 8 + 10, and two conversions of 0.5


def test_one_conversion_serves_all_that_read_the_tensor() -> None:
    nodes = [choices(int8=(0, 0)), choices(float32=(0, 0)), choices(float32=(0, 0))]
    links = [Link(7, 0, 1, dict.fromkeys(PAIRS, 3.0)), Link(7, 0, 2, dict.fromkeys(PAIRS, 3.0))]
    found = solve(nodes, links, "cost", math.inf)
    assert found is not None
    assert found.cost == 3


def test_a_conversion_that_the_engine_lacks_is_never_chosen() -> None:
    nodes = [choices(int8=(1, 0)), choices(int8=(9, 0), int16x8=(1, 0))]
    found = solve(nodes, [Link(0, 0, 1, {("int8", "float32"): 0.0})], "cost", math.inf)
    assert found is not None
    assert found.formats == ("int8", "int8")


def test_there_is_no_choice_where_none_keeps_the_bound() -> None:
    assert solve([choices(int8=(10, 1), int4=(5, 3))], [], "cost", 0.5) is None


def test_losses_far_below_one_still_bind() -> None:
    nodes = [choices(int8=(10, 1e-9), int4=(5, 3e-9))] * 2
    found = solve(nodes, [], "cost", 4.5e-9)
    assert found is not None
    assert sorted(found.formats) == ["int4", "int8"]


def random_problem(seed: int) -> tuple[list[list[Choice]], list[Link]]:
    """Five nodes in a row with some longer edges; a few conversions are missing."""
    rng = np.random.default_rng(seed)
    nodes = [[Choice(name, kind, float(rng.integers(1, 50)), float(rng.random()))
              for name, kind in FORMATS[:rng.integers(2, 5)]] for _ in range(5)]
    links = []
    for maker in range(4):
        costs = {pair: float(rng.integers(0, 20)) for pair in PAIRS if rng.random() > 0.15}
        readers = [maker + 1, *(each for each in range(maker + 2, 5) if rng.random() < 0.4)]
        links += [Link(maker, maker, reader, costs) for reader in readers]
    return nodes, links


@pytest.mark.parametrize("goal", [0, 1], ids=["cost", "loss"])
@pytest.mark.parametrize("seed", range(12))
def test_no_choice_is_better_than_the_one_found(seed: int, goal: int) -> None:
    nodes, links = random_problem(seed)
    bound = (1.0 + 0.1 * seed, 40.0 + 10 * seed)[goal]
    every = [worth(nodes, links, names) for names in itertools.product(
        *([choice.format for choice in each] for each in nodes))]
    kept = [each[goal] for each in every if math.isfinite(each[0]) and each[1 - goal] <= bound]
    found = solve(nodes, links, ("cost", "loss")[goal], bound)
    assert (found is None) == (not kept)
    if found is not None:
        assert (found.cost, found.loss)[goal] == pytest.approx(min(kept))
        assert (found.cost, found.loss)[1 - goal] <= bound + 1e-9
