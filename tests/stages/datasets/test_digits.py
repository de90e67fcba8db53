"""The digits: real data without a download, and a digest that needs no import of scikit-learn."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from stages.datasets import digits


def test_the_digits_are_whole_and_in_range() -> None:
    reader = digits.open_reader(digits.Settings(), "classes")
    (chunk,) = reader.chunks()
    assert (chunk.x.shape, chunk.x.dtype) == ((1797, 8, 8, 1), np.float32)
    assert (chunk.x.min(), chunk.x.max()) == (0, 16)
    assert reader.class_names == tuple("0123456789")
    assert chunk.y is not None
    assert chunk.y[:10].tolist() == list(range(10))


def test_digits_can_be_predicted_as_values() -> None:
    reader = digits.open_reader(digits.Settings(), "values")
    (chunk,) = reader.chunks()
    assert chunk.y is not None
    assert (chunk.y.dtype, reader.class_names) == (np.float32, ())


def test_the_digest_names_the_version_of_scikit_learn() -> None:
    assert digits.source_digest(digits.Settings()) == f"digits:scikit-learn {version('scikit-learn')}"
