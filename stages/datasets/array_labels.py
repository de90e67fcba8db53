"""Labels that come as arrays, held against what the task predicts and brought to one form.

| task's labels | what may come | what it becomes |
|---|---|---|
| `classes` | (samples,) whole numbers from 0 or text; (samples, classes) one-hot | (samples,) int64 |
| `multilabel` | (samples, classes) of 0 and 1 | uint8 |
| `values` | (samples,) or (samples, values) numbers | float32 |

Several outputs may be of several tasks: there the labels themselves say what they are. Whole numbers of shape
(samples,) are classes, uint8 and bool of shape (samples, classes) are several classes a sample, all else is values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import DataError
from stages.datasets.records import LabelKind

Array = NDArray[Any]

ALLOWED: dict[LabelKind, str] = {
    "classes": "one class a sample: whole numbers from 0 or text, or one-hot of shape (samples, classes)",
    "multilabel": "0 or 1 for each class, of shape (samples, classes)",
    "values": "numbers of shape (samples,) or (samples, values)",
}
_NEXT = {"classes": "set task to what the labels are: regression for numbers, multilabel for several classes a sample",
         "multilabel": "set task to classification where each sample has one class",
         "values": "set task to classification where labels are classes"}


@dataclass
class Labels:
    """Checks the labels of a source, chunk by chunk, and learns how many classes there are.

    Attributes:
        kind: what the task predicts.
        where: whose labels they are, to begin a message with: "data.npz: y_train".
        class_names: as the source names them; () where it does not.
        classes: the number of classes seen so far.
        taken: the number of samples seen so far.
    """

    kind: LabelKind
    where: str
    class_names: tuple[str, ...] = ()
    classes: int = 0
    taken: int = 0

    def take(self, y: Array | Mapping[str, Array]) -> Array:
        """The next labels in their one form; a mapping of several outputs becomes a structured array.

        Raises:
            DataError: labels of another kind, or outside the classes.
        """
        if isinstance(y, Mapping):
            return join({name: _by_type(np.asarray(values), f"{self.where}.{name}") for name, values in y.items()})
        found = {"classes": self._classes, "multilabel": self._multilabel, "values": self._values}[self.kind](y)
        self.taken += len(found)
        return found

    def names(self) -> tuple[str, ...]:
        """The classes in label order: the source's names, or their numbers; () for values."""
        if self.kind == "values":
            return ()
        return self.class_names or tuple(str(i) for i in range(self.classes))

    def _classes(self, y: Array) -> Array:
        """(samples,) int64."""
        if y.ndim == 2 and y.shape[1] == 1 and y.dtype.kind in "iuSUO":
            y = y[:, 0]  # what keras.datasets gives for CIFAR
        if y.ndim == 1 and y.dtype.kind in "SUO":
            return self._named(y)
        if y.ndim == 1 and y.dtype.kind in "bui":
            labels = y.astype(np.int64)
            self._check_range(labels)
            return labels
        if y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "buif":
            self._check_one_hot(y)
            self._check_width(y.shape[1])
            return np.asarray(y.argmax(axis=1), np.int64)
        raise self._refusal(y)

    def _named(self, y: Array) -> Array:
        """Labels of text."""
        texts = as_text(y)
        unknown = sorted(set(texts) - set(self.class_names))
        if unknown:
            allowed = f"the classes {', '.join(self.class_names)}" if self.class_names else "whole numbers from 0"
            raise DataError(f"{self.where} has a label '{unknown[0]}'", allowed, "name every class in class_names")
        number = {name: i for i, name in enumerate(self.class_names)}
        return np.array([number[text] for text in texts], np.int64)

    def _multilabel(self, y: Array) -> Array:
        """(samples, classes) uint8."""
        if y.ndim != 2 or y.dtype.kind not in "buif":
            raise self._refusal(y)
        self._check_binary(y)
        self._check_width(y.shape[1])
        return y.astype(np.uint8)

    def _values(self, y: Array) -> Array:
        """(samples,) or (samples, values) float32."""
        if y.ndim not in (1, 2) or y.dtype.kind not in "buif":
            raise self._refusal(y)
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
            values = y.astype(np.float32)
        bad = np.flatnonzero(~np.isfinite(values).reshape(len(y), -1).all(axis=1))
        if len(bad):
            raise DataError(f"{self.where}: the label of sample {self.taken + bad[0]} is {y[bad[0]]}", "finite numbers",
                            "drop or mend these samples in the data source")
        return values

    def _check_range(self, labels: Array) -> None:
        """Refuse labels below 0 or outside the named classes; count the classes."""
        highest = len(self.class_names) - 1 if self.class_names else np.iinfo(np.int64).max
        outside = np.flatnonzero((labels < 0) | (labels > highest))
        if len(outside):
            allowed = f"0 to {highest}, one label for each of the {highest + 1} classes" if self.class_names \
                else "whole numbers from 0"
            sample, label = self.taken + outside[0], labels[outside[0]]
            raise DataError(f"{self.where}: sample {sample} has the label {label}", allowed)
        self.classes = max(self.classes, int(labels.max(initial=-1)) + 1)

    def _check_binary(self, y: Array) -> None:
        """Refuse anything but 0 and 1."""
        odd = np.argwhere((y != 0) & (y != 1))
        if len(odd):
            row, column = odd[0]
            raise DataError(f"{self.where}: sample {self.taken + row} has {y[row, column]} for class {column}",
                            ALLOWED[self.kind], _NEXT[self.kind])

    def _check_one_hot(self, y: Array) -> None:
        """Refuse rows that do not have a single 1."""
        self._check_binary(y)
        ones = y.astype(np.uint8).sum(axis=1, dtype=np.int64)
        odd = np.flatnonzero(ones != 1)
        if len(odd):
            sample, classes = self.taken + odd[0], ones[odd[0]]
            raise DataError(f"{self.where}: sample {sample} has {classes} classes", ALLOWED["classes"],
                            "set task to multilabel where a sample may have several classes, or none")

    def _check_width(self, classes: int) -> None:
        """Refuse a class count that does not fit the names."""
        if self.class_names and len(self.class_names) != classes:
            raise DataError(f"{self.where} has {classes} columns and there are {len(self.class_names)} class names",
                            "one column for each class")
        self.classes = classes

    def _refusal(self, y: Array) -> DataError:
        """Labels of a kind that the task cannot take."""
        return DataError(f"{self.where} has labels of shape {y.shape} and type {y.dtype}", ALLOWED[self.kind],
                         _NEXT[self.kind])


