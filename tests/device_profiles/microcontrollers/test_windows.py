"""The shape of a convolution or pool, read from its operator."""

from __future__ import annotations

from device_profiles.microcontrollers.windows import window_of
from device_profiles.networks.builder import NetworkBuilder
from device_profiles.tflite import Graph
from tests.device_profiles.microcontrollers.graphs import convolution, single, tensor


def test_a_strided_convolution_pads_half_of_what_is_missing() -> None:
    # 9 pixels, stride 2: 5 outputs reach over (5 - 1) * 2 + 3 = 11, so 1 of the 2 missing at the left
    window = window_of(*_only(convolution(9, 8, 3, 4, 3, stride=2)))

    assert window is not None
    assert (window.out_height, window.out_width, window.pad_h, window.pad_w) == (5, 4, 1, 0)  # 8 pixels: 1 missing
    assert (window.taps, window.columns, window.filter_channels, window.out_channels) == (9, 27, 3, 4)


def test_valid_padding_is_none() -> None:
    window = window_of(*_only(convolution(9, 9, 1, 4, 3, padding="valid")))

    assert window is not None
    assert (window.out_height, window.pad_h, window.pad_w) == (7, 0, 0)


def test_a_depthwise_kernel_has_its_channels_last() -> None:
    window = window_of(*_only(convolution(6, 6, 5, 5, (4, 2), depthwise=True)))

    assert window is not None
    assert (window.height, window.width, window.in_channels, window.out_channels) == (4, 2, 5, 5)


def test_a_pool_has_its_window_in_the_options() -> None:
    builder = NetworkBuilder("int8")
    graph = builder.finish(builder.average_pool(builder.input(8, 8, 6), (4, 2), (2, 2))).graphs[0]
    window = window_of(*_only(graph))

    assert window is not None
    assert (window.height, window.width, window.stride_h, window.in_channels) == (4, 2, 2, 6)


def test_what_is_no_window_over_images_has_none() -> None:
    flat = single("FULLY_CONNECTED", [tensor(0, (1, 4)), tensor(1, (2, 4), constant=True), tensor(2, (1, 2))], (0, 1),
                  (2,))
    image = single("RELU", [tensor(0, (1, 2, 2, 1)), tensor(1, (1, 2, 2, 1))], (0,), (1,))

    assert window_of(*_only(flat)) is None
    assert window_of(*_only(image)) is None


def _only(graph: Graph):  # type: ignore[no-untyped-def]
    return graph, graph.operators[0]
