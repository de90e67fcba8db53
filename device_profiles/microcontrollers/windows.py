"""The shape of an operator that slides a window over an image: what every kernel library's scratch depends on."""

from __future__ import annotations

from dataclasses import dataclass

from device_profiles.tflite import Graph, Operator

_SAME = 0
_IMAGE_RANK = 4
_MULTIPLIED = ("CONV_2D", "DEPTHWISE_CONV_2D")


@dataclass(frozen=True)
class Window:
    """A convolution or pool over images (batch, height, width, channels).

    Attributes:
        batch: images at a time.
        in_height, in_width, in_channels: of the input.
        out_height, out_width, out_channels: of the output.
        height, width: of the window.
        filter_channels: input channels that one filter reads; fewer than `in_channels` in a grouped convolution.
        stride_h, stride_w, dilation_h, dilation_w: in pixels.
        pad_h, pad_w: zeros above and at the left. TFLite puts an odd one below and at the right.
        multiplier: outputs of each input channel in a depthwise convolution.
        data, weights: dtypes of activations and filter.
    """

    batch: int
    in_height: int
    in_width: int
    in_channels: int
    out_height: int
    out_width: int
    out_channels: int
    height: int
    width: int
    filter_channels: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    pad_h: int
    pad_w: int
    multiplier: int
    data: str
    weights: str

    @property
    def taps(self) -> int:
        """Elements of the window in one channel."""
        return self.height * self.width

    @property
    def columns(self) -> int:
        """Elements that one output of a convolution is made of."""
        return self.taps * self.in_channels

    @property
    def dilated(self) -> bool:
        """Whether the taps lie apart."""
        return self.dilation_h != 1 or self.dilation_w != 1


def window_of(graph: Graph, operator: Operator) -> Window | None:
    """The window of a convolution or pool; None for any other operator, and where the tensors are no images."""
    if not operator.inputs or not operator.outputs or min(operator.inputs[0], operator.outputs[0]) < 0:
        return None
    source, made = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    if len(source.shape) != _IMAGE_RANK or len(made.shape) != _IMAGE_RANK:
        return None
    options = operator.options
    if operator.name in _MULTIPLIED:
        kernel = graph.tensors[operator.inputs[1]]  # (filters, height, width, channels); depthwise (1, height, ...)
        height, width, filter_channels, weights = *kernel.shape[1:3], kernel.shape[-1], kernel.dtype
    elif "filter_height" in options:
        height, width = int(options["filter_height"]), int(options["filter_width"])
        filter_channels, weights = made.shape[3], source.dtype
    else:
        return None
    stride_h, stride_w = (max(1, int(options.get(name, 1))) for name in ("stride_h", "stride_w"))
    dilation_h, dilation_w = (max(1, int(options.get(name, 1))) for name in ("dilation_h", "dilation_w"))
    batch, in_height, in_width, in_channels = source.shape
    out_height, out_width, out_channels = made.shape[1:]
    same = int(options.get("padding", _SAME)) == _SAME
    return Window(
        batch=batch, in_height=in_height, in_width=in_width, in_channels=in_channels, out_height=out_height,
        out_width=out_width, out_channels=out_channels, height=height, width=width, filter_channels=filter_channels,
        stride_h=stride_h, stride_w=stride_w, dilation_h=dilation_h, dilation_w=dilation_w,
        pad_h=_leading(in_height, out_height, height, stride_h, dilation_h) if same else 0,
        pad_w=_leading(in_width, out_width, width, stride_w, dilation_w) if same else 0,
        multiplier=max(1, int(options.get("depth_multiplier", 1))), data=source.dtype, weights=weights)


def _leading(size: int, made: int, taps: int, stride: int, dilation: int) -> int:
    """Zeros before the first pixel: half of what is missing, rounded down (`ComputePaddingWithOffset`)."""
    return max(0, (made - 1) * stride + (taps - 1) * dilation + 1 - size) // 2
