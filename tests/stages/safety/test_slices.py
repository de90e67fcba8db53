"""Slices: written, read, chosen by name, and the worst of them found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import DataError, StoreError, UsageError
from stages.safety import slices
from stages.tasks import TaskSettings, Truth, make_task

TASK = make_task(TaskSettings())


def test_columns_come_back_as_they_were_written_and_groups_are_one_more(tmp_path: Path) -> None:
    slices.write_slices(tmp_path, {"light": ("day", "nacht\u00e9")})
    assert slices.read_slices(tmp_path, ()) == {"light": ("day", "nacht\u00e9")}
    assert list(slices.read_slices(tmp_path, ("anna", "ben"))) == ["light", "group"]
    empty = tmp_path / "empty"
    empty.mkdir()
    slices.write_slices(empty, {})
    assert [*empty.iterdir()] == []
    assert slices.read_slices(empty, ()) == {}


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    (tmp_path / slices.FILE).write_text("[1", "utf-8")
    with pytest.raises(StoreError, match=r"slices_test\.json cannot be read"):
        slices.read_slices(tmp_path, ())


def test_a_column_of_too_many_values_is_no_set_of_slices(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'weight' has 201 values"):
        slices.write_slices(tmp_path, {"weight": tuple(map(str, range(201)))})


def test_groups_are_slices_where_they_are_named_or_asked_for_and_nothing_else_is_there() -> None:
    groups = {"group": ("a", "b")}
    both = {"light": ("day", "day"), **groups}
    assert list(slices.chosen_columns(both, (), asked=True)) == ["light"]
    assert list(slices.chosen_columns(both, ("group",), asked=False)) == ["group"]
    assert list(slices.chosen_columns(groups, (), asked=True)) == ["group"]
    assert slices.chosen_columns(groups, (), asked=False) == {}


def test_a_column_that_is_not_there_is_refused_with_the_near_miss() -> None:
    with pytest.raises(UsageError, match=r"evaluate\.slices names the column 'ligth'.*did you mean 'light'") as caught:
        slices.chosen_columns({"light": ("day",)}, ("ligth",), asked=False)
    assert caught.value.allowed == "light"
    with pytest.raises(UsageError, match="'light'") as caught:
        slices.chosen_columns({}, ("light",), asked=False)
    assert caught.value.allowed == "the data has no slice columns"


def test_the_worst_slice_is_found_and_a_small_one_is_only_named() -> None:
    labels = np.zeros(90, np.int64)
    light = ["day"] * 50 + ["night"] * 35 + ["dawn"] * 5
    variant = np.eye(2)[labels]
    variant[50:57] = [0, 1]  # 7 of 35 at night
    variant[85:] = [0, 1]  # all 5 at dawn
    found = slices.slices_worst(TASK, np.eye(2)[labels], variant, Truth(y=labels), {"light": light}, least=30, seed=0,
                                resamples=100)
    assert found is not None
    assert (found.name, found.figure.value) == ("light=night", 20.0)
    members = {one.name: one for one in found.members}
    assert (members["light=night"].lost, members["light=night"].samples) == (7, 35)
    assert (members["light=dawn"].judged, members["light=dawn"].value) == (False, 100.0)
    assert slices.slices_worst(TASK, variant, variant, Truth(y=labels), {}, least=1, seed=0, resamples=100) is None


def test_a_regressions_slices_are_scored_by_their_own_r2_and_one_without_a_spread_is_not() -> None:
    task = make_task(TaskSettings(kind="regression"))
    rng = np.random.default_rng(0)
    y = rng.normal(size=(120, 1))
    y[80:] = 1.0
    reference = y.copy()
    variant = y.copy()
    variant[:40] += 0.5
    column = ["a"] * 40 + ["b"] * 40 + ["flat"] * 40
    found = slices.slices_worst(task, reference, variant, Truth(y=y), {"site": column}, least=30, seed=0, resamples=100)
    assert found is not None
    assert found.name == "site=a"
    assert found.figure.value == pytest.approx(100 * 40 * 0.25 / ((y[:40] - y[:40].mean()) ** 2).sum())
    assert [one.judged for one in found.members] == [True, True, False]
    assert found.figure.interval is not None
    assert found.figure.interval[0] < found.figure.value < found.figure.interval[1]
