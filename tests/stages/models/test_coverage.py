"""What the 8-bit scheme covers: each kind of layer named, and the scheme's word held against TFMOT itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from device_profiles.workload import read_workload
from stages.models import coverage, qat
from stages.models.float_operators import float_operators, float_warning
from stages.models.folding import fold
from stages.models.framework import tensorflow_turn


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """`tf_keras` in a turn of its own."""
    with tensorflow_turn(1, tmp_path_factory.mktemp("turn") / "log.txt") as keras:
        yield keras


def between(keras: Any, *layers: Any) -> Any:
    """A convolution, the layers, and a head."""
    inputs = keras.layers.Input((6, 6, 2))
    x = keras.layers.Conv2D(4, 3, name="first")(inputs)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(keras.layers.GlobalAveragePooling2D(name="pool")(x)))


def reasons(model: Any) -> dict[str, str]:
    return coverage.not_covered(model, qat._scheme("qat").get_quantize_registry())


LAYERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "PReLU": (lambda layers: layers.PReLU(name="odd"), "PReLU is not in TFMOT's 8-bit scheme"),
    "hard_sigmoid": (lambda layers: layers.Activation("hard_sigmoid", name="odd"),
                     "its activation hard_sigmoid is not in TFMOT's 8-bit scheme"),
    "selu inside": (lambda layers: layers.Conv2D(2, 1, activation="selu", name="odd"),
                    "its activation selu is not in TFMOT's 8-bit scheme"),
    "LayerNormalization": (lambda layers: layers.LayerNormalization(name="odd"),
                "LayerNormalization is not in TFMOT's 8-bit scheme"),
    "norm on an activation": (lambda layers: layers.BatchNormalization(name="odd"),
                              "BatchNormalization is not in TFMOT's 8-bit scheme here"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_that_is_not_covered_has_a_reason_and_tfmot_agrees(turn: Any, name: str) -> None:
    make, reason = LAYERS[name]
    model = between(turn, turn.layers.ReLU(), make(turn.layers))
    assert reasons(model) == {"odd": reason}
    with pytest.raises((RuntimeError, ValueError)):
        qat._apply(model, "qat", ())


@pytest.mark.parametrize("make", [
    lambda layers: [layers.Activation("gelu")], lambda layers: [layers.SeparableConv2D(4, 3)],
    lambda layers: [layers.LeakyReLU()], lambda layers: [layers.BatchNormalization(), layers.ReLU(6.0)],
    lambda layers: [layers.Rescaling(1.0, 3.0), layers.ReLU(6.0), layers.Rescaling(1 / 6)],
    lambda layers: [layers.Conv2D(4, 1, activation="swish"), layers.Conv2D(4, 1, activation="sigmoid")],
    lambda layers: [layers.ReLU(), layers.BatchNormalization(), layers.ReLU()],
])
def test_what_is_covered_becomes_int8_throughout(turn: Any, make: Callable[[Any], list[Any]]) -> None:
    model = fold(between(turn, *make(turn.layers))).model
    assert reasons(model) == {}
    assert float_warning(converted(model)) == ""


def converted(model: Any) -> bytes:
    """An 8-bit tflite model of a model that was made quantization-aware, with ranges from random samples."""
    import tensorflow as tf

    wrapped, _ = qat.quantize_aware(model)
    x = np.random.default_rng(0).normal(0, 1, (8, *model.input_shape[1:])).astype(np.float32)
    qat.set_activation_ranges(wrapped, x)
    wrapped(x, training=True)
    converter = tf.lite.TFLiteConverter.from_keras_model(wrapped)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def test_squeeze_and_excitation_becomes_int8_throughout(turn: Any) -> None:
    layers = turn.layers
    inputs = layers.Input((6, 6, 2))
    x = layers.Activation("swish")(layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs)))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(4, 1, activation="sigmoid")(layers.Conv2D(2, 1, activation="swish", name="squeeze")(gate))
    x = layers.Dropout(0.2)(layers.Multiply()([x, gate]))
    folded = fold(turn.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    assert folded.changed == {"squeeze": "its swish is a layer of its own"}
    assert float_warning(converted(folded.model)) == ""


def test_a_float_island_is_counted_and_named(turn: Any) -> None:
    content = converted(between(turn, turn.layers.ELU(name="odd")))
    assert [operator.name for operator in float_operators(content)] == ["ELU", "MEAN"]
    assert float_warning(content) == "1 ELU, 1 MEAN compute in float: odd, pool"
    assert {operator.name for operator in read_workload(content).operators} >= {"DEQUANTIZE", "QUANTIZE"}


def test_a_function_in_the_graph_stays_in_float_by_name(turn: Any) -> None:
    import tensorflow as tf

    model = between(turn, tf.abs)
    name = coverage.functions_in(model)[0]
    _, floats = qat.quantize_aware(model)
    assert floats == {name: "TFOpLambda is not in TFMOT's 8-bit scheme"}


def test_many_layers_of_one_class_are_listed_in_short(turn: Any) -> None:
    model = between(turn, *(turn.layers.ELU(name=f"elu{number}") for number in range(10)))
    assert coverage.listed(model, reasons(model)) == (
        "'elu0', 'elu1', 'elu2', 'elu3', 'elu4', 'elu5', 'elu6', 'elu7' and 2 more (ELU: not in TFMOT's 8-bit scheme)")


def after_the_field(keras: Any) -> Any:
    """What MobileNetV3, EfficientNet and ResNetV2 are made of, once each; inputs in 0..255, three values out."""
    layers = keras.layers
    inputs = layers.Input((12, 12, 3))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(layers.Rescaling(1 / 127.5, -1.0)(inputs))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, use_bias=False, name="stem")(x))
    gate = layers.Rescaling(1 / 6)(layers.ReLU(6.0)(layers.Rescaling(1.0, 3.0)(x)))
    x = layers.Multiply(name="hard_swish")([x, gate])
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(x)
    squeezed = layers.Conv2D(8, 1, activation="sigmoid")(layers.Conv2D(4, 1, activation="swish")(squeezed))
    x = layers.Multiply(name="excited")([x, squeezed])
    x = layers.Activation("swish")(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x)))
    x = layers.Add()([x, layers.ReLU()(layers.BatchNormalization(name="alone")(x))])
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def test_what_the_field_is_made_of_computes_in_int8_what_training_emulated(turn: Any) -> None:
    import tensorflow as tf

    model = after_the_field(turn)
    x = np.random.default_rng(0).uniform(0, 255, (32, 12, 12, 3)).astype(np.float32)
    x *= np.linspace(0.1, 1, 32, dtype=np.float32)[:, None, None, None]  # images that differ
    for layer in model.layers:
        layer.momentum = 0.0  # the statistics of normalizations are then those of one batch
    model(x, training=True)
    wrapped, floats = qat.quantize_aware(fold(model).model)
    qat.set_activation_ranges(wrapped, x)
    wrapped(x, training=True)
    converter = tf.lite.TFLiteConverter.from_keras_model(wrapped)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    content = bytes(converter.convert())
    assert floats == {}
    assert float_warning(content) == ""
    emulated, computed = wrapped(x, training=False).numpy(), run_each(content, x)
    step = np.ptp(emulated) / 255
    assert np.abs(computed - emulated).max() < 6 * step
    assert np.ptp(emulated, axis=0).min() > 30 * step  # what is compared differs from image to image


def run_each(content: bytes, x: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    given, found = (details()[0]["index"] for details in (interpreter.get_input_details,
                                                          interpreter.get_output_details))
    rows = []
    for row in x:
        interpreter.set_tensor(given, row[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(found)[0])
    return np.stack(rows)
