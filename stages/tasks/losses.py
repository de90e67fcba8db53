"""Losses by name, each once for TensorFlow (to train by) and once for numpy (to validate by). All are per sample.

Cross-entropy of the true class: `-ln p`. Focal loss: `-(1 - p)² ln p` (Lin et al. 2017, arXiv:1708.02002, gamma 2,
without class weights). With several labels at once: the mean over the labels, p being the probability of what each is.
Huber: `d²/2` for |d| <= 1, else `|d| - 1/2`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SMALLEST_PROBABILITY = 1e-7
"""Probabilities are clipped here, as Keras does: an int8 softmax gives exact zeros."""
FOCUS = 2.0


def class_tensors(name: str, y: Any, outputs: Any, logits: bool) -> Any:
    """Loss of one class a sample, for training.

    Keras finds the logits behind a softmax that has just been computed and takes the logarithm there, so that a
    probability of 0 still has a gradient.

    Args:
        name: "crossentropy" or "focal".
        y: (batch,) integers.
        outputs: (batch, classes), or (batch, 1): of the second of two classes.
        logits: whether a softmax (or sigmoid) is still to be applied.

    Returns:
        (batch,) float32 tensor.
    """
    import tensorflow as tf
    import tf_keras as keras

    if outputs.shape[-1] == 1:
        return label_tensors(name, y[:, None], outputs, logits)
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=logits, reduction="none")(y, outputs)
    return tf.pow(1.0 - tf.exp(-entropy), FOCUS) * entropy if name == "focal" else entropy


def label_tensors(name: str, y: Any, outputs: Any, logits: bool) -> Any:
    """Loss of several labels a sample, for training.

    Args:
        name: "crossentropy" or "focal".
        y: (batch, labels) of 0 and 1.
        outputs: (batch, labels).
        logits: whether a sigmoid is still to be applied.

    Returns:
        (batch,) float32 tensor.
    """
    import tensorflow as tf
    import tf_keras as keras

    entropy = keras.backend.binary_crossentropy(tf.cast(y, outputs.dtype), outputs, from_logits=logits)
    if name == "focal":
        entropy = tf.pow(1.0 - tf.exp(-entropy), FOCUS) * entropy
    return tf.reduce_mean(entropy, axis=-1)


def distance_tensors(name: str, target: Any, outputs: Any) -> Any:
    """Mean distance over all values of a sample, for training.

    Args:
        name: "mse", "mae" or "huber".
        target: (batch, ...) float32.
        outputs: the same shape.

    Returns:
        (batch,) float32 tensor.
    """
    import tensorflow as tf

    apart = tf.abs(outputs - tf.cast(target, outputs.dtype))
    if name == "mse":
        apart = tf.square(apart)
    elif name == "huber":
        apart = tf.where(apart <= 1.0, 0.5 * tf.square(apart), apart - 0.5)
    return tf.reduce_mean(apart, axis=list(range(1, apart.shape.rank)))


def class_losses(name: str, y: Array, probabilities: Array) -> Array:
    """As `class_tensors`, from (samples, classes) probabilities that were clipped.  # (samples,)."""
    return _entropy(name, probabilities[np.arange(len(y)), y])


def label_losses(name: str, y: Array, probabilities: Array) -> Array:
    """As `label_tensors`, from (samples, labels) probabilities that were clipped.  # (samples,)."""
    return np.asarray(_entropy(name, np.where(y > 0, probabilities, 1 - probabilities)).mean(axis=1))


def distances(name: str, target: Array, outputs: Array) -> Array:
    """As `distance_tensors`, in float64.  # (samples,)."""
    apart = np.abs(np.asarray(outputs, np.float64) - target)
    if name == "mse":
        apart = apart**2
    elif name == "huber":
        apart = np.where(apart <= 1, apart**2 / 2, apart - 0.5)
    return np.asarray(apart.reshape(len(apart), -1).mean(axis=1))


def _entropy(name: str, chosen: Array) -> Array:
    """Of the probability of what is true."""
    entropy = -np.log(chosen)
    return np.asarray((1 - chosen) ** FOCUS * entropy if name == "focal" else entropy)
