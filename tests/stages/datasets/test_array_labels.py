"""Labels in their one form, and messages that say which sample is off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device_profiles.errors import DataError
from stages.datasets.array_labels import Labels, join
from stages.datasets.records import LabelKind


@pytest.mark.parametrize("y", [
    np.array([2, 0, 1], np.uint8), np.array([[2], [0], [1]]), np.eye(3)[[2, 0, 1]], np.eye(3, dtype=bool)[[2, 0, 1]],
])
def test_every_spelling_of_classes_becomes_their_numbers(y: np.ndarray) -> None:
    labels = Labels("classes", "y")
    taken = labels.take(y)
    assert taken.tolist() == [2, 0, 1]
    assert taken.dtype == np.int64
    assert labels.names() == ("0", "1", "2")


def test_text_and_bytes_are_found_among_the_class_names() -> None:
    labels = Labels("classes", "y", ("cat", "dog"))
    assert labels.take(np.array(["dog", "cat"])).tolist() == [1, 0]
    assert labels.take(np.array([b"dog"], object)).tolist() == [1]


def test_the_number_of_classes_grows_over_chunks() -> None:
    labels = Labels("classes", "y")
    labels.take(np.array([0, 1]))
    labels.take(np.array([4]))
    assert labels.names() == ("0", "1", "2", "3", "4")


def test_one_hot_keeps_a_class_that_no_sample_has() -> None:
    labels = Labels("classes", "y")
    labels.take(np.eye(4)[[0, 1]])
    assert len(labels.names()) == 4


def test_multilabel_becomes_uint8() -> None:
    labels = Labels("multilabel", "y")
    taken = labels.take(np.array([[0.0, 1.0], [1.0, 1.0]]))
    assert (taken.tolist(), taken.dtype) == ([[0, 1], [1, 1]], np.uint8)


@pytest.mark.parametrize("y", [np.array([1, 2]), np.array([[1.5, 2], [3, 4]])])
def test_values_become_float32_and_have_no_classes(y: np.ndarray) -> None:
    labels = Labels("values", "y", ())
    taken = labels.take(y)
    assert (taken.shape, taken.dtype, labels.names()) == (y.shape, np.float32, ())


def test_several_outputs_are_what_their_types_say() -> None:
    taken = Labels("classes", "y").take({"kind": np.array([1, 0]), "tags": np.zeros((2, 3), bool), "size": np.ones(2)})
    assert taken.dtype.names == ("kind", "tags", "size")
    assert [taken.dtype[name].base for name in taken.dtype.names] == [np.int64, np.uint8, np.float32]
    assert taken["kind"].tolist() == [1, 0]


@pytest.mark.parametrize(("kind", "y", "message"), [
    ("classes", np.array([0.0, 1.5]), "y has labels of shape (2,) and type float64"),
    ("classes", np.array([0, -1]), "sample 12 has the label -1"),
    ("classes", np.eye(3)[[0, 1]] * 2, "sample 11 has 2.0 for class 0"),
    ("classes", np.array([[1, 0], [1, 1]]), "sample 12 has 2 classes"),
    ("classes", np.array(["a"]), "y has a label 'a'"),
    ("classes", np.zeros((2, 3, 3)), "shape (2, 3, 3)"),
    ("multilabel", np.array([0, 1]), "shape (2,)"),
    ("multilabel", np.array([[0, 1], [0, 3]]), "sample 12 has 3 for class 1"),
    ("values", np.array(["1"]), "type <U1"),
    ("values", np.array([1.0, np.nan]), "the label of sample 12 is nan"),
    ("values", np.array([1e300, 0.0]), "the label of sample 11 is 1e+300"),
])
def test_labels_of_another_kind_are_refused_with_the_sample(kind: LabelKind, y: Any, message: str) -> None:
    labels = Labels(kind, "y", taken=11)
    with pytest.raises(DataError) as caught:
        labels.take(y)
    assert message in caught.value.found
    assert caught.value.allowed


def test_labels_outside_the_named_classes_are_refused() -> None:
    labels = Labels("classes", "y", ("cat", "dog"))
    with pytest.raises(DataError, match="sample 1 has the label 2") as caught:
        labels.take(np.array([0, 2]))
    assert caught.value.allowed.startswith("0 to 1")
    with pytest.raises(DataError, match="y has 3 columns and there are 2 class names"):
        labels.take(np.eye(3))


def test_parts_of_different_length_are_not_joined() -> None:
    with pytest.raises(DataError, match="a 2, b 3"):
        join({"a": np.zeros(2), "b": np.zeros(3)})
