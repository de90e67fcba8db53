"""Distances between teacher and student, against numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.distilling import losses


def value(tensor: Any) -> list[float]:
    return tensor.numpy().tolist()


def test_two_classes_at_temperature_two_give_the_divergence_worked_out_by_hand() -> None:
    # softmax((2, 0) / 2) = (0.731059, 0.268941), of the student's (0, 0) one half each:
    # 0.731059 ln 1.462117 + 0.268941 ln 0.537883 = 0.277721 - 0.166777 = 0.110944; times 2²
    found = losses.class_divergence(np.float32([[2, 0]]), np.float32([[0, 0]]), 2.0)
    assert value(found) == pytest.approx([0.443776], abs=1e-5)


def test_labels_at_temperature_two_are_averaged() -> None:
    # the first label as above, 0.443776; the second agrees: mean 0.221888
    found = losses.label_divergence(np.float32([[2, -3]]), np.float32([[0, -3]]), 2.0)
    assert value(found) == pytest.approx([0.221888], abs=1e-5)


@pytest.mark.parametrize("divergence", [losses.class_divergence, losses.label_divergence])
def test_a_student_that_agrees_has_no_distance_whatever_the_temperature(divergence: Any) -> None:
    logits = np.float32([[1, -2, 5], [30, -30, 0]])
    for temperature in (0.5, 1.0, 20.0):
        assert value(divergence(logits, logits, temperature)) == pytest.approx([0, 0], abs=1e-5)


def test_a_constant_added_to_a_samples_logits_changes_nothing() -> None:
    teacher, student = np.float32([[1, 2, 3]]), np.float32([[0, 1, 0]])
    shifted = losses.class_divergence(teacher + 7, student - 4, 3.0)
    assert value(shifted) == pytest.approx(value(losses.class_divergence(teacher, student, 3.0)), rel=1e-4)


def test_logits_are_taken_from_before_a_softmax_that_rounds_to_nothing() -> None:
    import tensorflow as tf

    @tf.function
    def found(logits: Any) -> Any:
        shares = tf.stop_gradient(tf.identity(tf.nn.softmax(logits)))
        return losses.class_logits(tf.quantization.fake_quant_with_min_max_vars(shares, 0.0, 1.0), logits=False)

    assert value(found(np.float32([[0, -200]]))) == [[0, -200]]  # the share of the second class is exactly 0


def test_logits_are_taken_from_before_a_sigmoid() -> None:
    import tensorflow as tf

    found = tf.function(lambda logits: losses.label_logits(tf.sigmoid(logits), logits=False))
    assert value(found(np.float32([[90, -90]]))) == [[90, -90]]


def test_probabilities_of_any_other_origin_become_logits_by_their_logarithm() -> None:
    shares = np.float32([[0.75, 0.25]])
    first, second = value(losses.class_logits(shares, logits=False))[0]
    assert first - second == pytest.approx(np.log(3), abs=1e-5)
    assert value(losses.label_logits(shares, logits=False))[0] == pytest.approx([np.log(3), -np.log(3)], abs=1e-5)
    assert np.isfinite(value(losses.class_logits(np.float32([[1, 0]]), logits=False))).all()
    assert np.isfinite(value(losses.label_logits(np.float32([[1, 0]]), logits=False))).all()


def test_logits_stay_as_they_are() -> None:
    assert losses.class_logits("logits", logits=True) == "logits"
    assert losses.label_logits("logits", logits=True) == "logits"
