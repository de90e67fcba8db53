"""Scratch buffers of CMSIS-NN: each figure worked out from the function that the module names."""

from __future__ import annotations

import pytest

from device_profiles.microcontrollers import cmsis_nn
from device_profiles.tflite import Graph
from tests.device_profiles.microcontrollers.graphs import convolution, single, tensor


def _scratch(graph: Graph, extension: cmsis_nn.Extension) -> tuple[int, ...] | None:
    return cmsis_nn.scratch(graph, graph.operators[0], extension)


@pytest.mark.parametrize(("extension", "size"), [("c", 112), ("dsp", 112), ("mve", 128)])
def test_a_3x3_convolution_copies_its_windows(extension: cmsis_nn.Extension, size: int) -> None:
    # 3 * 3 * 3 = 27 columns: two windows of 28 int16, or four of 32 int8
    assert _scratch(convolution(8, 8, 3, 4), extension) == (size,)


@pytest.mark.parametrize("extension", ["c", "dsp", "mve"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_1x1_convolution_copies_nothing(extension: cmsis_nn.Extension, stride: int) -> None:
    assert _scratch(convolution(8, 8, 16, 4, 1, stride=stride), extension) == ()


def test_a_window_along_one_row_copies_only_its_ends_with_mve() -> None:
    # 10 long, 4 channels, kernel 3, 1 zero at each end: max(12 + 4, 8 + 4) bytes; without MVE 4 * 12
    graph = convolution(1, 10, 4, 8, (1, 3))

    assert _scratch(graph, "mve") == (16,)
    assert _scratch(graph, "dsp") == (48,)


def test_a_row_whose_step_is_no_multiple_of_four_is_copied_in_windows() -> None:
    assert _scratch(convolution(1, 10, 3, 8, (1, 3)), "mve") == (64,)  # 9 columns: four of 16 bytes


def test_int16_activations_take_two_bytes_a_column() -> None:
    graph = convolution(8, 8, 3, 4, number_format="int16x8")  # 27 columns

    assert _scratch(graph, "dsp") == (108,)
    assert _scratch(graph, "mve") == (256,)  # four windows of 32 columns


def test_int4_weights_are_not_padded() -> None:
    tensors = [tensor(0, (1, 8, 8, 3)), tensor(1, (4, 3, 3, 3), "int4", constant=True), tensor(2, (1, 8, 8, 4))]
    graph = single("CONV_2D", tensors, (0, 1), (2,), padding=0, stride_h=1, stride_w=1, dilation_h=1, dilation_w=1)

    assert _scratch(graph, "dsp") == (108,)


@pytest.mark.parametrize(("kernel", "extension", "sizes"), [
    (3, "c", ()), (3, "dsp", ()), (3, "mve", (4 * 124 * 9,)),  # 3x3 has a kernel of its own without MVE
    (5, "c", ()), (5, "dsp", (2 * 16 * 25,)), (5, "mve", (4 * 124 * 25,))])
def test_a_depthwise_convolution_copies_windows_of_all_channels(kernel: int, extension: cmsis_nn.Extension,
                                                                sizes: tuple[int, ...]) -> None:
    assert _scratch(convolution(8, 8, 16, 16, kernel, depthwise=True), extension) == sizes


def test_a_depthwise_convolution_with_a_multiplier_takes_none() -> None:
    tensors = [tensor(0, (1, 8, 8, 2)), tensor(1, (1, 5, 5, 4), constant=True), tensor(2, (1, 8, 8, 4))]
    graph = single("DEPTHWISE_CONV_2D", tensors, (0, 1), (2,), padding=0, stride_h=1, stride_w=1, dilation_h=1,
                   dilation_w=1, depth_multiplier=2)

    assert _scratch(graph, "dsp") == ()


@pytest.mark.parametrize(("extension", "sizes"), [("c", ()), ("dsp", (24,)), ("mve", ())])
def test_an_average_pool_sums_channels_with_dsp_alone(extension: cmsis_nn.Extension, sizes: tuple[int, ...]) -> None:
    tensors = [tensor(0, (1, 4, 4, 6)), tensor(1, (1, 2, 2, 6))]
    graph = single("AVERAGE_POOL_2D", tensors, (0,), (1,), filter_height=2, filter_width=2, stride_h=2, stride_w=2)

    assert _scratch(graph, extension) == sizes


def test_a_transposed_convolution_of_few_channels_takes_rows_of_accumulators() -> None:
    # 4x4x8 to 8x8x2, kernel 3, stride 2: ((4 - 1) * 2 + 3) * 2 accumulators a row, 3 rows
    assert _scratch(_transposed(8), "dsp") == (9 * 2 * 3 * 4,)


def test_a_transposed_convolution_of_many_channels_is_run_as_a_convolution() -> None:
    # 17 channels: 153 columns, two windows of 156 int16, and the kernel turned around: 153 * 2
    assert _scratch(_transposed(17), "dsp") == (624, 306)


def _transposed(channels: int) -> Graph:
    tensors = [tensor(0, (4,), "int32", constant=True), tensor(1, (2, 3, 3, channels), constant=True),
               tensor(2, (1, 4, 4, channels)), tensor(3, (1, 8, 8, 2))]
    return single("TRANSPOSE_CONV", tensors, (0, 1, 2), (3,), stride_h=2, stride_w=2)


def test_float_runs_in_tflms_own_kernels() -> None:
    assert _scratch(convolution(8, 8, 3, 4, number_format="float32"), "dsp") is None


def test_an_operator_without_a_kernel_in_the_library_is_left_to_tflm() -> None:
    graph = single("MEAN", [tensor(0, (1, 4, 4, 2)), tensor(1, (2,), "int32", constant=True), tensor(2, (1, 2))],
                   (0, 1), (2,))

    assert _scratch(graph, "dsp") is None


def test_mve_keeps_a_sum_for_each_row_of_a_matrix() -> None:
    graph = single("FULLY_CONNECTED", [tensor(0, (1, 4)), tensor(1, (10, 4), constant=True), tensor(2, (1, 10))],
                   (0, 1), (2,))

    assert cmsis_nn.kept(graph, graph.operators[0], "mve") == 40
    assert cmsis_nn.kept(graph, graph.operators[0], "dsp") == 0
    assert _scratch(graph, "mve") == ()
