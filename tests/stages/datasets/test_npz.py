"""npz files: both spellings are read, and whatever is off gets one clean message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import DataError
from stages.datasets import npz


def write(folder: Path, **arrays: Any) -> npz.Settings:
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return npz.Settings(path=path)


def test_images_without_a_channel_axis_get_one(tmp_path: Path) -> None:
    raw = npz.load(write(tmp_path, x=np.arange(24, dtype=np.uint8).reshape(2, 3, 4), y=[1, 0]))
    assert raw.x.shape == (2, 3, 4, 1)
    assert raw.x.dtype == np.float32
    assert raw.y.tolist() == [1, 0]
    assert raw.class_names == ("0", "1")
    assert raw.given_splits == {}


def test_given_splits_are_found_behind_the_training_samples(tmp_path: Path) -> None:
    raw = npz.load(write(tmp_path, x_train=np.zeros((3, 2, 2)), y_train=[0, 1, 1], x_test=np.ones((2, 2, 2)),
                         y_test=[1, 0], class_names=["cat", "dog"]))
    assert raw.y.tolist() == [0, 1, 1, 1, 0]
    assert {name: rows.tolist() for name, rows in raw.given_splits.items()} == {"test": [3, 4]}
    assert raw.class_names == ("cat", "dog")


@pytest.mark.parametrize(("arrays", "message"), [
    ({"x": np.zeros((2, 2, 2))}, "has x and no y"),
    ({"y": np.zeros(2, int)}, "has the arrays y"),
    ({"x": np.zeros((2, 2, 2)), "y": [0]}, "y has shape (1,)"),
    ({"x": np.zeros((2, 2, 2)), "y": [0.0, 1.0]}, "type float64"),
    ({"x": np.zeros((2, 3)), "y": [0, 1]}, "x has shape (2, 3)"),
    ({"x": np.array([["a"]]), "y": [0]}, "x has shape (1, 1) and type <U1"),
    ({"x": np.zeros((1, 2, 2)), "y": [0], "x_train": np.zeros((1, 2, 2)), "y_train": [0]}, "both x and x_train"),
    ({"x_train": np.zeros((1, 2, 2)), "y_train": [0], "x_test": np.zeros((1, 3, 2)), "y_test": [0]}, "of the shapes"),
    ({"X": np.zeros((1, 2, 2)), "y": [0]}, "an array 'X'"),
    ({"x_trian": np.zeros((1, 2, 2))}, "did you mean 'x_train'?"),
])
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message.replace("(", r"\(").replace(")", r"\)").replace("?", r"\?")):
        npz.load(write(tmp_path, **arrays))


def test_pickled_objects_are_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as npz"):
        npz.load(write(tmp_path, x=np.array([{"a": 1}], dtype=object), y=[0]))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 truncated", b"not an archive at all"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        npz.load(npz.Settings(path=path))


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    settings = write(tmp_path, x=np.zeros((50, 4, 4)), y=np.zeros(50, int))
    content = bytearray(settings.path.read_bytes())
    content[2000] ^= 1
    settings.path.write_bytes(content)
    with pytest.raises(DataError, match="Bad CRC-32"):
        npz.load(settings)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    settings = npz.Settings(path=tmp_path / "nowhere.npz")
    for call in (npz.load, npz.source_digest):
        with pytest.raises(DataError, match=r"nowhere\.npz cannot be read: No such file"):
            call(settings)


def test_the_digest_follows_the_content_and_not_the_path(tmp_path: Path) -> None:
    settings = write(tmp_path, x=np.zeros((1, 2, 2)), y=[0])
    moved = npz.Settings(path=settings.path.rename(tmp_path / "moved.npz"))
    before = npz.source_digest(moved)
    write(tmp_path, x=np.ones((1, 2, 2)), y=[0])
    assert npz.source_digest(settings) != before
    assert before.startswith("npz:sha256:")
