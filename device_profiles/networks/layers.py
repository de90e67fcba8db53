"""Networks of a single layer, for published times of a kernel alone."""

from __future__ import annotations

from device_profiles.errors import UsageError
from device_profiles.networks.builder import NetworkBuilder, Node

_ELEMENTWISE = ("add", "mul", "hard_swish")


def layer_conv(b: NetworkBuilder, *, size: int = 10, channels: int = 64, filters: int = 64, kernel: int = 1) -> Node:
    """A square convolution in valid padding."""
    return b.conv(b.input(size, size, channels), filters, kernel, padding="valid")


def layer_depthwise(b: NetworkBuilder, *, size: int = 16, channels: int = 16, kernel: int = 3,
                    multiplier: int = 1) -> Node:
    """A square depthwise convolution in valid padding; `size` is with the zeros around the image."""
    return b.depthwise(b.input(size, size, channels), kernel, padding="valid", multiplier=multiplier)


def layer_elementwise(b: NetworkBuilder, *, kind: str = "add", size: int = 1615) -> Node:
    """The sum or product of two tensors, or the hard swish of one."""
    if kind not in _ELEMENTWISE:
        raise UsageError(f"'{kind}' is no elementwise layer", ", ".join(_ELEMENTWISE))
    x = b.input(size)
    if kind == "hard_swish":
        return b.activate(x, kind)
    return b.add(x, b.input(size)) if kind == "add" else b.multiply(x, b.input(size))
