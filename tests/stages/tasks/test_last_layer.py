"""Probabilities or logits, told from the last layer, through whatever stands after or around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stages.tasks.last_layer import gives_logits, output_activation


def _model(*layers: Any) -> Any:
    import tf_keras as keras

    inputs = x = keras.layers.Input((4,))
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def _endings() -> dict[str, Callable[[], Any]]:
    import tensorflow as tf
    import tf_keras as keras

    layers = keras.layers
    return {
        "softmax": lambda: _model(layers.Dense(3, activation="softmax")),
        "sigmoid": lambda: _model(layers.Dense(3), layers.Activation("sigmoid")),
        "linear": lambda: _model(layers.Dense(3)),
        "relu": lambda: _model(layers.Dense(3), layers.ReLU()),
        "softmax layer": lambda: _model(layers.Dense(3), layers.Softmax()),
        "softmax, reshaped": lambda: _model(layers.Dense(6), layers.Reshape((2, 3)), layers.Softmax(), layers.Flatten(),
                                            layers.Dropout(0.1)),
        "softmax function": lambda: _model(layers.Dense(3), tf.nn.softmax),
        "softmax inside": lambda: _model(layers.Dense(4), _model(layers.Dense(3, activation="softmax"))),
        "linear inside": lambda: _model(keras.Sequential([layers.Input((4,)), layers.Dense(3)])),
        "log_softmax": lambda: _model(layers.Dense(3, activation="log_softmax")),
        "softmax distributed": lambda: _model(layers.Reshape((2, 2)), layers.TimeDistributed(
            layers.Dense(3, activation="softmax"))),
    }


@pytest.mark.parametrize("ending", [
    "softmax", "sigmoid", "linear", "relu", "softmax layer", "softmax, reshaped", "softmax function", "softmax inside",
    "linear inside", "log_softmax", "softmax distributed"])
def test_the_activation_is_found(ending: str) -> None:
    model = _endings()[ending]()
    assert output_activation(model.outputs[0]) == ending.split(" ", 1)[0].rstrip(",")
    assert gives_logits(model) == [not ending.startswith(("softmax", "sigmoid"))]


def test_quantization_and_pruning_wrappers_are_looked_through(tiny_keras: Any) -> None:
    import tensorflow_model_optimization as tfmot

    assert gives_logits(tfmot.quantization.keras.quantize_model(tiny_keras)) == [False]
    assert gives_logits(tfmot.sparsity.keras.prune_low_magnitude(tiny_keras)) == [False]


def test_a_quantized_relu_and_a_linear_end_are_logits() -> None:
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    for end in ("relu", None):
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, activation=end)])
        assert gives_logits(tfmot.quantization.keras.quantize_model(model)) == [True]


def test_each_output_is_told_apart() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((4,))
    model = keras.Model(inputs, {"kind": keras.layers.Dense(3, activation="softmax", name="kind")(inputs),
                                 "age": keras.layers.Dense(1, name="age")(inputs)})
    assert dict(zip(model.output_names, gives_logits(model), strict=True)) == {"kind": False, "age": True}
