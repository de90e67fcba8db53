"""Readers over arrays: slices of some MiB, one type and shape in every chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device_profiles.errors import DataError
from stages.datasets import arrays
from stages.datasets.arrays import ArraysReader, Part
from stages.datasets.records import Chunk


def read(*parts: Part, **options: Any) -> tuple[list[Chunk], ArraysReader]:
    reader = ArraysReader(parts=parts, **options)
    return list(reader.chunks()), reader


def part(x: Any, y: Any, **more: Any) -> Part:
    return Part({"": np.asarray(x)}, {"": np.asarray(y)}, where="here", **more)


def test_uint8_stays_and_other_numbers_become_float32() -> None:
    for dtype, expected in ((np.uint8, np.uint8), (np.int16, np.float32), (np.float64, np.float32), (bool, np.float32)):
        chunks, _ = read(part(np.ones((2, 5), dtype), [0, 1]))
        assert chunks[0].x.dtype == expected


def test_only_three_axes_get_a_fourth_and_only_when_asked() -> None:
    shapes = [read(part(np.zeros((2, *shape)), [0, 1]))[0][0].x.shape for shape in ((5,), (4, 5), (3, 4, 5))]
    assert shapes == [(2, 5), (2, 4, 5, 1), (2, 3, 4, 5)]
    assert read(part(np.zeros((2, 4, 5)), [0, 1]), add_channel=False)[0][0].x.shape == (2, 4, 5)


def test_samples_come_in_slices_of_the_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 40)  # 5 bytes a sample: 8 samples
    chunks, reader = read(part(np.arange(100, dtype=np.uint8).reshape(20, 5), np.arange(20) % 3))
    assert [len(chunk.x) for chunk in chunks] == [8, 8, 4]
    assert np.concatenate([chunk.y for chunk in chunks]).tolist() == [i % 3 for i in range(20)]
    assert (reader.total, reader.class_names) == (20, ("0", "1", "2"))


def test_parts_are_given_splits_and_share_their_classes() -> None:
    chunks, reader = read(part(np.zeros((2, 1)), ["b", "a"], split="train"), part(np.ones((1, 1)), ["c"], split="test"))
    assert [list(chunk.splits) for chunk in chunks] == [["train", "train"], ["test"]]
    assert np.concatenate([chunk.y for chunk in chunks]).tolist() == [1, 0, 2]
    assert reader.class_names == ("a", "b", "c")


def test_several_inputs_and_outputs_become_structured_arrays() -> None:
    one = Part({"image": np.full((2, 4, 4), 7, np.uint8), "age": np.array([[1.5], [2.5]])},
               {"kind": np.array([0, 1]), "size": np.array([0.5, 1.0])}, np.array([3, 4]))
    chunks, _ = read(one, labels="values")
    assert chunks[0].x.dtype == np.dtype([("image", "u1", (4, 4, 1)), ("age", "f4", (1,))])
    assert chunks[0].y.dtype == np.dtype([("kind", "i8"), ("size", "f4")])
    assert (chunks[0].x["age"].tolist(), list(chunks[0].groups)) == ([[1.5], [2.5]], ["3", "4"])


@pytest.mark.parametrize(("parts", "message"), [
    ([part([[1], [2]], [0])], "here: y has shape (1,) for 2 samples"),
    ([part(["a"], [0])], "x has shape (1,) and type <U1"),
    ([part([1, 2], [0, 1])], "x has shape (2,) and type int64"),
    ([part(np.zeros((2, 0)), [0, 1])], "x has shape (2, 0)"),
    ([part([[1]], [0], groups=np.array([1, 2]))], "groups has shape (2,) for 1 samples"),
    ([Part({"a": np.zeros((2, 1)), "b": np.zeros((3, 1))}, {}, where="here")], "here: input 'b' has 3 samples"),
    ([part(np.zeros((1, 2)), [0]), part(np.zeros((1, 3)), [0])], "of the shapes (2,), here of (3,)"),
    ([part(np.zeros((1, 2)), [0]), part(np.zeros((1, 2), np.uint8), [0])], "differ in type"),
    ([part([[1]], [0], groups=np.array([1])), part([[1]], [0])], "only one has groups"),
])
def test_what_does_not_fit_together_is_refused(parts: list[Part], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(*parts)
    assert message in caught.value.found
