"""Scratch buffers of ESP-NN, by chip: the ESP32-S3, the ESP32-P4, and generic C for the others.

From github.com/espressif/esp-nn, each function named with its commit in `SOURCES`. These figures change from version to
version (each copies more or less of filter and input): check `esp_nn_get_conv_scratch_size` of the version that the
firmware is built with. int8 alone; `up16` is the next multiple of 16, C and K input and output channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from device_profiles.microcontrollers.planner import aligned
from device_profiles.microcontrollers.reference import Sizes
from device_profiles.microcontrollers.windows import Window, window_of
from device_profiles.tflite import Graph, Operator

Chip = Literal["generic", "s3", "p4"]

SOURCES: Mapping[Chip, str] = MappingProxyType({
    "generic": "esp_nn_get_conv_scratch_size_opt and its like give 0; softmax as below",
    "s3": "src/convolution/esp_nn_conv_esp32s3.c and esp_nn_depthwise_conv_s8_esp32s3.c @101704238474, "
          "esp_nn_conv_s8_3x3_opt_esp32s3.c @07df856b8108",
    "p4": "src/convolution/esp_nn_conv_esp32p4.c @2159e8f13350",
})

_FILTER_IN_CACHE = 24 * 1024  # a filter above it is taken panel by panel
_PANEL = 16 * 1024
_POSITIONS = 16  # windows staged at a time
_WHOLE_INPUT = 40 * 1024  # padded inputs up to it are copied whole
_WHOLE_INT16 = 48 * 1024
_P4_BUDGET = 32768
_LANES = 16


def convolution_s3(window: Window) -> int:
    """CONV_2D on the ESP32-S3."""
    channels, filters = window.in_channels, window.out_channels
    plain = window.stride_h == window.stride_w == 1 and window.pad_h == window.pad_w == 0
    if window.taps == 1 and plain:
        turned = 0 if window.in_height * window.in_width < 8 else 16 * aligned(channels, 8)
        panel = 24 * channels + _PANEL + 64 if channels * filters > _FILTER_IN_CACHE else 0
        return max(turned + 64, 24 * channels + 8 * filters + 64, panel)
    if window.height == window.width == 3 and channels >= _LANES and channels % _LANES == 0 and filters >= _LANES:
        return _convolution_3x3_s3(9 * channels, filters)
    row = window.width * channels
    if row < _LANES <= window.columns:
        padded = aligned(window.columns)
        return filters * 4 + 16 + filters * padded + 16 + padded + 64
    rows = max(aligned(row) * window.height * filters, window.columns * filters)
    return _padded_input(window) + rows + 64 + filters * 4


def _convolution_3x3_s3(columns: int, filters: int) -> int:
    """Windows of 16 positions and a panel of filters; of a filter that fits the cache, an aligned copy."""
    if columns * filters > _FILTER_IN_CACHE:
        return _POSITIONS * columns + 24 * columns + _PANEL + 64 + 32
    return columns + filters * columns + filters * 4 + 32


def _padded_input(window: Window) -> int:
    """The input with zeros around it, where there are any: above, at the left, and what the output needs beyond."""
    right = max(0, (window.out_width - 1) * window.stride_w + window.width - window.pad_w - window.in_width)
    below = max(0, (window.out_height - 1) * window.stride_h + window.height - window.pad_h - window.in_height)
    if not (window.pad_w or window.pad_h or right or below):
        return 0
    return ((window.in_width + window.pad_w + right) * (window.in_height + window.pad_h + below)
            * window.in_channels)


def depthwise_s3(window: Window) -> int:
    """DEPTHWISE_CONV_2D on the ESP32-S3."""
    channels = window.in_channels
    kernel, source = window.taps * channels * window.multiplier, window.in_width * window.in_height * channels
    if window.multiplier == 1 and channels % 8 == 0:
        if window.height == window.width == 3:
            return _depthwise_3x3_s3(window, kernel, source)
        whole = 2 * (kernel + source)
        rows = 2 * window.in_width * window.height * channels
        return whole + 32 if whole <= _WHOLE_INT16 else 2 * kernel + rows + 32
    if window.multiplier == 1 and channels > 3:
        return _depthwise_padded_s3(window)
    return 2 * (kernel + source) + 32 if window.multiplier % 4 == 0 else 32


def _depthwise_3x3_s3(window: Window, kernel: int, source: int) -> int:
    """Channels a multiple of 8: by 16 in bytes, the others padded to 16, or 8 of them in 16 bits."""
    channels = window.in_channels
    pads = (window.pad_w, window.pad_h)
    beyond = (window.out_width * window.stride_w + 2 - window.in_width,
              window.out_height * window.stride_h + 2 - window.in_height)
    if channels % _LANES == 0 and pads in ((0, 0), (1, 1)):
        wider, higher = (2, 2) if pads == (1, 1) else beyond
        return _strips(window, kernel, wider, higher)
    if channels < 12:
        return 2 * (kernel + source) + 32
    padded = aligned(channels)
    width = window.in_width + 2 * pads[0] + max(0, beyond[0])
    height = window.in_height + 2 * pads[1] + max(0, beyond[1])
    made = window.out_width * window.out_height * padded
    return 9 * padded + width * height * padded + made + 12 * padded + 64


def _strips(window: Window, kernel: int, wider: int, higher: int) -> int:
    """The padded input, whole up to 40 KiB, else as many rows as fit there."""
    if not (wider or higher):
        return kernel + 16
    row, rows = (window.in_width + wider) * window.in_channels, window.in_height + higher
    if row * rows <= _WHOLE_INPUT:
        return kernel + row * rows + 16
    return kernel + min(max((_WHOLE_INPUT - kernel - 32) // row, window.height), rows) * row + 32


def _depthwise_padded_s3(window: Window) -> int:
    """Channels no multiple of 8 are padded to one, in 16 bits."""
    padded = aligned(window.in_channels, 8)
    kernel = aligned(window.taps * padded * 2)
    source = aligned(kernel + window.in_width * window.in_height * padded * 2)
    made = aligned(source + window.out_width * window.out_height * padded)
    return made + 12 * padded + 16


def convolution_p4(window: Window) -> int:
    """CONV_2D on the ESP32-P4."""
    channels, filters = window.in_channels, window.out_channels
    unpadded = window.pad_h == window.pad_w == 0
    if window.taps == 1 and unpadded and window.stride_h == window.stride_w == 1:
        padded, pixels = aligned(channels, 8), window.in_height * window.in_width
        copied = pixels * padded if channels % 8 else 0
        return copied + padded * filters + (16 * padded if pixels >= 8 else 0) + 32
    kernel, sums = window.taps * aligned(channels) * filters, filters * 4
    if unpadded and window.width * channels >= _LANES:
        return kernel + sums + 32
    wide = aligned(-(-_LANES // window.width))  # channels padded until a row of the window fills the vector
    if unpadded:
        return sums + window.taps * wide * filters + window.in_width * window.in_height * wide + 32
    width = window.in_width + 2 * window.pad_w
    whole = width * (window.in_height + 2 * window.pad_h) * channels
    if whole + sums <= _P4_BUDGET:
        return whole + kernel + sums + 32
    return _tiles_p4(window, width, sums, wide if window.width * channels < _LANES else 0) + sums + 32


def _tiles_p4(window: Window, width: int, sums: int, wide: int) -> int:
    """A padded input too large for the cache is taken in tiles of rows; `wide`: channels after padding, 0 for none."""
    kernel = window.taps * wide * window.out_channels
    row, budget = width * (wide or window.in_channels), _P4_BUDGET - sums - kernel
    tile = 1
    if budget > 0 and window.height * row <= budget:
        tile = min((budget - window.height * row) // (window.stride_h * row) + 1, window.out_height)
    return ((tile - 1) * window.stride_h + window.height + 2 * window.pad_h) * row + kernel


_WINDOWED: Mapping[tuple[Chip, str], Callable[[Window], int]] = MappingProxyType({
    ("s3", "CONV_2D"): convolution_s3, ("s3", "DEPTHWISE_CONV_2D"): depthwise_s3, ("p4", "CONV_2D"): convolution_p4,
})
_OURS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "AVERAGE_POOL_2D", "MAX_POOL_2D", "ADD", "MUL")


def scratch(graph: Graph, operator: Operator, chip: Chip) -> Sizes | None:
    """Bytes of each scratch buffer; None where TFLM's own kernel runs (all but int8)."""
    made = graph.tensors[operator.outputs[0]]
    if made.dtype != "int8" or (len(operator.inputs) > 1 and graph.tensors[operator.inputs[1]].dtype == "int4"):
        return None
    if operator.name == "SOFTMAX":  # width is the second axis there: input->dims->data[1]
        return (made.shape[1] * 4,) if len(made.shape) > 1 else None
    if operator.name not in _OURS:
        return None
    formula, window = _WINDOWED.get((chip, operator.name)), window_of(graph, operator)
    return (formula(window),) if formula is not None and window is not None else ()
