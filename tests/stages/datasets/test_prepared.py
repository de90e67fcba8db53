"""Prepared splits on disk: stored as they are, normalized where they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import StoreError
from stages.datasets import prepared
from stages.datasets.rows import Rows
from stages.records import Normalization, TensorSpec

HALVES = Normalization(kind="minmax", offset=(10.0,), scale=(2.0,))
IMAGES = prepared.Preprocessing(inputs={"input": TensorSpec(shape=(2, 2, 1), dtype="uint8", normalization=HALVES)},
                                class_names=("a", "b"))


def write(folder: Path, x: np.ndarray, preprocessing: prepared.Preprocessing = IMAGES, **about: object) -> None:
    np.save(folder / "x_test.npy", x)
    np.save(folder / "y_test.npy", np.arange(len(x)))
    prepared.write_about(folder, "test", **({"names": (), "groups": (), "clips": None} | about))
    prepared.write_preprocessing(folder, preprocessing)


def test_samples_are_normalized_as_they_are_read(tmp_path: Path) -> None:
    write(tmp_path, np.full((3, 2, 2, 1), 16, np.uint8), names=("u", "v", "w"), groups=("g",) * 3,
          clips=np.array([0, 0, 1]))
    split = prepared.read_split(tmp_path, "test")
    assert isinstance(split.x, np.ndarray)
    assert split.x.dtype == np.float32
    assert split.x.tolist() == np.full((3, 2, 2, 1), 3.0).tolist()
    assert (split.y.tolist(), split.names, split.groups) == ([0, 1, 2], ("u", "v", "w"), ("g", "g", "g"))
    assert split.clips is not None
    assert split.clips.tolist() == [0, 0, 1]


def test_a_split_above_the_limit_is_read_row_by_row_with_the_same_values(tmp_path: Path) -> None:
    write(tmp_path, np.random.default_rng(0).integers(0, 255, (20, 2, 2, 1), np.uint8))
    small, large = prepared.read_split(tmp_path, "test"), prepared.read_split(tmp_path, "test", in_memory_bytes=100)
    assert isinstance(large.x, Rows)
    assert large.x.shape == small.x.shape
    assert np.array_equal(large.x[[3, 1]], small.x[[3, 1]])
    assert np.array_equal(large.part(slice(2, 5)).x, small.x[2:5])


def test_several_inputs_are_normalized_each_by_its_own(tmp_path: Path) -> None:
    x = np.zeros(2, [("image", np.uint8, (1, 1, 1)), ("age", np.float32, (1,))])
    x["image"], x["age"] = 30, 7
    both = prepared.Preprocessing(inputs={"image": TensorSpec(shape=(1, 1, 1), dtype="uint8", normalization=HALVES),
                                          "age": TensorSpec(shape=(1,), dtype="float32")})
    write(tmp_path, x, both)
    found = prepared.read_split(tmp_path, "test").x[:]
    assert found["image"].ravel().tolist() == [10, 10]
    assert found["age"].ravel().tolist() == [7, 7]
    assert (both.only_input, both.input_shape) == (None, ())


def test_a_channel_each_has_its_own_offset_and_scale() -> None:
    fixed = Normalization(kind="fixed", offset=(1, 2), scale=(1, 4))
    spec = TensorSpec(shape=(2,), dtype="float32", normalization=fixed)
    assert prepared.normalized(np.array([[3, 10]], np.float32), {"input": spec}).tolist() == [[2, 2]]


@pytest.mark.parametrize("damage", ["x_test.npy", "y_test.npy", "about_test.json", "preprocessing.json"])
def test_a_missing_or_truncated_file_says_which_stage_mends_it(tmp_path: Path, damage: str) -> None:
    write(tmp_path, np.zeros((2, 2, 2, 1), np.uint8))
    (tmp_path / damage).write_bytes((tmp_path / damage).read_bytes()[:9])
    with pytest.raises(StoreError) as caught:
        prepared.read_split(tmp_path, "test")
    assert "litesmith prepare" in caught.value.next_step or "run again" in caught.value.next_step


def test_labels_that_do_not_belong_to_the_samples_are_refused(tmp_path: Path) -> None:
    write(tmp_path, np.zeros((2, 2, 2, 1), np.uint8))
    np.save(tmp_path / "y_test.npy", np.arange(3))
    with pytest.raises(StoreError, match="2 samples and 3 labels"):
        prepared.read_split(tmp_path, "test")


def test_preprocessing_comes_back_equal(tmp_path: Path) -> None:
    prepared.write_preprocessing(tmp_path, IMAGES)
    assert prepared.read_preprocessing(tmp_path) == IMAGES
    assert IMAGES.input_shape == (2, 2, 1)


def test_damaged_preprocessing_is_refused(tmp_path: Path) -> None:
    (tmp_path / prepared.PREPROCESSING_FILE).write_text('{"inputs": {}', "utf-8")
    with pytest.raises(StoreError, match=r"no readable preprocessing\.json"):
        prepared.read_preprocessing(tmp_path)
