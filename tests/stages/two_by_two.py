"""A model with two inputs and two outputs, as Keras and as tflite models, and data for it."""

from __future__ import annotations

from typing import Any

import numpy as np

DTYPE = np.dtype([("image", np.uint8, (6, 6, 1)), ("age", np.float32, (2,))])
"""One sample as it is stored."""


def stored(count: int = 40, seed: int = 3) -> np.ndarray:
    """(count,) samples of both inputs, as stored."""
    rng = np.random.default_rng(seed)
    found = np.empty(count, DTYPE)
    found["image"] = rng.integers(0, 256, (count, 6, 6, 1))
    found["age"] = rng.normal(40, 12, (count, 2))
    return found


def normalized(samples: np.ndarray) -> dict[str, np.ndarray]:
    """Both inputs as the model takes them: the image over 255, the age less 40 over 12."""
    return {"image": samples["image"].astype(np.float32) / np.float32(255),
            "age": (samples["age"] - np.float32(40)) / np.float32(12)}


def build() -> Any:
    """Image and age in; a kind (3 classes) and a value out. Seeded weights, untrained."""
    import tf_keras as keras

    keras.utils.set_random_seed(4)
    image, age = keras.layers.Input((6, 6, 1), name="image"), keras.layers.Input((2,), name="age")
    x = keras.layers.Flatten()(keras.layers.Conv2D(3, 3, activation="relu")(image))
    x = keras.layers.Concatenate()([x, keras.layers.Dense(4, activation="relu")(age)])
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(x)
    return keras.Model([image, age], [kind, keras.layers.Dense(1, name="value")(x)])


def convert(model: Any, samples: np.ndarray, number_format: str) -> bytes:
    """With the plain converter: "float32" or "int8" (integer inputs and outputs)."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if number_format == "int8":
        given = normalized(samples)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            {name: values[row:row + 1] for name, values in given.items()} for row in range(len(samples)))
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())
