"""What labels say about a split, by how the task keeps them: class numbers, 0 and 1 for each class, or values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.datasets.records import TEST

Array = NDArray[Any]


def first_output(y: Array) -> Array:
    """The labels, or the first output's where there are several."""
    return y if y.dtype.names is None else np.asarray(y[y.dtype.names[0]])


def stored_class_names(task: str, class_names: tuple[str, ...]) -> tuple[str, ...]:
    """What the stored labels mean: an anomaly task keeps 0 for normal and 1 for anything else."""
    return ("normal", "anomaly") if task == "anomaly" else class_names


def are_classes(y: Array) -> bool:
    """Whether each sample has one class: (samples,) integers."""
    return y.ndim == 1 and y.dtype.kind in "iu"


def class_counts(y: Array, classes: int) -> tuple[int, ...]:
    """Samples of each class; for several classes a sample, those that have it; () for values and several outputs."""
    if y.dtype.names is not None:
        return ()
    if are_classes(y):
        return tuple(np.bincount(y, minlength=classes).tolist())
    return tuple(y.sum(axis=0, dtype=np.int64).tolist()) if y.dtype == np.uint8 else ()


def strata(y: Array, class_names: tuple[str, ...]) -> tuple[Array, tuple[str, ...]]:
    """(samples,) what a split is balanced by, and what these strata are called; one without classes."""
    y = first_output(y)
    if are_classes(y):
        return y.astype(np.int64), class_names or tuple(str(label) for label in range(int(y.max(initial=-1)) + 1))
    return np.zeros(len(y), np.int64), ()


def missing_classes(task: str, split: str, counts: tuple[int, ...], class_names: tuple[str, ...]) -> list[str]:
    """Classes that a split must hold and does not: all of them, for anomalies in the test split alone."""
    if task == "classification" or (task == "anomaly" and split == TEST):
        return [name for name, count in zip(class_names, counts, strict=True) if not count]
    return []
