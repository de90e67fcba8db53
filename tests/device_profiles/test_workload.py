"""The work of a tflite model, right to the MAC; expected values are worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device_profiles.operators import BUILTIN_NAMES, KERNEL_CLASSES
from device_profiles.workload import Workload, read_workload
from tests.device_profiles.handmade import Handmade, conv_model


def test_bytes_shapes_and_options_of_a_convolution_are_those_of_the_file() -> None:
    workload = read_workload(conv_model())
    conv = workload.operators[0]
    assert (conv.input_bytes, conv.output_bytes, conv.weight_bytes) == (4 * 32, 4 * 12, 4 * (54 + 3))
    assert (conv.weights, conv.window_taps, conv.output_taps, conv.output_elements) == (54, 4 * 9, 12 * 9, 12)
    assert (conv.inputs[0].shape, conv.outputs[0].shape) == ((1, 4, 4, 2), (1, 2, 2, 3))
    assert [tensor.constant for tensor in conv.inputs] == [False, True, True]
    assert (conv.activation, conv.version, conv.options["stride_w"]) == ("RELU", 3, 2)
    assert (workload.macs, workload.parameters, workload.weight_bytes) == (216, 57, 228)
    assert (workload.inputs[0].name, workload.outputs[0].dtype) == ("input", "float32")
    assert workload.has_signature
    assert workload.signatures == ("serving_default",)


@pytest.mark.parametrize(("kernel", "zero_points", "zeros"), [
    (np.array([0.0, -0.0, 1.0] * 18, np.float32), (), 36),
    (np.array([0, 3, 3] * 18, np.int8), (0,), 18),
    (np.array([0, 3, 3] * 18, np.int8), (3,), 36),
    (np.array([5] * 18 + [6] * 18 + [7] * 18, np.int8), (5, 0, 7), 36),
    (np.array([0.0, 1.0] * 27, np.float16), (), 27),
])
def test_sparsity_counts_weights_at_their_zero_point(kernel: np.ndarray, zero_points: tuple[int, ...],
                                                     zeros: int) -> None:
    scales = (1.0,) * len(zero_points)
    workload = read_workload(conv_model(kernel.reshape(3, 3, 3, 2), scales=scales, zero_points=zero_points))
    assert workload.operators[0].zero_weights == zeros
    assert workload.sparsity == pytest.approx(zeros / 54)


def test_float_activations_with_int8_weights_are_hybrid_and_the_model_dynamic() -> None:
    workload = read_workload(conv_model(np.ones((3, 3, 3, 2), np.int8), "FLOAT32", scales=(1.0,), zero_points=(0,)))
    assert (workload.operators[0].hybrid, workload.number_format) == (True, "dynamic")


def unpacked(kernel: np.ndarray, **quantization: Any) -> Workload:
    """A float convolution whose kernel stands behind a DEQUANTIZE."""
    made = Handmade()
    data, stored = made.activation((1, 2, 2, 1)), made.constant(kernel, **quantization)
    unpack, out = made.activation(kernel.shape), made.activation((1, 2, 2, 4))
    made.operator("DEQUANTIZE", [stored], [unpack])
    made.operator("CONV_2D", [data, unpack], [out], "Conv2DOptions")
    return read_workload(made.bytes([data], [out]))


def test_float16_weights_are_found_behind_their_dequantize_which_runs_once() -> None:
    workload = unpacked(np.ones((4, 1, 1, 1), np.float16))
    dequantize, conv = workload.operators
    assert (dequantize.once, conv.once) == (True, False)
    assert (conv.weights, conv.weight_bytes, conv.macs, conv.arithmetic) == (4, 8, 16, "float32")
    assert (workload.number_format, workload.parameters) == ("float16", 4)


def test_int8_weights_that_are_unpacked_to_float_are_no_hybrid_kernel() -> None:
    workload = unpacked(np.ones((4, 1, 1, 1), np.int8), scales=(1.0,), zero_points=(0,))
    assert (workload.operators[1].hybrid, workload.number_format) == (False, "mixed")


def test_control_flow_and_custom_operators_are_seen() -> None:
    made = Handmade()
    a, b, c = (made.activation((1, 4)) for _ in range(3))
    made.operator("CUSTOM", [a], [b], custom="MyOp", version=2)
    made.operator("WHILE", [b], [c])
    workload = read_workload(made.bytes([a], [c]))
    assert (workload.operators[0].label, workload.operators[0].version) == ("CUSTOM 'MyOp'", 2)
    assert (workload.has_control_flow, workload.operators[0].kernel) == (True, "other")


def test_an_optional_input_that_is_left_out_is_no_tensor() -> None:
    made = Handmade()
    data, kernel, out = made.activation((1, 3)), made.constant(np.ones((2, 3), np.float32)), made.activation((1, 2))
    made.operator("FULLY_CONNECTED", [data, kernel, -1], [out])
    assert (len(read_workload(made.bytes([data], [out])).operators[0].inputs)) == 2


def test_every_operator_that_has_a_kernel_class_is_a_builtin_operator() -> None:
    assert set(KERNEL_CLASSES) <= set(BUILTIN_NAMES.values())


@pytest.mark.parametrize(("number_format", "arithmetic"), [
    ("float32", "float32"), ("float16", "float32"), ("int8", "int8"), ("int16x8", "int16x8")])
def test_the_converters_formats_are_recognised(tiny_tflites: dict[str, bytes], number_format: str,
                                               arithmetic: str) -> None:
    workload = read_workload(tiny_tflites[number_format])
    assert workload.number_format == number_format
    assert {op.arithmetic for op in workload.operators if op.macs} == {arithmetic}
    # conv 6x6x4x(3x3x2), depthwise 3x3x4x(3x3), dense 4x3
    assert workload.macs == 2_592 + 324 + 12
    assert next(op for op in workload.operators if op.macs).activation == "RELU"


def test_resnet_8_of_mlperf_tiny_has_its_published_12_5_million_macs() -> None:
    made = Handmade()
    sizes = [(32, 3, 16, 3), (32, 16, 16, 3), (32, 16, 16, 3),  # side, channels in and out, kernel
             (16, 16, 32, 3), (16, 32, 32, 3), (16, 16, 32, 1),
             (8, 32, 64, 3), (8, 64, 64, 3), (8, 32, 64, 1)]
    for side, channels, width, kernel in sizes:
        data, out = made.activation((1, side, side, channels)), made.activation((1, side, side, width))
        made.operator("CONV_2D", [data, made.constant(np.ones((width, kernel, kernel, channels), np.float32))], [out])
    last, out = made.activation((1, 64)), made.activation((1, 10))
    made.operator("FULLY_CONNECTED", [last, made.constant(np.ones((10, 64), np.float32))], [out])
    workload = read_workload(made.bytes([0], [out]))
    assert workload.macs == 12_501_632
    assert workload.parameters == 77_360  # of the 78,666 of the Keras model, without biases and normalization


@pytest.mark.parametrize(("channels", "width", "empty"), [
    (8, 8, 0.0), (12, 8, 0.25), (1, 8, 0.875), (3, 4, 0.25), (9, 4, 0.25)])
def test_channels_that_are_no_multiple_of_the_vector_leave_lanes_empty(channels: int, width: int, empty: float) -> None:
    made = Handmade()
    data, out = made.activation((1, 4, 4, 2)), made.activation((1, 4, 4, channels))
    kernel, bias = made.constant(np.ones((channels, 1, 1, 2), np.float32)), made.constant(np.ones(channels, np.float32))
    made.operator("CONV_2D", [data, kernel, bias], [out], "Conv2DOptions", {"strideW": 1, "strideH": 1})
    conv = read_workload(made.bytes([data], [out])).operators[0]
    assert conv.channels == (2, channels)
    assert conv.empty_lanes(width) == empty


def test_operators_without_macs_have_no_empty_lanes() -> None:
    softmax = read_workload(conv_model()).operators[1]
    assert (softmax.channels, softmax.empty_lanes()) == ((3, 3), 0.0)
