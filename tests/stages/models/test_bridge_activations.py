"""The form that activations are written in, and what TFMOT and the converter make of it."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.bridge import bridge
from tests.stages.models.test_bridge_operations import kinds


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


def test_tfmot_quantizes_the_kernels_beside_hard_silu_and_its_parts_get_ranges():
    import keras

    from stages.models.qat import kernels, quantize_aware

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="hard_silu", name="conv"),
                              keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, name="dense")])
    twin, floats = quantize_aware(bridge(model).model)
    assert sorted(kernels(twin)) == ["conv", "dense"]
    assert floats == {}


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
