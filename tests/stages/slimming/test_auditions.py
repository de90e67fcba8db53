"""The search over branches and worths: what it tries, what it keeps, and what it does when nothing can be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from device_profiles.errors import StageError
from stages.records import SlimAudition
from stages.slimming.auditions import Auditions, Choice, Heard
from stages.slimming.branches import Branch
from stages.slimming.cutting import TooMuch
from tests.stages.slimming.test_branches import residual

LOSSES = {"nothing": 1.0, "c": 0.7, "d": 0.9, "a .. b": 0.8, "c and a .. b": 0.75}
"""Without the branch of `c`, the other addend of its sum is alone, and no branch any more."""


def said(gone: Sequence[Branch]) -> str:
    return " and ".join(branch.record.name for branch in gone) or "nothing"


class Hearings:
    """Hears by a table; by (words, worth) where that is in it."""

    def __init__(self, losses: dict[Any, float], unreachable: tuple[str, ...] = ()) -> None:
        self.losses, self.unreachable = losses, unreachable
        self.heard: list[Any] = []
        self.adapting: list[str] = []
        self.models: list[Any] = []
        self.traded: list[tuple[int, ...]] = []
        self.beside: dict[tuple[int, ...], list[tuple[int, ...]]] = {}

    def adapted(self, model: Any, gone: Sequence[Branch]) -> Any:
        self.adapting.append(said(gone))
        if said(gone) in self.unreachable:
            raise TooMuch(f"{said(gone)} cannot be")
        return model

    def audition(self, model: Any, choice: Choice) -> Heard:
        words = said(choice.gone)
        self.models.append(model)
        key = (words, choice.joined_worth) if (words, choice.joined_worth) in self.losses else words
        self.heard.append(key)
        if key not in self.losses:
            raise TooMuch(f"{words} is too much")
        kept = choice.kept or (len(words),)
        return Heard(self.losses[kept] if choice.kept else self.losses[key], {"a": len(words)}, kept)

    def trades(self, model: Any, choice: Choice) -> Iterator[tuple[int, ...]]:
        self.traded.append(choice.kept)
        yield from self.beside.get(choice.kept, ())


def search(folder: Path, hearings: Hearings, worths: tuple[float, ...] = (1.0,), most: int = 12,
           branches: bool = True) -> Auditions:
    return Auditions(residual(), (), worths, most, folder, hearings, branches)


def found(auditions: Auditions) -> tuple[Choice, tuple[SlimAudition, ...]]:
    return auditions.run(), auditions.records


def test_the_best_single_branch_goes_and_a_second_one_only_where_that_is_better_still(tmp_path: Path) -> None:
    hearings = Hearings(LOSSES)
    choice, records = found(search(tmp_path, hearings))
    assert ([branch.layers for branch in choice.gone], choice.kept) == ([("c",)], (1,))  # what was left without "c"
    assert hearings.heard[0] == "nothing"
    assert sorted(hearings.heard) == sorted(LOSSES)
    assert (records[0].validation_loss, records[0].channels) == (1.0, {"a": 7})  # "nothing" has seven letters


def test_nothing_goes_where_nothing_is_better(tmp_path: Path) -> None:
    assert search(tmp_path, Hearings(dict.fromkeys(LOSSES, 1.0))).run() == Choice((), 1.0, (7,), 1.0)  # "nothing"


def test_no_more_auditions_than_allowed_and_the_heaviest_branch_first(tmp_path: Path) -> None:
    hearings = Hearings(LOSSES)
    choice = search(tmp_path, hearings, most=2).run()
    assert hearings.heard == ["nothing", "a .. b"]  # 5 * 19 + 3 * 46 weights; d has 4 * 28, c has 4 * 4
    assert [branch.layers for branch in choice.gone] == [("a", "b")]


def test_each_choice_of_branches_is_heard_with_each_worth_on_one_adapted_model(tmp_path: Path) -> None:
    table: dict[Any, float] = {**LOSSES, ("d", 4.0): 0.1}
    hearings = Hearings(table)
    choice, records = found(search(tmp_path, hearings, (1.0, 4.0)))
    assert ([branch.layers for branch in choice.gone], choice.joined_worth) == ([("d",)], 4.0)
    assert hearings.heard[:2] == ["nothing", "nothing"]
    assert [record.joined_worth for record in records[:4]] == [1.0, 4.0, 1.0, 4.0]
    assert len(set(hearings.adapting)) == len(hearings.adapting)
    assert len(records) == 2 * len(hearings.adapting)


def test_an_odd_number_of_auditions_ends_between_two_worths(tmp_path: Path) -> None:
    hearings = Hearings(LOSSES)
    _, records = found(search(tmp_path, hearings, (1.0, 4.0), most=3))
    assert [(said_by(record), record.joined_worth) for record in records] == [
        ("nothing", 1.0), ("nothing", 4.0), ("a .. b", 1.0)]


def said_by(record: Any) -> str:
    return " and ".join(branch.name for branch in record.without) or "nothing"


def test_worths_alone_are_tried_where_branches_stay(tmp_path: Path) -> None:
    hearings = Hearings({("nothing", 1.0): 1.0, ("nothing", 4.0): 0.5})
    choice, records = found(search(tmp_path, hearings, (1.0, 4.0), branches=False))
    assert choice == Choice((), 4.0, (7,), 0.5)
    assert len(records) == 2


def test_a_choice_that_cannot_meet_the_goal_is_noted_and_never_taken(tmp_path: Path) -> None:
    choice, records = found(search(tmp_path, Hearings({"nothing": 1.0, "d": 0.9})))
    assert [branch.layers for branch in choice.gone] == [("d",)]
    refused = {said_by(record): record.refused for record in records if record.validation_loss is None}
    assert refused["c"] == "c is too much"


def test_what_cannot_be_adapted_is_heard_with_no_worth(tmp_path: Path) -> None:
    hearings = Hearings(LOSSES, unreachable=("c",))
    choice, records = found(search(tmp_path, hearings, (1.0, 4.0)))
    assert [branch.layers for branch in choice.gone] == [("a", "b")]
    assert "c" not in hearings.heard
    assert [record.refused for record in records if said_by(record) == "c"] == ["c cannot be"] * 2


def test_where_no_choice_meets_the_goal_the_reason_is_the_whole_model_s(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="nothing is too much"):
        search(tmp_path, Hearings({})).run()


def test_a_search_that_was_killed_goes_on_with_what_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hearings = Hearings(LOSSES)
    audition: Callable[[Any, Choice], Heard] = hearings.audition

    def killed(model: Any, choice: Choice) -> Heard:
        if len(hearings.heard) == 2:
            raise KeyboardInterrupt
        return audition(model, choice)

    with monkeypatch.context() as patch:
        patch.setattr(hearings, "audition", killed)
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path, hearings).run()
    before = list(hearings.heard)
    hearings.adapting.clear()
    choice, records = found(search(tmp_path, hearings))
    assert hearings.heard[:2] == before
    assert sorted(hearings.heard) == sorted(LOSSES)  # none twice
    assert not {"nothing", "a .. b"} & set(hearings.adapting)  # nothing is trained for what is known
    assert len(records) == len(LOSSES)
    assert [branch.layers for branch in choice.gone] == [("c",)]


def test_another_fault_of_an_audition_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hearings = Hearings(LOSSES)

    def broken(model: Any, choice: Choice) -> Heard:
        raise StageError("the converter refused")

    monkeypatch.setattr(hearings, "audition", broken)
    with pytest.raises(StageError, match="the converter refused"):
        search(tmp_path, hearings).run()


def test_what_joined_channels_count_is_heard_again_without_the_branches_that_have_gone(tmp_path: Path) -> None:
    hearings = Hearings(LOSSES | {("c", 1.0): 0.6, ("c", 4.0): 0.7})
    auditions = search(tmp_path, hearings, (1.0, 4.0))
    choice = auditions.run()
    assert (said(choice.gone), choice.joined_worth) == ("c", 1.0)
    hearings.losses |= {("c", 1.0): 0.5, ("c", 4.0): 0.4}  # trained at length, it is the other way round
    hearings.adapting.clear()
    first, trained = auditions.records, residual()
    better = auditions.again(choice, trained)
    assert (said(better.gone), better.joined_worth, better.kept) == ("c", 4.0, (1,))
    assert hearings.models[-2:] == [trained, trained]
    assert hearings.adapting == []  # it is as it should be
    assert [(said_by(one), one.joined_worth, one.again, one.validation_loss)
            for one in auditions.records[len(first):]] == [("c", 1.0, True, 0.5), ("c", 4.0, True, 0.4)]
    assert not any(one.again for one in first)


def test_what_was_heard_again_is_not_heard_a_third_time(tmp_path: Path) -> None:
    hearings = Hearings(LOSSES)
    auditions = search(tmp_path, hearings)
    choice = auditions.run()
    assert auditions.again(choice, residual()) == choice
    hearings.heard.clear()
    going_on = search(tmp_path, hearings)
    assert going_on.again(going_on.run(), residual()) == choice
    assert (hearings.heard, going_on.records) == ([], auditions.records)


def test_where_nothing_meets_the_goal_any_more_the_first_choice_stays(tmp_path: Path) -> None:
    hearings = Hearings(dict(LOSSES))
    auditions = search(tmp_path, hearings)
    choice = auditions.run()
    del hearings.losses["c"]
    assert auditions.again(choice, residual()) == choice
    assert auditions.records[-1].refused == "c is too much"


TRADES: dict[Any, float] = {"nothing": 1.0, (8,): 0.9, (9,): 0.95, (10,): 0.7, (11,): 0.8}


def trading() -> Hearings:
    """`nothing` keeps (7,), beside which are (9,) and (8,), beside which are (10,) and (11,)."""
    hearings = Hearings(dict(TRADES))
    hearings.beside = {(7,): [(9,), (8,)], (9,): [(7,), (8,)], (8,): [(9,), (10,), (11,)], (10,): [(8,), (11,)]}
    return hearings


def test_layers_trade_channels_until_no_trade_makes_it_better(tmp_path: Path) -> None:
    hearings = trading()
    auditions = search(tmp_path, hearings, branches=False)
    choice = auditions.trade(auditions.run(), residual(), 12)
    assert choice == Choice((), 1.0, (10,), 0.7)
    assert hearings.traded == [(7,), (9,), (8,), (10,)]  # the first better one is gone on from
    traded = [(record.kept, record.validation_loss) for record in auditions.records if record.traded]
    assert traded == [((9,), 0.95), ((8,), 0.9), ((10,), 0.7), ((11,), 0.8)]  # none twice


@pytest.mark.parametrize(("most", "kept"), [(0, (7,)), (1, (9,)), (2, (8,)), (3, (10,))])
def test_no_more_trades_are_heard_than_allowed(tmp_path: Path, most: int, kept: tuple[int, ...]) -> None:
    auditions = search(tmp_path, trading(), branches=False)
    assert auditions.trade(auditions.run(), residual(), most).kept == kept
    assert sum(record.traded for record in auditions.records) == most


def test_trades_of_an_earlier_run_count(tmp_path: Path) -> None:
    auditions = search(tmp_path, trading(), branches=False)
    auditions.trade(auditions.run(), residual(), 2)
    hearings = trading()
    going_on = search(tmp_path, hearings, branches=False)
    assert going_on.trade(going_on.run(), residual(), 3).kept == (10,)
    assert hearings.traded == [(8,)]
    assert len(hearings.heard) == 1
    assert [record.kept for record in going_on.records if record.traded] == [(9,), (8,), (10,)]


def test_a_trade_that_cannot_meet_the_goal_is_noted_and_never_taken(tmp_path: Path) -> None:
    hearings = trading()
    audition = hearings.audition

    def refused(model: Any, choice: Choice) -> Heard:
        if choice.kept == (9,):
            raise TooMuch("60 % would go")
        return audition(model, choice)

    hearings.audition = refused  # type: ignore[method-assign]
    auditions = search(tmp_path, hearings, branches=False)
    assert auditions.trade(auditions.run(), residual(), 2).kept == (8,)
    assert [(record.kept, record.refused) for record in auditions.records if record.traded] == [
        ((9,), "60 % would go"), ((8,), "")]
