"""Prepared splits on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import StoreError
from stages.datasets import prepared
from stages.records import Normalization

PREPROCESSING = prepared.Preprocessing(input_shape=(2, 2, 1), class_names=("a", "b"),
                                       normalization=Normalization(kind="standard", offset=(0.1,), scale=(3.0,)))


def test_a_split_comes_back_as_it_was_written(tmp_path: Path) -> None:
    split = prepared.Split(x=np.arange(8, dtype=np.float32).reshape(2, 2, 2, 1), y=np.array([1, 0]))
    prepared.write_split(tmp_path, "test", split)
    again = prepared.read_split(tmp_path, "test")
    assert np.array_equal(again.x, split.x)
    assert again.y.tolist() == [1, 0]


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY\x01\x00"])
def test_a_missing_or_truncated_split_says_which_stage_mends_it(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x_test.npy").write_bytes(content)
    with pytest.raises(StoreError, match="no readable split 'test'") as caught:
        prepared.read_split(tmp_path, "test")
    assert caught.value.next_step == "litesmith prepare"


def test_preprocessing_comes_back_equal(tmp_path: Path) -> None:
    prepared.write_preprocessing(tmp_path, PREPROCESSING)
    assert prepared.read_preprocessing(tmp_path) == PREPROCESSING


def test_damaged_preprocessing_is_refused(tmp_path: Path) -> None:
    (tmp_path / prepared.PREPROCESSING_FILE).write_text('{"input_shape": [2]', "utf-8")
    with pytest.raises(StoreError, match=r"no readable preprocessing\.json"):
        prepared.read_preprocessing(tmp_path)