def as_text(y: Array) -> list[str]:
    """Labels as text; bytes are UTF-8."""
    return [value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
            for value in y.tolist()]


def join(parts: Mapping[str, Array]) -> Array:
    """One structured array of several plain ones, with a field for each.

    Raises:
        DataError: they do not have the same number of samples.
    """
    lengths = {name: len(values) for name, values in parts.items()}
    if len(set(lengths.values())) > 1:
        raise DataError("the parts of the samples differ in number: "
                        + ", ".join(f"{name} {length}" for name, length in lengths.items()), "as many of each")
    dtype = np.dtype([(name, values.dtype, values.shape[1:]) for name, values in parts.items()])
    joined = np.empty(next(iter(lengths.values())), dtype)
    for name, values in parts.items():
        joined[name] = values
    return joined


def _by_type(y: Array, where: str) -> Array:
    """Labels of one output of several, as their own type says."""
    if y.dtype.kind not in "buif" or not y.ndim:
        raise DataError(f"{where} has labels of shape {y.shape} and type {y.dtype}", "numbers, one row a sample")
    if y.ndim == 1 and y.dtype.kind in "bui":
        return y.astype(np.int64)
    return y.astype(np.uint8 if y.dtype.kind == "b" or y.dtype == np.uint8 else np.float32)
