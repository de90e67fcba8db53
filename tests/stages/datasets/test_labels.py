"""What labels say about a split."""

from __future__ import annotations

import numpy as np

from stages.datasets import labels

CLASSES = np.array([0, 2, 2, 1])
SEVERAL = np.array([[1, 0, 1], [0, 0, 1]], np.uint8)
VALUES = np.array([[0.5], [2.0]], np.float32)


def test_counts_are_of_classes_or_of_samples_that_have_them_or_none() -> None:
    assert labels.class_counts(CLASSES, 4) == (1, 1, 2, 0)
    assert labels.class_counts(SEVERAL, 3) == (1, 0, 2)
    assert labels.class_counts(VALUES, 0) == ()


def test_only_single_classes_are_strata() -> None:
    strata, names = labels.strata(CLASSES, ("a", "b", "c"))
    assert (strata.tolist(), names) == ([0, 2, 2, 1], ("a", "b", "c"))
    assert labels.strata(SEVERAL, ("a", "b", "c"))[0].tolist() == [0, 0]
    assert labels.strata(VALUES, ())[1] == ()


def test_of_several_outputs_the_first_one_s_classes_are_strata_and_none_are_counted() -> None:
    both = np.zeros(2, [("kind", np.int64), ("age", np.float32, (1,))])
    both["kind"] = [1, 0]
    assert labels.class_counts(both, 0) == ()
    strata, names = labels.strata(both, ())
    assert (strata.tolist(), names) == ([1, 0], ("0", "1"))


def test_a_classification_needs_every_class_everywhere_and_an_anomaly_task_in_the_test_split() -> None:
    names = ("normal", "anomaly")
    assert labels.missing_classes("classification", "train", (3, 0), names) == ["anomaly"]
    assert labels.missing_classes("anomaly", "train", (3, 0), names) == []
    assert labels.missing_classes("anomaly", "test", (3, 0), names) == ["anomaly"]
    assert labels.missing_classes("regression", "test", (), ()) == []
