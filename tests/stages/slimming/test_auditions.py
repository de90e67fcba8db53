"""The search over branches: what it tries, what it keeps, and what it does when nothing can be had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from device_profiles.errors import StageError
from stages.slimming.auditions import Auditions, Heard
from stages.slimming.cutting import TooMuch
from tests.stages.slimming.test_branches import residual

LOSSES = {"nothing": 1.0, "c": 0.7, "d": 0.9, "a .. b": 0.8, "c and a .. b": 0.75}
"""Without the branch of `c`, the other addend of its sum is alone, and no branch any more."""


def listening(losses: dict[str, float]) -> tuple[list[str], Callable[[Any, str], Heard]]:
    heard: list[str] = []

    def audition(model: Any, words: str) -> Heard:
        heard.append(words)
        if words not in losses:
            raise TooMuch(f"{words} is too much")
        return Heard(losses[words], {"a": len(words)})
    return heard, audition


def test_the_best_single_branch_goes_and_a_second_one_only_where_that_is_better_still(tmp_path: Path) -> None:
    heard, audition = listening(LOSSES)
    gone, records = Auditions(residual(), (), 12, tmp_path, audition).run()
    assert [branch.layers for branch in gone] == [("c",)]
    assert heard[0] == "nothing"
    assert sorted(heard) == sorted(LOSSES)
    assert (records[0].validation_loss, records[0].channels) == (1.0, {"a": 7})  # "nothing" has seven letters


def test_nothing_goes_where_nothing_is_better(tmp_path: Path) -> None:
    _, audition = listening(dict.fromkeys(LOSSES, 1.0))
    assert Auditions(residual(), (), 12, tmp_path, audition).run()[0] == ()


def test_no_more_auditions_than_allowed_and_the_heaviest_branch_first(tmp_path: Path) -> None:
    heard, audition = listening(LOSSES)
    gone, _ = Auditions(residual(), (), 2, tmp_path, audition).run()
    assert heard == ["nothing", "a .. b"]  # 5 * 19 + 3 * 46 weights; d has 4 * 28, c has 4 * 4
    assert [branch.layers for branch in gone] == [("a", "b")]


def test_a_choice_that_cannot_meet_the_goal_is_noted_and_never_taken(tmp_path: Path) -> None:
    _, audition = listening({"nothing": 1.0, "d": 0.9})
    gone, records = Auditions(residual(), (), 12, tmp_path, audition).run()
    assert [branch.layers for branch in gone] == [("d",)]
    refused = {record.without[-1].name: record.refused for record in records if record.validation_loss is None}
    assert refused["c"] == "c is too much"


def test_where_no_choice_meets_the_goal_the_reason_is_the_whole_model_s(tmp_path: Path) -> None:
    _, audition = listening({})
    with pytest.raises(StageError, match="nothing is too much"):
        Auditions(residual(), (), 12, tmp_path, audition).run()


def test_a_search_that_was_killed_goes_on_with_what_it_had(tmp_path: Path) -> None:
    heard, audition = listening(LOSSES)

    def killed(model: Any, words: str) -> Heard:
        if len(heard) == 2:
            raise KeyboardInterrupt
        return audition(model, words)

    with pytest.raises(KeyboardInterrupt):
        Auditions(residual(), (), 12, tmp_path, killed).run()
    before = list(heard)
    gone, records = Auditions(residual(), (), 12, tmp_path, audition).run()
    assert heard[:2] == before
    assert sorted(heard) == sorted(LOSSES)  # none twice
    assert len(records) == len(LOSSES)
    assert [branch.layers for branch in gone] == [("c",)]


def test_another_fault_of_an_audition_is_not_swallowed(tmp_path: Path) -> None:
    def broken(model: Any, words: str) -> Heard:
        raise StageError("the converter refused")

    with pytest.raises(StageError, match="the converter refused"):
        Auditions(residual(), (), 12, tmp_path, broken).run()
