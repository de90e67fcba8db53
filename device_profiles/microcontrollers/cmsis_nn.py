"""Scratch buffers of CMSIS-NN, by what the core has: plain C, the DSP extension, or MVE (Helium).

From the functions `arm_*_get_buffer_size*` of github.com/ARM-software/CMSIS-NN, each named with file and commit below,
and from what TFLM's `kernels/cmsis_nn` asks them for (tensorflow/tflite-micro). C: input channels, h, w: window.

    function               plain C                    DSP                        MVE
    convolution s8         4 * up4(h*w*C)             the same                   4 * up16(h*w*C)
      1x1, no padding      0                          0 (GCC, Clang)             0
      1xN, width alone     4 * up4(w*C)               the same                   one row with its padding
    convolution s16        4 * h*w*C                  the same                   8 * up8(h*w*C)
    convolution s4         4 * h*w*C                  the same                   the same
    depthwise s8           0                          2 * h*w*C; 3x3: 0          4 * 124 * h*w
    depthwise s4           2 * h*w*C                  the same                   the same
    average pool s8, s16   0                          4 * C                      0
    SVDF, fully connected  0                          0                          4 a row, kept for good

`up4` is the next multiple of 4. Depthwise: one output for each channel, not dilated, one image; else there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from device_profiles.microcontrollers.planner import aligned
from device_profiles.microcontrollers.reference import Sizes, svdf
from device_profiles.microcontrollers.windows import Window, window_of
from device_profiles.tflite import Graph, Operator

Extension = Literal["c", "dsp", "mve"]

SOURCES: Mapping[str, str] = MappingProxyType({
    "CONV_2D": "Source/ConvolutionFunctions/arm_convolve_get_buffer_sizes_s8.c @098d54a61e3e, "
               "arm_convolve_get_buffer_sizes_s16.c V.2.0.0 (20 March 2024), ..._s4.c @bfc54edb61e8",
    "DEPTHWISE_CONV_2D": "Source/ConvolutionFunctions/arm_depthwise_conv_get_buffer_sizes_s8.c @edececa2171e, "
                         "..._s4.c @060f101606d8",
    "TRANSPOSE_CONV": "Source/ConvolutionFunctions/arm_transpose_conv_get_buffer_sizes_s8.c @3c67a632d6c9",
    "AVERAGE_POOL_2D": "Source/PoolingFunctions/arm_avgpool_get_buffer_sizes_s8.c @1d7a8bfe81c8",
    "SVDF": "arm_svdf_s8_get_buffer_size, as TFLM's kernels/cmsis_nn/svdf.cc calls it",
    "FULLY_CONNECTED": "arm_fully_connected_s8_get_buffer_size_mve, as TFLM's kernels/cmsis_nn/fully_connected.cc "
                       "calls it",
})

_CHANNEL_BLOCK = 124  # CH_IN_BLOCK_MVE of arm_nnsupportfunctions.h
_REVERSE_CHANNELS = 16  # REVERSE_TCOL_EFFICIENT_THRESHOLD
_INT16, _INT32 = 2, 4


def convolution(graph: Graph, operator: Operator, extension: Extension) -> Sizes | None:
    """Windows copied side by side (im2col): two at a time, with MVE four."""
    window = window_of(graph, operator)
    if window is None or window.data not in ("int8", "int16"):
        return None
    if window.data == "int16":
        return (_columns_s16(window.columns, extension),)
    if window.weights == "int4":
        return () if _is_1x1(window) else (2 * window.columns * _INT16,)
    return (_convolution_s8(window, extension),)


def _convolution_s8(window: Window, extension: Extension) -> int:
    if _is_1x1(window):
        return 0
    row = (window.in_height == 1 and window.dilation_w == 1 and window.height == 1
           and window.stride_w * window.in_channels % 4 == 0 and window.filter_channels == window.in_channels)
    return _row_mve(window) if row and extension == "mve" else _columns_s8(window.columns, extension)


def _is_1x1(window: Window) -> bool:
    """A matrix product, which needs no copy (`arm_nn_is_convolve_1x1`)."""
    return (window.taps == 1 and not window.dilated and window.pad_h == window.pad_w == 0
            and window.filter_channels == window.in_channels)


def _columns_s8(columns: int, extension: Extension) -> int:
    """Two windows of int16, or with MVE four of int8 in whole registers."""
    return 4 * aligned(columns, 16) if extension == "mve" else 2 * aligned(columns, 4) * _INT16


def _columns_s16(columns: int, extension: Extension) -> int:
    return 4 * aligned(columns, 8) * _INT16 if extension == "mve" else 2 * columns * _INT16


def _row_mve(window: Window) -> int:
    """A window that runs along one row: only what hangs over its ends is copied."""
    missing = (window.out_width - 1) * window.stride_w + window.width - window.in_width
    odd = missing % 2
    right, left = (max(1, -(-pad // window.stride_w)) if pad else 0 for pad in (window.pad_w + odd, window.pad_w))
    if right + left > window.out_width:
        return _columns_s8(window.columns, "mve")
    channels, taps = window.in_channels, window.width * window.in_channels
    at_left = window.pad_w * channels
    at_right = right * channels if odd else at_left
    return max(taps + at_left, taps - channels + at_right)


def depthwise(graph: Graph, operator: Operator, extension: Extension) -> Sizes | None:
    """Windows of all channels as int16, or with MVE of a block of 124 channels as int8."""
    window = window_of(graph, operator)
    if window is None or window.data not in ("int8", "int16"):
        return None
    fast = window.in_channels == window.out_channels and window.batch == 1 and not window.dilated
    if window.data == "int16" or not fast:
        return ()  # TFLM calls arm_depthwise_conv_s16, which takes none
    whole = window.columns * _INT16
    if window.weights == "int4":
        return (whole,)
    if extension == "mve":
        return (4 * _CHANNEL_BLOCK * window.taps,)
    small = window.height == window.width == 3 and max(window.pad_h, window.pad_w) <= 1
    return (whole,) if extension == "dsp" and not small else ()


def average_pool(graph: Graph, operator: Operator, extension: Extension) -> Sizes | None:
    """A sum a channel."""
    window = window_of(graph, operator)
    if window is None or window.data not in ("int8", "int16"):
        return None
    return (window.in_channels * _INT32,) if extension == "dsp" else ()


def transpose_convolution(graph: Graph, operator: Operator, extension: Extension) -> Sizes | None:
    """Rows of accumulators, or where it is run as a convolution that one's windows, and the kernel turned around."""
    source, kernel = graph.tensors[operator.inputs[2]], graph.tensors[operator.inputs[1]]
    made = graph.tensors[operator.outputs[0]]
    if source.dtype != "int8":
        return None
    filters, height, width, channels = kernel.shape
    stride_h, stride_w = int(operator.options.get("stride_h", 1)), int(operator.options.get("stride_w", 1))
    if max(stride_h, stride_w) <= 2 and channels > _REVERSE_CHANNELS:
        columns = height * width * channels
        return _columns_s8(columns, extension), columns * filters
    row = ((source.shape[2] - 1) * stride_w + max(width, stride_h)) * made.shape[3]
    return (row * max(height, stride_h) * _INT32,)


