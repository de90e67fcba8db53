"""A user's function: everything that it may return, everything that it may do wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import DataError, UsageError
from stages.datasets import function
from stages.datasets.function import Settings
from stages.datasets.records import Chunk, LabelKind, Reader

CODE = dedent('''
    import numpy as np

    def arrays(count=6):
        return np.arange(count * 4, dtype="uint8").reshape(count, 2, 2), np.arange(count) % 2

    def lists():
        return [[1.5, 2.5], [3.5, 4.5]], [1, 0]

    def two():
        return arrays(4), arrays(2)

    def three():
        return arrays(4), arrays(2), arrays(3)

    def named():
        return {"test": arrays(2), "train": arrays(4)}

    def grouped():
        return {"x": {"a": np.zeros((2, 3)), "b": np.ones((2, 2), "uint8")}, "y": ["p", "q"], "groups": ["g", "h"]}

    def sliced():
        return {"x": np.zeros((2, 3)), "y": [0, 1], "slices": {"light": ["day", "night"]}}

    def dataset(batch=0):
        import tensorflow as tf
        data = tf.data.Dataset.from_tensor_slices(arrays())
        return data.batch(batch) if batch else data

    def datasets():
        return {"train": dataset(), "validation": dataset(2)}

    def mixed():
        return {"train": dataset(), "test": arrays()}

    def late_import():
        import data_helper
        return data_helper.arrays()

    def broken():
        rows = []
        return rows[3]

    def returns(what):
        return {"nothing": None, "text": "data", "numbers": (1, 2, 3), "typo": {"trian": arrays()},
                "no train": {"test": arrays()}, "ragged": ([[1, 2], [3]], [0, 1]), "empty": {}}[what]

    NUMBER = 7
''')


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "user_data.py").write_text(CODE)
    (tmp_path / "data_helper.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    yield
    for name in ("user_data", "data_helper"):
        sys.modules.pop(name, None)


def read(name: str, labels: LabelKind = "classes", **settings: Any) -> tuple[list[Chunk], Reader]:
    reader = function.open_reader(Settings(path=f"user_data:{name}", **settings), labels)
    return list(reader.chunks()), reader


def outline(chunks: list[Chunk]) -> list[tuple[str, int]]:
    """(split, samples) of each chunk."""
    return [(chunk.splits[0] if chunk.splits else "", len(chunk.x)) for chunk in chunks]


@pytest.mark.parametrize(("name", "expected"), [
    ("arrays", [("", 6)]), ("lists", [("", 2)]), ("two", [("train", 4), ("test", 2)]),
    ("three", [("train", 4), ("validation", 2), ("test", 3)]), ("named", [("train", 4), ("test", 2)]),
    ("late_import", [("", 6)]), ("dataset", [("", 6)]),
    ("datasets", [("train", 6), ("validation", 2), ("validation", 2), ("validation", 2)]),
])
def test_every_form_of_data_is_taken(name: str, expected: list[tuple[str, int]]) -> None:
    chunks, _ = read(name)
    assert outline(chunks) == expected


def test_arguments_and_class_names_are_passed_on() -> None:
    chunks, reader = read("arrays", arguments={"count": 3}, class_names=["cat", "dog"])
    assert chunks[0].x[:, 0, 0, 0].tolist() == [0, 4, 8]
    assert reader.class_names == ("cat", "dog")


def test_several_inputs_text_labels_and_groups_are_taken() -> None:
    (chunk,), reader = read("grouped")
    assert chunk.x.dtype == np.dtype([("a", "f4", (3,)), ("b", "u1", (2,))])
    assert (list(chunk.groups), reader.class_names) == (["g", "h"], ("p", "q"))


def test_slices_are_columns_by_name() -> None:
    (chunk,), _ = read("sliced")
    assert dict(chunk.slices) == {"light": ["day", "night"]}


def test_what_the_function_raises_names_its_line() -> None:
    with pytest.raises(DataError) as caught:
        read("broken")
    line = CODE.splitlines().index("    return rows[3]") + 1
    assert caught.value.found.startswith("user_data:broken raised IndexError: list index out of range (")
    assert caught.value.found.endswith(f"user_data.py, line {line}: return rows[3])")


@pytest.mark.parametrize(("what", "message"), [
    ("nothing", "returned nothing"), ("text", "returned a str"), ("numbers", "a tuple of 3: int, int, int"),
    ("typo", "a dict with trian (tuple); did you mean 'train'?"), ("no train", "a dict with test (tuple)"),
    ("ragged", "x is no array"), ("empty", "a dict with nothing"),
])
def test_what_is_no_data_is_refused_with_what_would_be(what: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read("returns", arguments={"what": what})
    assert message in caught.value.found
    assert caught.value.allowed


def test_arrays_beside_a_dataset_are_refused() -> None:
    with pytest.raises(DataError, match="arrays for one split and a dataset for another"):
        read("mixed")


def test_arguments_that_the_function_does_not_take_are_refused_before_it_runs() -> None:
    with pytest.raises(DataError, match="unexpected keyword argument 'size'") as caught:
        read("arrays", arguments={"size": 3})
    assert caught.value.allowed == "arguments of arrays(count=6)"


def test_a_function_that_is_not_there_is_refused() -> None:
    for name in ("arays", "NUMBER"):
        with pytest.raises(UsageError, match=f"user_data:{name}"):
            read(name)


def test_labels_of_another_kind_are_refused() -> None:
    with pytest.raises(DataError, match="user_data:arrays has labels of shape"):
        read("arrays", "multilabel")
    assert read("arrays", "values")[0][0].y.dtype == np.float32  # type: ignore[union-attr]


def test_the_digest_follows_source_arguments_and_version_without_running_the_module(tmp_path: Path) -> None:
    def digest(**settings: Any) -> str:
        return function.source_digest(Settings(path="user_data:arrays", **settings))

    seen = {digest(), digest(arguments={"count": 3}), digest(version="2")}
    assert digest() in seen
    (tmp_path / "user_data.py").write_text(CODE + "\nraise RuntimeError('imported')\n")
    seen.add(digest())
    assert len(seen) == 4
