"""Weights of a tflite model: read by layer, packed two a byte, replaced one layer at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device_profiles.tflite import read_tflite
from stages.converting.moments import Tap
from stages.converting.quantizing import PostTraining
from stages.converting.weights import Editor, Integers, along, packed, read_layers, sharing, unpacked
from stages.recipes import WeightRecipe, rules_for
from tests.device_profiles.handmade import Handmade


def outputs(content: bytes, samples: np.ndarray) -> np.ndarray:
    """Of a whole batch in litert, dequantized."""
    from ai_edge_litert.interpreter import Interpreter

    work = Interpreter(model_content=content)
    given, made = work.get_input_details()[0], work.get_output_details()[0]
    work.resize_tensor_input(given["index"], samples.shape)
    work.allocate_tensors()
    if given["dtype"] != np.float32:
        scale, zero = given["quantization"]
        samples = np.clip(np.rint(samples / scale) + zero, -128, 127).astype(given["dtype"])
    work.set_tensor(given["index"], samples)
    work.invoke()
    values = work.get_tensor(made["index"]).astype(np.float32)
    if made["dtype"] != np.float32:
        scale, zero = made["quantization"]
        values = (values - zero) * scale
    return np.asarray(values)


def low(layer: Any, bits: int = 4) -> Integers:
    """The nearest integers, a scale for each channel; in a dense layer one for all."""
    axes = tuple(axis for axis in range(layer.weights.ndim) if axis != layer.axis)
    largest = np.abs(layer.weights).max(axis=axes) if layer.operator != "FULLY_CONNECTED" else np.array(
        [np.abs(layer.weights).max()])
    scales = (largest / (7 if bits == 4 else 127)).astype(np.float32)
    values = np.rint(layer.weights / along(scales, layer.weights.ndim, layer.axis)).astype(np.int8)
    return Integers(values, scales, bits)


def test_two_4_bit_values_share_a_byte_the_first_in_the_low_half() -> None:
    values = np.array([1, -1, 7, -7, 3], np.int8)
    assert packed(values) == bytes([0xF1, 0x97, 0x03])
    assert unpacked(packed(values), 5).tolist() == [1, -1, 7, -7, 3]


def test_layers_are_read_with_their_place_channels_and_bias(tiny_tflites: dict[str, bytes]) -> None:
    layers = read_layers(tiny_tflites["float32"])
    assert [(each.ordinal, each.operator, each.weights.shape, each.channels) for each in layers] == [
        (0, "CONV_2D", (4, 3, 3, 2), 4), (1, "DEPTHWISE_CONV_2D", (1, 3, 3, 4), 4), (2, "FULLY_CONNECTED", (3, 4), 3)]
    assert layers[0].label.startswith("0:CONV_2D ")
    assert [None if each.bias is None else each.bias.shape for each in layers[:2]] == [(4,), (4,)]


def test_a_quantized_model_has_no_float_layers(tiny_tflites: dict[str, bytes]) -> None:
    assert read_layers(tiny_tflites["int8"]) == []


def test_other_floats_take_the_place_of_one_layer_s_weights(tiny_tflites: dict[str, bytes]) -> None:
    editor = Editor(tiny_tflites["float32"])
    editor.set_floats(1, np.full((1, 3, 3, 4), 0.5, np.float32), np.arange(4, dtype=np.float32))
    before, after = read_layers(tiny_tflites["float32"]), read_layers(editor.content())
    assert (after[1].weights == 0.5).all()
    assert after[1].bias is not None
    assert after[1].bias.tolist() == [0, 1, 2, 3]
    assert (after[0].weights == before[0].weights).all()
    assert (after[2].weights == before[2].weights).all()


def test_a_buffer_that_two_tensors_share_is_left_to_the_other() -> None:
    made = Handmade()
    data, kernel = made.activation((1, 2, 2, 1)), np.ones((1, 1, 1, 1), np.float32)
    first, second = made.constant(kernel), made.constant(kernel)
    middle, out = made.activation((1, 2, 2, 1)), made.activation((1, 2, 2, 1))
    made.operator("CONV_2D", [data, first], [middle])
    made.operator("CONV_2D", [middle, second], [out])
    editor = Editor(made.bytes([data], [out]))
    editor._graph.tensors[second].buffer = editor._graph.tensors[first].buffer
    editor.set_floats(0, 3 * kernel, None)
    assert [float(each.weights.sum()) for each in read_layers(editor.content())] == [3.0, 1.0]


@pytest.mark.parametrize("bits", [8, 4])
def test_integer_weights_compute_what_they_stand_for(tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray,
                                                     bits: int) -> None:
    content = tiny_tflites["float32"]
    work = PostTraining(content, rules_for("int8"))
    whole, as_floats = Editor(work.quantize(work.calibrate(tiny_samples))), Editor(content)
    for layer in read_layers(content):
        found = low(layer, bits)
        whole.set_integers(layer.ordinal, found, layer.bias)
        as_floats.set_floats(layer.ordinal, found.floats(layer.axis), None)
    wanted = outputs(as_floats.content(), tiny_samples)
    assert outputs(whole.content(), tiny_samples) == pytest.approx(wanted, abs=0.02)
    kinds = [read_tflite(whole.content()).graphs[0].tensors[each.inputs[1]].dtype
             for each in read_tflite(whole.content()).graphs[0].operators[:2]]
    assert kinds == ["int4" if bits == 4 else "int8"] * 2


def test_a_bias_is_rounded_to_input_scale_times_weight_scale(tiny_tflites: dict[str, bytes],
                                                             tiny_samples: np.ndarray) -> None:
    work = PostTraining(tiny_tflites["float32"], rules_for("int8"))
    editor = Editor(work.quantize(work.calibrate(tiny_samples)))
    layer = read_layers(tiny_tflites["float32"])[0]
    weights = low(layer)
    editor.set_integers(0, weights, np.array([1, -1, 0.5, 0], np.float32))
    graph = read_tflite(editor.content()).graphs[0]
    operator = graph.operators[0]
    scale = graph.tensors[operator.inputs[0]].scales[0] * weights.scales.astype(np.float64)
    stored = np.frombuffer(graph.tensors[operator.inputs[2]].data, "<i4")
    assert stored.tolist() == np.rint(np.array([1, -1, 0.5, 0]) / scale).astype(int).tolist()
    assert graph.tensors[operator.inputs[2]].scales == pytest.approx(scale)


def test_a_layer_without_a_bias_is_given_one_of_zeros() -> None:
    made = Handmade()
    data, out = made.activation((1, 2)), made.activation((1, 3))
    made.operator("FULLY_CONNECTED", [data, made.constant(np.ones((3, 2), np.float32))], [out])
    editor = Editor(made.bytes([data], [out]))
    editor.add_bias(0)
    editor.add_bias(0)  # there is one now
    (layer,) = read_layers(editor.content())
    assert layer.bias is not None
    assert layer.bias.tolist() == [0, 0, 0]


def test_a_cut_model_ends_where_it_was_cut(tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray) -> None:
    content = tiny_tflites["float32"]
    layer = read_layers(content)[0]
    editor = Editor(content)
    editor.cut([layer.output])
    assert [each.name for each in read_tflite(editor.content()).graphs[0].operators] == ["CONV_2D"]
    found = Tap(content, [layer.output]).read([{"x": tiny_samples}])[layer.output]
    assert outputs(editor.content(), tiny_samples) == pytest.approx(found)


def test_layers_with_one_weight_tensor_are_one_group() -> None:
    made = Handmade()
    data, kernel = made.activation((1, 2, 2, 1)), made.constant(np.ones((1, 1, 1, 1), np.float32))
    middle, out = made.activation((1, 2, 2, 1)), made.activation((1, 2, 2, 1))
    made.operator("CONV_2D", [data, kernel], [middle])
    made.operator("CONV_2D", [middle, kernel], [out])
    (group,) = sharing(read_layers(made.bytes([data], [out])))
    assert [layer.ordinal for layer in group] == [0, 1]


@pytest.mark.parametrize("bits", [8, 4])
def test_the_bias_of_a_channel_without_weights_is_kept(tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray,
                                                       bits: int) -> None:
    editor, first = Editor(tiny_tflites["float32"]), read_layers(tiny_tflites["float32"])[0]
    weights, bias = first.weights.copy(), np.array([0.1, 0.2, 0.75, 0.4], np.float32)
    weights[2] = 0.0
    editor.set_floats(0, weights, bias)
    plain = editor.content()
    work = PostTraining(plain, rules_for("int8"), WeightRecipe(bits=bits) if bits == 4 else None)
    made = work.quantize(work.calibrate(tiny_samples), work.fit(tiny_samples))
    graph = read_tflite(made).graphs[0]
    conv = next(each for each in graph.operators if each.name == "CONV_2D")
    stored = graph.tensors[conv.inputs[2]]
    values = np.frombuffer(stored.data, "<i4") * np.array(stored.scales)
    assert values == pytest.approx(bias, abs=1e-3)
    assert np.abs(outputs(made, tiny_samples) - outputs(plain, tiny_samples)).max() < (0.1 if bits == 8 else 0.4)


def test_biases_that_fit_leave_the_model_as_it_is(tiny_tflites: dict[str, bytes]) -> None:
    editor = Editor(tiny_tflites["int8"])
    before = editor.content()
    editor.fit_biases({layer.ordinal: layer.bias for layer in read_layers(tiny_tflites["float32"])
                       if layer.bias is not None})
    assert editor.content() == before
