"""The form that an operation takes in Keras 2, what is refused, and what TFMOT and the converter make of it."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.bridge import bridge, prove
from stages.models.bridge.values import constant, tensor_first


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
    ((4, 2), lambda o, x: o.transpose(x, (0, 2, 1)), ["Permute"]),
    ((4, 2), lambda o, x: o.swapaxes(x, 1, 2), ["Permute"]),
    ((4, 2), lambda o, x: o.reshape(x, (-1, 8)), ["Reshape"]),
    ((4, 2), lambda o, x: o.expand_dims(x, -1), ["Reshape"]),
    ((4, 1, 2), lambda o, x: o.squeeze(x, 2), ["Reshape"]),
    ((4, 4, 2), lambda o, x: o.pad(x, ((0, 0), (1, 1), (2, 0), (0, 0))), ["ZeroPadding2D"]),
    ((4, 2), lambda o, x: o.concatenate([x, x], axis=-1), ["Concatenate"]),
    ((4,), lambda o, x: o.clip(x, 0, 6), ["ReLU"]),
    ((4,), lambda o, x: x * 2 + 1, ["Rescaling", "Rescaling"]),
    ((4,), lambda o, x: 1 - x, ["Rescaling"]),
    ((4,), lambda o, x: -x, ["Rescaling"]),
    ((4,), lambda o, x: o.square(x), ["Multiply"]),
    ((4,), lambda o, x: o.relu6(x), ["ReLU"]),
    ((4,), lambda o, x: o.softmax(x), ["Softmax"]),
    ((4,), lambda o, x: o.silu(x), ["Activation"]),
    ((4, 4, 2), lambda o, x: o.max_pool(x, 2), ["MaxPooling2D"]),
    ((4,), lambda o, x: o.hard_silu(x), ["Rescaling", "ReLU", "Rescaling", "Multiply"]),
])
def test_an_operation_becomes_layers_where_keras_2_has_them(shape, function, expected):
    assert kinds(shape, function) == expected


@pytest.mark.parametrize(("function", "message"), [
    (lambda o, x: o.fft((x, x))[0], r"\(FFT\) is an operation without a twin"),
    (lambda o, x: o.argmax(x), "over all axes at once"),
    (lambda o, x: o.cumsum(x), "over all axes at once"),
    (lambda o, x: o.einsum("bij->b", x), "computes 'bij->b'"),
    (lambda o, x: o.einsum("bij,bik->bj", x, x), "computes 'bij,bik->bj'"),
    (lambda o, x: o.take(x, [1]), "takes from a constant or from all axes"),
    (lambda o, x: o.repeat(x, [1, 2, 1, 1], axis=1), "different counts"),
    (lambda o, x: o.pad(x, ((0, 0), (1, 1), (0, 0)), mode="edge"), "pads in the mode 'edge'"),
    (lambda o, x: x[:, o.argmax(x[:, :, 0], axis=0)[0]], "indexed with a tensor"),
    (lambda o, x: o.tile(x, (1, 1, 1, 2)), "adds axes while tiling"),
    (lambda o, x: o.softmax(x, axis=(1, 2)), r"over the axes \(1, 2\)"),
    (lambda o, x: o.matmul(x, np.ones(6, np.float32)), "multiplies by a vector"),
])
def test_an_operation_that_cannot_be_written_is_refused_by_name(function, message):
    import keras

    inputs = keras.Input((4, 6))
    try:
        outputs = function(keras.ops, inputs)
    except (TypeError, ValueError) as error:
        pytest.skip(f"Keras 3 itself refuses it symbolically: {error}")
    with pytest.raises(ModelError, match=message):
        bridge(keras.Model(inputs, outputs))


def test_sparsemax_over_another_axis_is_refused():
    with pytest.raises(ModelError, match="sparsemax over the axis 1"):
        kinds((4, 6), lambda o, x: o.sparsemax(x, axis=1))


def test_hard_sigmoid_is_that_of_keras_3_and_not_the_older_one_of_the_same_name():
    import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Activation("hard_sigmoid")])
    twin = bridge(model).model
    values = twin(np.array([[-4.0], [-3.0], [0.0], [1.5], [3.0], [9.0]]))
    np.testing.assert_allclose(values[:, 0], [0, 0, 0.5, 0.75, 1, 1], atol=1e-7)  # relu6(1.5 + 3) / 6 = 0.75


def test_gelu_of_the_activations_is_exact_and_that_of_the_operations_is_not():
    import keras

    x = np.array([[1.0]])
    for function, expected in ((keras.activations.gelu, 0.8413447), (keras.ops.gelu, 0.8411920)):
        inputs = keras.Input((1,))
        model = keras.Model(inputs, function(inputs))
        assert float(bridge(model).model(x)[0, 0]) == pytest.approx(expected, abs=2e-6)


def test_what_was_rewritten_is_said_in_words():
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="hard_silu", name="a"),
                              keras.layers.Dense(3, activation="relu6", name="b"), keras.layers.Dense(3, name="c")])
    assert bridge(model).changed == {"a": "hard_silu written as x * relu6(x + 3) / 6",
                                     "b": "relu6 written as ReLU(6.0)"}


def test_tfmot_takes_the_form_that_relu6_is_written_in():
    import keras

    from stages.models.qat import quantize_aware

    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu6")(inputs)
    x = keras.ops.relu6(keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(x)))
    x = keras.ops.mean(keras.layers.Conv2D(4, 3, activation="silu")(x), axis=(1, 2))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    assert quantize_aware(bridge(model).model)[1] == {}


def test_tfmot_leaves_the_parts_of_hard_silu_in_float_and_quantizes_the_kernels():
    import keras

    from stages.models.qat import kernels, quantize_aware

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="hard_silu", name="conv"),
                              keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, name="dense")])
    twin, floats = quantize_aware(bridge(model).model)
    assert sorted(kernels(twin)) == ["conv", "dense"]
    assert set(floats) == {"conv_hard_silu", "conv_hard_silu_gate_plus3", "conv_hard_silu_gate_sixth"}


def test_the_converter_makes_one_hard_swish_of_hard_silu_and_the_tflite_model_agrees():
    import keras
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="hard_silu"),
                              keras.layers.Flatten(), keras.layers.Dense(5, activation="mish")])
    x = np.random.default_rng(0).normal(0, 3, (1, 8, 8, 3)).astype(np.float32)
    engine = Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(bridge(model).model).convert())
    engine.allocate_tensors()
    engine.set_tensor(engine.get_input_details()[0]["index"], x)
    engine.invoke()
    found = engine.get_tensor(engine.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, model(x), atol=1e-5)
    assert "HARD_SWISH" in {detail["op_name"] for detail in engine._get_ops_details()}


def test_constants_become_plain_numbers():
    import keras

    assert constant(None) is None
    assert constant(2.5) == 2.5
    assert constant(np.float32(2)) == 2.0
    assert constant(keras.ops.convert_to_tensor([1, 2])) == [1, 2]
    assert tensor_first([3, 4]) == [3, 4]


def test_a_chain_of_operations_is_proven_whole():
    import keras

    x = keras.Input((6, 4), name="x")
    attention = keras.ops.softmax(keras.ops.matmul(x, keras.ops.transpose(x, (0, 2, 1))) / 2.0)
    y = keras.ops.einsum("bij,bjk->bik", attention, x)[:, 1:, ::2]
    y = keras.ops.concatenate([y, keras.ops.maximum(y, 0.1) ** 2], axis=-1)
    model = keras.Model(x, keras.ops.mean(keras.ops.log1p(keras.ops.abs(y)), axis=1))
    prove(model, bridge(model).model, np.random.default_rng(0).normal(size=(5, 6, 4)))
