"""The graph that the builder writes is the one that stands in a file; sizes and work are counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from device_profiles.errors import UsageError
from device_profiles.networks.builder import BuildFormat, NetworkBuilder
from device_profiles.workload import OperatorWork, Workload, read_workload, workload_of
from tests.device_profiles.handmade import Handmade


def work(op: OperatorWork) -> tuple[object, ...]:
    """What the predictor sees of an operator."""
    return (op.name, op.kernel, op.arithmetic, op.macs, op.element_ops, op.window_taps, op.output_taps,
            op.output_elements, op.weight_bytes, op.input_bytes, op.output_bytes, op.weights, op.activation, op.once)


def built(b: NetworkBuilder, *outputs: int) -> Workload:
    return workload_of(b.finish(*outputs))


def from_file() -> Workload:
    """5x5x2: a 3x3 convolution with stride 2 and ReLU6, a depthwise one, their sum, a mean, a dense layer, softmax."""
    made = Handmade()
    x = made.activation((1, 5, 5, 2))
    shapes: list[tuple[int, ...]] = [(4, 3, 3, 2), (4,), (1, 3, 3, 4), (4,), (6, 4), (6,)]
    parts = [made.constant(np.ones(shape, np.float32)) for shape in shapes]
    axes = made.constant(np.array([1, 2], np.int32))
    c, d, total = (made.activation((1, 3, 3, 4)) for _ in range(3))
    mean, dense, out = made.activation((1, 4)), made.activation((1, 6)), made.activation((1, 6))
    made.operator("CONV_2D", [x, *parts[:2]], [c], "Conv2DOptions",
                  {"strideW": 2, "strideH": 2, "fusedActivationFunction": 3})
    made.operator("DEPTHWISE_CONV_2D", [c, *parts[2:4]], [d], "DepthwiseConv2DOptions", {"strideW": 1, "strideH": 1})
    made.operator("ADD", [c, d], [total], "AddOptions", {"fusedActivationFunction": 1})
    made.operator("MEAN", [total, axes], [mean])
    made.operator("FULLY_CONNECTED", [mean, *parts[4:]], [dense])
    made.operator("SOFTMAX", [dense], [out], "SoftmaxOptions", {"beta": 1.0})
    return read_workload(made.bytes([x], [out]))


def rebuilt() -> Workload:
    b = NetworkBuilder()
    c = b.conv(b.input(5, 5, 2), 4, 3, 2, activation="relu6")
    total = b.add(c, b.depthwise(c, 3), "relu")
    return built(b, b.softmax(b.connected(b.global_average(total), 6)))


def test_a_rebuilt_network_is_to_the_predictor_the_same_as_the_file() -> None:
    read, made = from_file(), rebuilt()
    assert [work(op) for op in made.operators] == [work(op) for op in read.operators]
    for field in ("macs", "parameters", "weight_bytes", "number_format", "activation_peak_bytes"):
        assert getattr(made, field) == getattr(read, field)
    assert made.macs == 9 * 4 * 18 + 9 * 4 * 9 + 6 * 4


def test_a_rebuilt_network_has_no_zero_weights_since_it_has_no_values() -> None:
    assert (rebuilt().sparsity, rebuilt().operators[0].weights) == (0.0, 72)


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation", "expected"), [
    (5, 3, 1, "same", 1, 5), (5, 3, 2, "same", 1, 3), (4, 3, 2, "same", 1, 2),
    (5, 3, 1, "valid", 1, 3), (6, 3, 2, "valid", 1, 2), (7, 3, 1, "valid", 2, 3), (299, 3, 2, "valid", 1, 149),
])
def test_windows_give_the_size_of_the_padding_rule(size: int, kernel: int, stride: int, padding: str, dilation: int,
                                                   expected: int) -> None:
    b = NetworkBuilder()
    x = b.conv(b.input(size, size, 1), 1, kernel, stride, padding=padding, dilation=dilation)  # type: ignore[arg-type]
    assert b.size(x) == (expected, expected)


def test_height_and_width_are_kept_apart() -> None:
    b = NetworkBuilder()
    x = b.conv(b.input(49, 10, 1), 64, (10, 4), 2)
    assert b.shape(x) == (1, 25, 5, 64)
    assert built(b, x).macs == 25 * 5 * 64 * 40


@pytest.mark.parametrize(("number_format", "kernel", "bias", "activation", "arithmetic"), [
    ("float32", 4, 4, 4, "float32"), ("float16", 2, 2, 4, "float32"), ("dynamic", 1, 4, 4, "hybrid"),
    ("int8", 1, 4, 1, "int8"), ("uint8", 1, 4, 1, "uint8"), ("int16x8", 1, 8, 2, "int16x8"),
])
def test_each_format_stores_kernels_biases_and_activations_in_its_own_widths(
        number_format: BuildFormat, kernel: int, bias: int, activation: int, arithmetic: str) -> None:
    b = NetworkBuilder(number_format)
    workload = built(b, b.conv(b.input(4, 4, 32), 64))
    conv = next(op for op in workload.operators if op.name == "CONV_2D")
    assert (conv.weight_bytes, conv.output_bytes) == (2048 * kernel + 64 * bias, 1024 * activation)
    assert (conv.arithmetic, workload.number_format) == (arithmetic, number_format)
    assert (workload.macs, workload.parameters) == (16 * 2048, 2048 + 64)


def test_dynamic_range_leaves_kernels_below_1024_elements_in_float() -> None:
    b = NetworkBuilder("dynamic")
    small = b.connected(b.input(31), 33)
    assert [op.arithmetic for op in built(b, small, b.connected(small, 32)).operators] == ["float32", "hybrid"]


def test_float16_constants_are_unpacked_by_operators_that_run_once() -> None:
    b = NetworkBuilder("float16")
    operators = built(b, b.conv(b.input(4, 4, 2), 3)).operators
    assert [(op.name, op.once) for op in operators] == [("DEQUANTIZE", True), ("DEQUANTIZE", True), ("CONV_2D", False)]


@pytest.mark.parametrize(("ends", "names"), [
    ("", ["CONV_2D"]), ("float32", ["QUANTIZE", "CONV_2D", "DEQUANTIZE"]),
    ("uint8", ["QUANTIZE", "CONV_2D", "QUANTIZE"]),
])
def test_the_ends_of_an_int8_model_are_bridged_where_they_differ(ends: str, names: list[str]) -> None:
    b = NetworkBuilder("int8", ends)
    workload = built(b, b.conv(b.input(4, 4, 2), 3))
    assert [op.name for op in workload.operators] == names
    assert workload.inputs[0].dtype == workload.outputs[0].dtype == (ends or "int8")


def test_activations_that_no_kernel_takes_over_are_operators() -> None:
    b = NetworkBuilder()
    x = b.conv(b.input(4, 4, 2), 3, activation="hard_swish")
    x = b.conv(x, 3, activation="swish")
    workload = built(b, b.depthwise(x, 3, activation="relu"))
    assert [(op.name, op.activation) for op in workload.operators] == [
        ("CONV_2D", "NONE"), ("HARD_SWISH", "NONE"), ("CONV_2D", "NONE"), ("LOGISTIC", "NONE"), ("MUL", "NONE"),
        ("DEPTHWISE_CONV_2D", "RELU")]


def test_a_clipped_sigmoid_is_bounded_from_both_sides_first() -> None:
    b = NetworkBuilder()
    workload = built(b, b.activate(b.input(4, 4, 2), "clipped_sigmoid"))
    assert [(op.name, op.element_ops) for op in workload.operators] == [("MINIMUM", 32), ("MAXIMUM", 32),
                                                                       ("LOGISTIC", 32)]


def test_a_product_with_a_gate_has_the_shape_of_the_larger() -> None:
    b = NetworkBuilder()
    x = b.input(6, 5, 8)
    assert b.shape(b.multiply(x, b.global_average(x, keep=True))) == (1, 6, 5, 8)


def test_a_normalization_that_stands_alone_is_a_product_and_a_sum_with_constants() -> None:
    b = NetworkBuilder("int8")
    product, total = built(b, b.normalize(b.input(4, 4, 8), "relu")).operators
    assert [(op.name, op.weight_bytes, op.element_ops) for op in (product, total)] == [("MUL", 8, 128), ("ADD", 8, 128)]
    assert (product.activation, total.activation) == ("NONE", "RELU")


def test_biases_of_zeros_are_stored_once_in_float_and_for_each_layer_in_int8() -> None:
    sizes = []
    for number_format in ("float32", "int8"):
        b = NetworkBuilder(number_format)  # type: ignore[arg-type]
        x = b.conv(b.conv(b.input(4, 4, 8), 8, bias=False), 8, bias=False)
        sizes.append(built(b, x).weight_bytes)
    assert sizes == [4 * (64 + 64 + 8), 64 + 64 + 4 * (8 + 8)]


def test_shapes_of_joining_padding_pooling_and_turning() -> None:
    b = NetworkBuilder()
    x = b.input(6, 4, 3)
    assert b.shape(b.concat(x, x)) == (1, 6, 4, 6)
    assert b.shape(b.pad(x, (1, 0), (2, 1), channels=5)) == (1, 9, 5, 8)
    assert b.shape(b.average_pool(x, (3, 2), (3, 2))) == b.shape(b.max_pool(x, (3, 2), (3, 2))) == (1, 2, 2, 3)
    assert b.shape(b.transpose(x, 0, 2, 1, 3)) == (1, 4, 6, 3)
    assert b.shape(b.resize(x, 12, 8)) == (1, 12, 8, 3)
    assert b.shape(b.crop(x, 1, 3, 3, 3)) == (1, 3, 3, 3)
    assert b.shape(b.flatten(x)) == (1, 72)
    assert b.shape(b.global_maximum(x)) == (1, 3)


def test_pools_and_means_count_what_they_read() -> None:
    b = NetworkBuilder()
    x = b.max_pool(b.input(8, 8, 2), 3, 2)
    pool, mean = built(b, b.global_average(x)).operators
    assert (pool.element_ops, mean.element_ops) == (3 * 3 * 2 * 9, 18)


def test_a_dense_layer_over_a_sequence_keeps_its_dimensions() -> None:
    b = NetworkBuilder()
    x = b.connected(b.input(100, 32), 16)
    assert b.shape(x) == (1, 100, 16)
    assert built(b, x).macs == 100 * 32 * 16


def test_a_constant_has_a_length_and_no_memory_behind_it() -> None:
    b = NetworkBuilder()
    node = b.constant((4096, 4096, 64), "float32")
    tensor = b.finish(node).graphs[0].tensors[node]
    assert (len(tensor.data), tensor.is_constant) == (4 * 4096 * 4096 * 64, True)
    assert tensor.data.strides == (0,)


def test_bytes_of_the_file_are_at_least_its_constants() -> None:
    assert rebuilt().tflite_bytes == rebuilt().weight_bytes == 4 * (72 + 4 + 36 + 4 + 24 + 6) + 2 * 4


def test_an_unknown_format_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match="int4") as caught:
        NetworkBuilder("int4")  # type: ignore[arg-type]
    assert "int16x8" in caught.value.allowed


def test_grouped_convolutions_hold_and_multiply_a_share_of_the_channels() -> None:
    b = NetworkBuilder()
    workload = built(b, b.conv(b.input(4, 4, 8), 16, 3, groups=4))
    assert workload.macs == math.prod((4, 4, 16, 9, 2))
    assert workload.parameters == 16 * 9 * 2 + 16
