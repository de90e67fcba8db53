"""Near-duplicates: what counts as one, what does not, and what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.datasets.prepared import read_preprocessing
from stages.examining.gathering import draw, gather, read_splits
from stages.examining.nearby import FLOOR, near_duplicates, nearest, shifted_correlation
from stages.records import NearDuplicates
from tests.stages.sample_data import brighter, digits, scenes, three_splits, write_artifact


def found_in(folder: Path, splits: dict[str, tuple[np.ndarray, np.ndarray]], **about: object) -> NearDuplicates:
    write_artifact(folder, splits, class_names="0123456789", **about)  # type: ignore[arg-type]
    read = read_splits(folder)
    rows = draw({name: len(split.y) for name, split in read.items()}, 10_000, 0)
    return near_duplicates(gather(folder, read, rows, read_preprocessing(folder), "input"), seed=0)


def with_copies(splits: dict[str, tuple[np.ndarray, np.ndarray]], copies: np.ndarray, split: str = "test") -> None:
    x, y = splits[split]
    splits[split] = (np.concatenate([x, copies]), np.concatenate([y, y[:1].repeat(len(copies))]))


def test_the_nearest_others_come_in_order_and_never_the_point_itself() -> None:
    angles = np.array([0.0, 0.1, 0.25, 3.0])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert nearest(points, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]


def test_a_shift_by_one_pixel_correlates_fully_and_noise_does_not() -> None:
    rng = np.random.default_rng(0)
    plane = rng.random((20, 20)).astype(np.float32)
    planes = np.stack([plane, np.roll(plane, (1, -1), (0, 1)), rng.random((20, 20)).astype(np.float32)])
    same, other = shifted_correlation(planes, np.array([[0, 1], [0, 2]]))
    assert same == pytest.approx(1, abs=1e-5)
    assert abs(other) < 0.25


def test_a_plane_without_contrast_correlates_with_nothing() -> None:
    planes = np.stack([np.ones((6, 6)), np.arange(36).reshape(6, 6)]).astype(np.float32)
    assert shifted_correlation(planes, np.array([[0, 1], [0, 0]])).tolist() == [0, 0]


def test_digits_that_were_made_a_little_brighter_are_found_among_digits_that_are_alike_anyway(tmp_path: Path) -> None:
    splits = three_splits(*digits())
    source = splits["train"][0][:40].astype(int)
    with_copies(splits, np.minimum(source + (source > 8), 16).astype(np.uint8))
    near = found_in(tmp_path, splits)
    assert near.samples_across["train/test"] >= 39
    assert sum(near.across.values()) + sum(near.within.values()) <= 42
    assert float(near.method.split("from ")[1].split(" ")[0]) > 0.95  # the threshold rose far above its floor
    assert FLOOR == 0.6


def test_small_shapes_on_a_plain_background_are_not_called_alike(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    x = np.full((600, 32, 32, 1), 250, np.uint8)
    for picture in x:
        row, column = rng.integers(8, 18, 2)
        picture[row:row + 6, column:column + 6, 0] = rng.integers(0, 256, (6, 6))
    near = found_in(tmp_path, three_splits(x, np.arange(600) % 2))
    assert sum(near.across.values()) + sum(near.within.values()) == 0


def test_exact_repeats_are_left_to_prepare(tmp_path: Path) -> None:
    splits = three_splits(*scenes(300))
    with_copies(splits, splits["train"][0][:20], "validation")
    assert found_in(tmp_path, splits).across == {"train/validation": 0, "train/test": 0, "validation/test": 0}


def test_a_data_set_that_was_doubled_by_augmentation_is_still_found(tmp_path: Path) -> None:
    x, y = scenes(300)
    both = three_splits(np.concatenate([x, brighter(x)]), np.concatenate([y, y]))
    near = found_in(tmp_path, both)
    assert 290 <= sum(near.across.values()) + sum(near.within.values()) <= 310


def test_parts_of_one_recording_may_be_alike_inside_a_split_alone(tmp_path: Path) -> None:
    splits = three_splits(*scenes(300))
    with_copies(splits, brighter(splits["train"][0][:10]), "train")
    count = len(splits["train"][0])
    clips = {"train": [*range(count - 10), *range(10)], "validation": list(range(len(splits["validation"][0]))),
             "test": list(range(len(splits["test"][0])))}
    assert found_in(tmp_path / "a", splits, clips=clips).within["train"] == 0
    assert found_in(tmp_path / "b", splits).within["train"] == 10


def test_vectors_are_compared_value_by_value(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(50, 9, (300, 24)).astype(np.float32)
    splits = three_splits(x, np.arange(300) % 2)
    with_copies(splits, (splits["train"][0][:15] + rng.normal(0, 0.05, (15, 24))).astype(np.float32))
    near = found_in(tmp_path, splits)
    assert near.across == {"train/validation": 0, "train/test": 15, "validation/test": 0}
    assert near.method.startswith("correlation of values")


def test_too_few_samples_or_values_say_so(tmp_path: Path) -> None:
    x, y = scenes(30)
    assert "30 samples tell too little" in found_in(tmp_path / "a", three_splits(x, y)).left_out
    table = three_splits(np.random.default_rng(0).random((100, 4), dtype=np.float32), np.arange(100) % 2)
    assert "samples of 4 values tell too little" in found_in(tmp_path / "b", table).left_out
