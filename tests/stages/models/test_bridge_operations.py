"""The form that an operation takes in Keras 2, and which are refused."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.bridge import bridge, prove


def kinds(shape, function):
    """Classes of the layers that one operation becomes, without the input."""
    import keras

    inputs = keras.Input(shape)
    return [type(layer).__name__ for layer in bridge(keras.Model(inputs, function(keras.ops, inputs))).model.layers[1:]]


@pytest.mark.parametrize(("shape", "function", "expected"), [
    ((4, 4, 2), lambda o, x: o.mean(x, axis=(1, 2)), ["GlobalAveragePooling2D"]),
    ((4, 2), lambda o, x: o.max(x, axis=1, keepdims=True), ["GlobalMaxPooling1D"]),
    ((4, 4, 2), lambda o, x: o.mean(x, axis=(-2, -3)), ["GlobalAveragePooling2D"]),
    ((4, 4, 2), lambda o, x: o.mean(x, axis=1), ["TFOpLambda"]),
    ((4,), lambda o, x: o.clip(x, 0, 6), ["ReLU"]),
    ((4,), lambda o, x: x * 2 + 1, ["Rescaling", "Rescaling"]),
    ((4,), lambda o, x: 1 - x, ["Rescaling"]),
    ((4,), lambda o, x: -x, ["Rescaling"]),
    ((4,), lambda o, x: o.square(x), ["Multiply"]),
    ((4,), lambda o, x: o.relu6(x), ["ReLU"]),
    ((4,), lambda o, x: o.softmax(x), ["Softmax"]),
    ((4,), lambda o, x: o.silu(x), ["Activation"]),
    ((4,), lambda o, x: o.hard_silu(x), ["Rescaling", "ReLU", "Rescaling", "Multiply"]),
])
def test_an_operation_becomes_layers_where_keras_2_has_them(shape, function, expected):
    assert kinds(shape, function) == expected


@pytest.mark.parametrize(("function", "message"), [
    (lambda o, x: o.fft((x, x))[0], r"\(FFT\) is an operation without a twin"),
    (lambda o, x: o.argmax(x), "over all axes at once"),
    (lambda o, x: o.cumsum(x), "over all axes at once"),
    (lambda o, x: o.softmax(x, axis=(1, 2)), r"over the axes \(1, 2\)"),
])
def test_an_operation_that_cannot_be_written_is_refused_by_name(function, message):
    import keras

    inputs = keras.Input((4, 6))
    model = keras.Model(inputs, function(keras.ops, inputs))
    with pytest.raises(ModelError, match=message):
        bridge(model)


def test_a_chain_of_operations_is_proven_whole():
    import keras

    x = keras.Input((6, 4), name="x")
    attention = keras.ops.softmax(keras.ops.matmul(x, keras.ops.transpose(x, (0, 2, 1))) / 2.0)
    y = keras.ops.einsum("bij,bjk->bik", attention, x)[:, 1:, ::2]
    y = keras.ops.concatenate([y, keras.ops.maximum(y, 0.1) ** 2], axis=-1)
    model = keras.Model(x, keras.ops.mean(keras.ops.log1p(keras.ops.abs(y)), axis=1))
    prove(model, bridge(model).model, np.random.default_rng(0).normal(size=(5, 6, 4)))
