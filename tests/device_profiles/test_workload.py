"""The work of a tflite model, right to the MAC; expected values are worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from device_profiles.operators import BUILTIN_NAMES, KERNEL_CLASSES
from device_profiles.workload import OperatorWork, Workload, read_workload
from tests.device_profiles.handmade import Handmade, conv_model


def single(name: str, inputs: Sequence[Sequence[int] | np.ndarray], output: Sequence[int], options: str = "",
           values: dict[str, Any] | None = None, dtype: str = "FLOAT32") -> OperatorWork:
    """The work of one operator; arrays are constants, shapes are activations."""
    made = Handmade()
    tensors = [made.constant(x) if isinstance(x, np.ndarray) else made.activation(x, dtype) for x in inputs]
    out = made.activation(output, dtype)
    made.operator(name, tensors, [out], options, values)
    first = next(t for t, x in zip(tensors, inputs, strict=True) if not isinstance(x, np.ndarray))
    return read_workload(made.bytes([first], [out])).operators[0]


def weights(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(("work", "macs", "kernel"), [
    # 5x5 outputs x 4 channels x 3x3x2 = 100 x 18
    (lambda: single("CONV_2D", [(1, 5, 5, 2), weights(4, 3, 3, 2)], (1, 5, 5, 4)), 1_800, "conv"),
    # stride 2: 2x2 outputs x 4 channels x 18
    (lambda: single("CONV_2D", [(1, 5, 5, 2), weights(4, 3, 3, 2)], (1, 2, 2, 4)), 288, "conv"),
    # 1x1: 25 x 4 x 2
    (lambda: single("CONV_2D", [(1, 5, 5, 2), weights(4, 1, 1, 2)], (1, 5, 5, 4)), 200, "conv_1x1"),
    # grouped: the filter holds 2 of 8 input channels: 25 x 4 x 9 x 2
    (lambda: single("CONV_2D", [(1, 5, 5, 8), weights(4, 3, 3, 2)], (1, 5, 5, 4)), 1_800, "conv"),
    # 3x3 outputs x 6 channels x 3x3, depth multiplier 2
    (lambda: single("DEPTHWISE_CONV_2D", [(1, 5, 5, 3), weights(1, 3, 3, 6)], (1, 3, 3, 6)), 486, "depthwise"),
    # 10 inputs x 7 units
    (lambda: single("FULLY_CONNECTED", [(1, 10), weights(7, 10)], (1, 7)), 70, "fully_connected"),
    # the same over 6 rows
    (lambda: single("FULLY_CONNECTED", [(1, 6, 10), weights(7, 10)], (1, 6, 7)), 420, "fully_connected"),
    # every one of 4x4x3 inputs meets 2x2 taps of 5 channels
    (lambda: single("TRANSPOSE_CONV", [np.array([1, 8, 8, 5], np.int32), weights(5, 2, 2, 3), (1, 4, 4, 3)],
                    (1, 8, 8, 5)), 960, "conv"),
    # 2 x (3x4) (4x5)
    (lambda: single("BATCH_MATMUL", [(2, 3, 4), (2, 4, 5)], (2, 3, 5)), 120, "fully_connected"),
    (lambda: single("BATCH_MATMUL", [(2, 4, 3), (2, 4, 5)], (2, 3, 5), "BatchMatMulOptions", {"adjX": True}), 120,
     "fully_connected"),
    # 2x4x4x3 outputs x 3x3x3 taps x 2 channels
    (lambda: single("CONV_3D", [(1, 2, 4, 4, 2), weights(3, 3, 3, 2, 3)], (1, 2, 4, 4, 3)), 5_184, "conv"),
    # 2 filters over 8 inputs, then over a memory of 4
    (lambda: single("SVDF", [(1, 8), weights(2, 8), weights(2, 4)], (1, 2)), 24, "recurrent"),
    # 5 steps x (3x4 + 3x3)
    (lambda: single("UNIDIRECTIONAL_SEQUENCE_RNN", [(1, 5, 4), weights(3, 4), weights(3, 3)], (1, 5, 3)), 105,
     "recurrent"),
    # 5 steps x 4 gates x (3x4 + 3x3)
    (lambda: single("UNIDIRECTIONAL_SEQUENCE_LSTM", [(1, 5, 4), *[weights(3, 4)] * 4, *[weights(3, 3)] * 4],
                    (1, 5, 3)), 420, "recurrent"),
])
def test_macs_are_exact(work: Any, macs: int, kernel: str) -> None:
    found = work()
    assert (found.macs, found.kernel, found.element_ops) == (macs, kernel, 0)


@pytest.mark.parametrize(("work", "element_ops", "kernel"), [
    # 2x2 outputs x 3 channels x windows of 2x2
    (lambda: single("MAX_POOL_2D", [(1, 4, 4, 3)], (1, 2, 2, 3), "Pool2DOptions",
                    {"filterWidth": 2, "filterHeight": 2}), 48, "pooling"),
    (lambda: single("MEAN", [(1, 4, 4, 3), np.array([1, 2], np.int32)], (1, 3)), 48, "pooling"),
    (lambda: single("ADD", [(1, 4, 4, 3), (1, 4, 4, 3)], (1, 4, 4, 3)), 48, "elementwise"),
    (lambda: single("SOFTMAX", [(1, 10)], (1, 10)), 10, "softmax"),
    (lambda: single("CONCATENATION", [(1, 4), (1, 6)], (1, 10)), 10, "copy"),
    (lambda: single("CUMSUM", [(1, 4)], (1, 4)), 4, "elementwise"),
    (lambda: single("HASHTABLE", [(1, 4)], (1, 4)), 4, "other"),
])
def test_an_operator_without_macs_counts_its_elements(work: Any, element_ops: int, kernel: str) -> None:
    found = work()
    assert (found.macs, found.element_ops, found.kernel) == (0, element_ops, kernel)


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


def test_an_unknown_batch_counts_as_one() -> None:
    work = single("FULLY_CONNECTED", [(-1, 10), weights(7, 10)], (-1, 7))
    assert (work.macs, work.inputs[0].shape) == (70, (1, 10))


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


def test_the_activation_peak_is_the_largest_sum_of_tensors_that_live_together() -> None:
    made = Handmade()
    a, b, c, d = (made.activation((1, size), "INT8") for size in (100, 50, 50, 10))
    made.operator("RELU", [a], [b])            # a, b live: 150
    made.operator("RESHAPE", [b], [c])         # c is b's memory
    made.operator("ADD", [c, b], [d])          # b, d live: 60
    assert read_workload(made.bytes([a], [d])).activation_peak_bytes == 150


def test_a_residual_tensor_lives_until_it_is_added() -> None:
    made = Handmade()
    a, b, c = (made.activation((1, 100), "INT8") for _ in range(3))
    made.operator("RELU", [a], [b])
    made.operator("ADD", [a, b], [c])
    assert read_workload(made.bytes([a], [c])).activation_peak_bytes == 300


def test_a_circle_of_views_in_a_damaged_graph_ends() -> None:
    made = Handmade()
    a, b = made.activation((4,)), made.activation((4,))
    made.operator("RESHAPE", [a], [b])
    made.operator("RESHAPE", [b], [a])
    assert read_workload(made.bytes([a], [b])).activation_peak_bytes == 32


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
    data, kernel, out = made.activation((1, 3)), made.constant(weights(2, 3)), made.activation((1, 2))
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
