"""Splits: stratified, repeatable, and without leakage through duplicates."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import DataError
from stages.datasets.records import RawData
from stages.datasets.splitting import draw_splits, group_duplicates


def raw_data(x: np.ndarray, y: list[int], **given: list[int]) -> RawData:
    labels = np.array(y, np.int64)
    names = tuple(str(i) for i in range(labels.max() + 1))
    return RawData(x=x.astype(np.float32), y=labels, class_names=names,
                   given_splits={name: np.array(rows) for name, rows in given.items()})


def distinct(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.float32).reshape(count, 1, 1, 1)


def draw(raw: RawData, seed: int = 0, validation: float = 0.2, test: float = 0.3) -> dict[str, list[int]]:
    indices = draw_splits(raw, group_duplicates(raw.x), validation, test, seed)
    return {name: rows.tolist() for name, rows in indices.items()}


def test_equal_samples_share_a_group_and_others_do_not() -> None:
    assert group_duplicates(np.array([[1.0], [2.0], [1.0], [3.0], [2.0]], np.float32)).tolist() == [0, 1, 0, 2, 1]


def test_negative_zero_counts_as_zero() -> None:
    assert group_duplicates(np.array([[0.0], [-0.0]], np.float32)).tolist() == [0, 0]


def test_each_split_gets_its_share_of_every_class() -> None:
    raw = raw_data(distinct(30), [0] * 10 + [1] * 20)
    splits = draw(raw)
    counts = {name: np.bincount(raw.y[rows]).tolist() for name, rows in splits.items()}
    assert counts == {"train": [5, 10], "validation": [2, 4], "test": [3, 6]}
    assert sorted(row for rows in splits.values() for row in rows) == list(range(30))


def test_the_same_seed_draws_the_same_splits_and_another_does_not() -> None:
    raw = raw_data(distinct(60), [0, 1] * 30)
    assert draw(raw, seed=3) == draw(raw, seed=3) != draw(raw, seed=4)


def test_duplicates_stay_in_one_split_even_with_different_labels() -> None:
    x = np.repeat(distinct(12), 3, axis=0)  # every sample three times
    raw = raw_data(x, [0, 0, 1] * 4 + [1, 1, 1] * 8)
    home = {row: name for name, rows in draw(raw).items() for row in rows}
    assert all(home[3 * i] == home[3 * i + 1] == home[3 * i + 2] for i in range(12))


def test_a_tiny_class_still_reaches_every_split() -> None:
    raw = raw_data(distinct(43), [0] * 40 + [1] * 3)
    assert {name: (raw.y[rows] == 1).sum() for name, rows in draw(raw, validation=0.01, test=0.01).items()} == {
        "train": 1, "validation": 1, "test": 1}


def test_a_class_with_too_few_distinct_samples_is_refused_by_name() -> None:
    x = np.concatenate([distinct(10), np.full((5, 1, 1, 1), 99)])  # class 1: one sample, five times
    with pytest.raises(DataError) as caught:
        draw(raw_data(x, [0] * 10 + [1] * 5))
    assert "class '1' has 1 distinct samples" in caught.value.found
    assert caught.value.allowed.startswith("at least 3")


def test_a_given_test_split_is_kept_and_only_validation_is_drawn() -> None:
    raw = raw_data(distinct(20), [0, 1] * 10, test=[0, 1, 2, 3])
    splits = draw(raw, validation=0.25)
    assert splits["test"] == [0, 1, 2, 3]
    assert len(splits["validation"]) == 4
    assert sorted(splits["train"] + splits["validation"]) == list(range(4, 20))