def recurrent(graph: Graph, operator: Operator, extension: Extension) -> Sizes | None:
    """SVDF: the buffers of TFLM's own kernel; sums of the weights, with MVE, are kept for good."""
    del extension
    return svdf(graph, operator)


def kept(graph: Graph, operator: Operator, extension: Extension) -> int:
    """Bytes that a kernel keeps for good besides what TFLM's own kernel does: sums of the weights, with MVE."""
    if extension != "mve" or graph.tensors[operator.inputs[0]].dtype != "int8":
        return 0
    if operator.name not in ("FULLY_CONNECTED", "SVDF"):
        return 0
    return graph.tensors[operator.inputs[1]].shape[0] * _INT32


_Formula = Callable[[Graph, Operator, Extension], Sizes | None]
_FORMULAS: Mapping[str, _Formula] = MappingProxyType({
    "CONV_2D": convolution, "DEPTHWISE_CONV_2D": depthwise, "AVERAGE_POOL_2D": average_pool,
    "TRANSPOSE_CONV": transpose_convolution, "SVDF": recurrent, "FULLY_CONNECTED": lambda *_: (),
})


def scratch(graph: Graph, operator: Operator, extension: Extension) -> Sizes | None:
    """Bytes of each scratch buffer; None where the library has no kernel and TFLM's own runs (float32 among them)."""
    formula = _FORMULAS.get(operator.name)
    if formula is None or graph.tensors[operator.outputs[0]].dtype == "float32":
        return None
    sizes = formula(graph, operator, extension)
    return None if sizes is None else tuple(size for size in sizes if size > 0)
