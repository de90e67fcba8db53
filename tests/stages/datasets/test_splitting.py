"""Splits: stratified, repeatable, by rule, and without leakage through what belongs together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import DataError
from stages.datasets.splitting import SplitRule, Wanted, digest_rows, draw_splits, join_units, number


def draw(y: list[int], units: list[int] | None = None, given: list[str] | None = None, seed: int = 0,
         validation: float = 0.2, test: float = 0.3, names: tuple[str, ...] | None = None) -> dict[str, list[int]]:
    labels = np.array(y, np.int64)
    names = tuple(str(i) for i in range(labels.max() + 1)) if names is None else names
    indices = draw_splits(labels, np.array(units if units is not None else range(len(y))), given or [],
                          Wanted({"test": test, "validation": validation}, seed, names))
    return {name: rows.tolist() for name, rows in indices.items()}


def draw_leniently(y: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """A quarter each for test and validation; every sample is a unit of its own."""
    return draw_splits(y, np.arange(len(y)), [], Wanted({"test": 0.25, "validation": 0.25}, 0, names, lenient=True))


def test_equal_samples_have_equal_digests_and_others_do_not() -> None:
    digests = digest_rows(np.array([[1.0], [2.0], [1.0], [3.0], [2.0]], np.float32))
    assert number(digests).tolist() == [0, 1, 0, 2, 1]
    assert {len(digest) for digest in digests} == {16}


def test_negative_zero_counts_as_zero() -> None:
    assert number(digest_rows(np.array([[0.0], [-0.0]], np.float32))).tolist() == [0, 0]


def test_samples_of_several_inputs_are_equal_when_all_their_inputs_are() -> None:
    x = np.zeros(3, [("a", np.uint8, (2,)), ("b", np.float32, (1,))])
    x["b"][:, 0] = [1, 1, 2]
    assert number(digest_rows(x)).tolist() == [0, 0, 1]
    x["a"][1] = 5
    assert number(digest_rows(x)).tolist() == [0, 1, 2]


def test_units_that_share_a_sample_are_joined() -> None:
    # samples 0 and 1 are equal, 1 and 2 are of one speaker, 3 stands alone, 4 and 5 are of one clip
    equal, speaker, clip = np.array([0, 0, 1, 2, 3, 4]), np.array([0, 1, 1, 2, 3, 4]), np.array([0, 1, 2, 3, 4, 4])
    assert join_units(equal, speaker, clip).tolist() == [0, 0, 0, 1, 2, 2]
    assert join_units(np.array([0, 1, 1])).tolist() == [0, 1, 1]


def test_each_split_gets_its_share_of_every_class() -> None:
    y = [0] * 10 + [1] * 20
    splits = draw(y)
    assert {name: np.bincount(np.array(y)[rows]).tolist() for name, rows in splits.items()} == {
        "train": [5, 10], "validation": [2, 4], "test": [3, 6]}
    assert sorted(row for rows in splits.values() for row in rows) == list(range(30))


def test_the_same_seed_draws_the_same_splits_and_another_does_not() -> None:
    y = [0, 1] * 30
    assert draw(y, seed=3) == draw(y, seed=3) != draw(y, seed=4)


def test_a_unit_stays_in_one_split_even_with_different_labels() -> None:
    units = [row // 3 for row in range(36)]
    home = {row: name for name, rows in draw([0, 0, 1] * 4 + [1, 1, 1] * 8, units).items() for row in rows}
    assert all(home[3 * i] == home[3 * i + 1] == home[3 * i + 2] for i in range(12))


def test_a_tiny_class_still_reaches_every_split() -> None:
    y = np.array([0] * 40 + [1] * 3)
    assert {name: int((y[rows] == 1).sum()) for name, rows in draw(y.tolist(), validation=0.01, test=0.01).items()} == {
        "train": 1, "validation": 1, "test": 1}


def test_a_class_with_too_few_distinct_samples_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="class '1' has 1 distinct samples") as caught:
        draw([0] * 10 + [1] * 5, [*range(10), 10, 10, 10, 10, 10])
    assert caught.value.allowed.startswith("at least 3")


def test_a_lenient_draw_deals_small_classes_together_and_balances_the_others() -> None:
    y = np.array([0] * 40 + [1] * 2 + [2] * 2)
    splits = draw_leniently(y, ("a", "b", "c", "d"))
    assert {name: int((y[rows] == 0).sum()) for name, rows in splits.items()} == {
        "train": 20, "validation": 10, "test": 10}
    assert {name: int((y[rows] > 0).sum()) for name, rows in splits.items()} == {"train": 2, "validation": 1, "test": 1}


def test_a_lenient_draw_trains_on_what_is_too_little_to_be_dealt() -> None:
    y = np.array([0] * 40 + [1] * 2)
    splits = draw_leniently(y, ("a", "b"))
    assert [int((y[splits[name]] == 1).sum()) for name in ("train", "validation", "test")] == [2, 0, 0]


def test_a_lenient_draw_still_wants_a_sample_for_each_split() -> None:
    with pytest.raises(DataError, match="class 'a' has 2 distinct samples"):
        draw_leniently(np.array([0, 0, 1]), ("a", "b"))


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(DataError, match="2 distinct samples or groups"):
        draw([0] * 6, [0, 0, 0, 1, 1, 1], names=())


def test_a_given_test_split_is_kept_and_only_validation_is_drawn() -> None:
    splits = draw([0, 1] * 10, given=["test"] * 4 + [""] * 8 + ["train"] * 8, validation=0.25)
    assert splits["test"] == [0, 1, 2, 3]
    assert len(splits["validation"]) == 4
    assert sorted(splits["train"] + splits["validation"]) == list(range(4, 20))


def test_a_rule_takes_the_names_that_its_expression_is_found_in() -> None:
    rule = SplitRule(pattern=r"_[0-4]\.wav$")
    assert rule.members(["3_jackson_4.wav", "3_jackson_5.wav", "3_jackson_14.wav"]).tolist() == [True, False, False]


def test_a_rule_takes_the_names_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("b.png\n\na.png\n")
    assert SplitRule(names=tmp_path / "test.txt").members(["a.png", "b.png", "c.png"]).tolist() == [True, True, False]


def test_a_file_that_names_what_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("b.png\nz.png\ny.png\n")
    with pytest.raises(DataError, match=r"names 'y\.png', which the data does not have, and 1 more"):
        SplitRule(names=tmp_path / "test.txt").members(["a.png", "b.png"])
    with pytest.raises(DataError, match=r"none\.txt cannot be read"):
        SplitRule(names=tmp_path / "none.txt").members(["a.png"])


@pytest.mark.parametrize("given", [{}, {"pattern": "a", "names": "b.txt"}, {"pattern": "("}])
def test_a_rule_is_one_expression_or_one_file(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SplitRule(**given)
