"""Scratch buffers of ESP-NN: each figure worked out from the function that the module names."""

from __future__ import annotations

from typing import Any

import pytest

from device_profiles.microcontrollers import esp_nn
from device_profiles.tflite import Graph
from tests.device_profiles.microcontrollers.graphs import convolution, single, tensor


def _scratch(graph: Graph, chip: esp_nn.Chip) -> tuple[int, ...] | None:
    return esp_nn.scratch(graph, graph.operators[0], chip)


@pytest.mark.parametrize(("channels", "filters", "kernel", "size"), [
    (16, 8, 1, 24 * 16 + 8 * 8 + 64),
    (160, 160, 1, 24 * 160 + 16384 + 64),  # a filter of 25,600 bytes is taken in panels
    (16, 16, 3, 144 + 16 * 144 + 64 + 32),
    (64, 64, 3, 16 * 576 + 24 * 576 + 16384 + 64 + 32),  # 36,864 bytes of filter: windows of 16 positions
    (3, 8, 3, 8 * 4 + 16 + 8 * 32 + 16 + 32 + 64),  # a row of 9 bytes: whole windows of 27, padded to 32
    (4, 8, 5, 12 * 12 * 4 + 32 * 5 * 8 + 64 + 32),  # rows of 20 bytes padded to 32, input padded to 12x12
])
def test_a_convolution_on_the_s3(channels: int, filters: int, kernel: int, size: int) -> None:
    assert _scratch(convolution(8, 8, channels, filters, kernel), "s3") == (size,)


@pytest.mark.parametrize(("channels", "kernel", "size"), [
    (16, 3, 144 + 10 * 10 * 16 + 16),
    (8, 3, 2 * (72 + 512) + 32),
    (24, 3, 9 * 32 + 12 * 12 * 32 + 8 * 8 * 32 + 12 * 32 + 64),  # padded to 32 channels
    (5, 5, 400 + 1024 + 512 + 96 + 16),  # padded to 8 channels of 16 bits
    (16, 5, 2 * (400 + 1024) + 32),
    (2, 3, 32),
])
def test_a_depthwise_convolution_on_the_s3(channels: int, kernel: int, size: int) -> None:
    assert _scratch(convolution(8, 8, channels, channels, kernel, depthwise=True), "s3") == (size,)


def test_a_large_depthwise_input_is_taken_in_strips_on_the_s3() -> None:
    # 98 * 98 * 16 bytes are above 40 KiB; a row has 1,568: (40,960 - 144 - 32) // 1,568 = 26 of them
    assert _scratch(convolution(96, 96, 16, 16, 3, depthwise=True), "s3") == (144 + 26 * 1568 + 32,)


def test_a_large_depthwise_filter_is_tiled_on_the_s3() -> None:
    # 64 * 64 * 8 in 16 bits are above 48 KiB: the filter and five rows
    assert _scratch(convolution(64, 64, 8, 8, 5, depthwise=True), "s3") == (2 * 200 + 2 * 64 * 5 * 8 + 32,)


@pytest.mark.parametrize(("channels", "options", "size"), [
    (16, {"kernel": 1}, 16 * 4 + 16 * 16 + 32),
    (12, {"kernel": 1}, 64 * 16 + 16 * 4 + 16 * 16 + 32),  # 12 channels padded to 16
    (8, {"padding": "valid"}, 9 * 16 * 4 + 16 + 32),
    (1, {"padding": "valid"}, 16 + 9 * 16 * 4 + 64 * 16 + 32),
    (8, {}, 10 * 10 * 8 + 9 * 16 * 4 + 16 + 32),
])
def test_a_convolution_on_the_p4(channels: int, options: dict[str, Any], size: int) -> None:
    assert _scratch(convolution(8, 8, channels, 4, **options), "p4") == (size,)


def test_a_large_padded_input_is_tiled_on_the_p4() -> None:
    # 98 * 98 * 8 bytes are above 32 KiB; rows of 784 bytes: (32,768 - 16 - 3 * 784) // 784 + 1 = 39 output rows,
    # so 39 - 1 + 3 + 2 = 43 input rows
    assert _scratch(convolution(96, 96, 8, 4), "p4") == (43 * 784 + 16 + 32,)


def test_the_generic_kernels_take_none_but_for_softmax() -> None:
    graph = single("SOFTMAX", [tensor(0, (1, 10)), tensor(1, (1, 10))], (0,), (1,))

    assert _scratch(graph, "generic") == (40,)
    assert _scratch(convolution(8, 8, 3, 8), "generic") == ()


@pytest.mark.parametrize("number_format", ["float32", "int16x8"])
def test_what_is_not_int8_runs_in_tflms_own_kernels(number_format: Any) -> None:
    assert _scratch(convolution(8, 8, 3, 8, number_format=number_format), "s3") is None


def test_int4_weights_are_left_to_tflm() -> None:
    tensors = [tensor(0, (1, 8, 8, 3)), tensor(1, (4, 3, 3, 3), "int4", constant=True), tensor(2, (1, 8, 8, 4))]

    assert _scratch(single("CONV_2D", tensors, (0, 1), (2,), stride_h=1, stride_w=1), "s3") is None
