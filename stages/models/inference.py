"""A Keras model applied to many samples, in batches, compiled once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 256

Predictor = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def make_predictor(model: Any) -> Predictor:
    """A function from samples to outputs that follows the model's weights as they change.

    Args:
        model: a `tf_keras.Model` with one input and one output.

    Returns:
        `predict(x)`, where x is (samples, *input_shape) float32 and the result (samples, *output_shape) float32.
    """
    import tensorflow as tf

    forward = tf.function(lambda x: model(x, training=False),
                          input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)])

    def predict(x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs of all samples, `BATCH` at a time."""
        parts = [forward(x[start:start + BATCH]).numpy() for start in range(0, len(x), BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, *model.output_shape[1:]), np.float32)

    return predict
