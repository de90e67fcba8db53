"""TensorFlow's losses equal numpy's, and have gradients where a probability is 0."""

from __future__ import annotations

import numpy as np
import pytest

from stages.tasks import losses
from stages.tasks.classification import probabilities

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], np.float32)
SHARES = probabilities(LOGITS, True)
LABELS = np.array([0, 2])


@pytest.mark.parametrize("name", ["crossentropy", "focal"])
def test_class_losses_are_the_same_from_logits_and_from_probabilities(name: str) -> None:
    wanted = losses.class_losses(name, LABELS, SHARES)
    assert losses.class_tensors(name, LABELS, LOGITS, True).numpy() == pytest.approx(wanted, rel=1e-5)
    assert losses.class_tensors(name, LABELS, SHARES.astype("f4"), False).numpy() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("name", ["crossentropy", "focal"])
def test_a_single_unit_has_the_loss_of_two(name: str) -> None:
    one, labels = np.array([[0.5], [-1.0]], np.float32), np.array([1, 0])
    wanted = losses.class_losses(name, labels, probabilities(one, True))
    assert losses.class_tensors(name, labels, one, True).numpy() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("name", ["crossentropy", "focal"])
def test_label_losses_are_means_over_the_labels(name: str) -> None:
    y, shares = np.array([[1, 0], [1, 1]], np.uint8), np.array([[0.9, 0.4], [0.5, 0.8]], np.float32)
    chosen = np.array([[0.9, 0.6], [0.5, 0.8]])
    weight = (1 - chosen) ** 2 if name == "focal" else 1
    wanted = (weight * -np.log(chosen)).mean(axis=1)
    assert losses.label_losses(name, y, shares.astype(float)) == pytest.approx(wanted, rel=1e-6)
    assert losses.label_tensors(name, y, shares, False).numpy() == pytest.approx(wanted, rel=1e-4)
    logits = np.log(shares / (1 - shares))
    assert losses.label_tensors(name, y, logits, True).numpy() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(("name", "wanted"), [("mse", [4.5, 0.125]), ("mae", [1.5, 0.25]), ("huber", [1.25, 0.0625])])
def test_distances_are_means_over_all_values_of_a_sample(name: str, wanted: list[float]) -> None:
    target = np.zeros((2, 1, 2), np.float32)
    outputs = np.array([[[3.0, 0.0]], [[0.5, 0.0]]], np.float32)
    assert losses.distances(name, target, outputs) == pytest.approx(wanted)
    assert losses.distance_tensors(name, target, outputs).numpy() == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["crossentropy", "focal"])
def test_a_probability_of_zero_still_has_a_gradient(name: str) -> None:
    import tensorflow as tf

    logits = tf.Variable([[0.0, 200.0]])

    @tf.function
    def gradient() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = losses.class_tensors(name, tf.constant([0]), tf.nn.softmax(logits), False)
        return tape.gradient(loss, logits)

    assert gradient().numpy() == pytest.approx(np.array([[-1.0, 1.0]]), rel=1e-4)
