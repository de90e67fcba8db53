"""MACs and element operations of one operator, from its shapes. The formulas stand in `workload`."""

from __future__ import annotations

import math
from collections.abc import Callable

from device_profiles.operators import KERNEL_CLASSES
from device_profiles.tflite import Operator, Tensor

Tensors = tuple[Tensor, ...]


def macs(operator: Operator, tensors: Tensors) -> int:
    """Multiply-accumulates of one inference; 0 for an operator that does none."""
    rule = _RULES.get(operator.name)
    return rule(operator, tensors) if rule else 0


def macs_rules() -> tuple[str, ...]:
    """The operators that multiply and accumulate."""
    return tuple(_RULES)


def element_operations(operator: Operator, tensors: Tensors) -> int:
    """Element operations of an operator without MACs: pooling and reductions count what they read."""
    if operator.name in _RULES:
        return 0
    out = sum(tensors[i].elements for i in operator.outputs if i >= 0)
    if KERNEL_CLASSES.get(operator.name) != "pooling":
        return out
    window = int(operator.options.get("filter_width", 0)) * int(operator.options.get("filter_height", 0))
    return out * window if window > 0 else _shape_elements(_shape(operator, tensors, 0))


def convolution_taps(operator: Operator, tensors: Tensors) -> tuple[int, int]:
    """(output positions, output elements), each times the taps of the kernel; (0, 0) for other than CONV_2D.

    A depthwise convolution has one MAC a tap, so its MACs say it already.
    """
    kernel, output = _shape(operator, tensors, 1), _output(operator, tensors)
    if operator.name != "CONV_2D" or len(kernel) < 3 or not output:
        return 0, 0
    taps = math.prod(kernel[1:3])
    return math.prod(output[:-1]) * taps, math.prod(output) * taps


def _shape(operator: Operator, tensors: Tensors, slot: int) -> tuple[int, ...]:
    """Shape of an input, or () where it is left out."""
    if slot >= len(operator.inputs) or operator.inputs[slot] < 0:
        return ()
    return tensors[operator.inputs[slot]].shape


def _output(operator: Operator, tensors: Tensors) -> tuple[int, ...]:
    """Shape of the first output."""
    return tensors[operator.outputs[0]].shape if operator.outputs and operator.outputs[0] >= 0 else ()


def _shape_elements(shape: tuple[int, ...]) -> int:
    return math.prod(shape) if shape else 0


def _conv(operator: Operator, tensors: Tensors) -> int:
    """Filter: (output channels, height, width, input channels / groups)."""
    kernel = _shape(operator, tensors, 1)
    return math.prod(_output(operator, tensors)) * math.prod(kernel[1:]) if len(kernel) > 1 else 0


def _depthwise(operator: Operator, tensors: Tensors) -> int:
    """Filter: (1, height, width, channels)."""
    kernel = _shape(operator, tensors, 1)
    return math.prod(_output(operator, tensors)) * math.prod(kernel[1:3]) if len(kernel) > 2 else 0


def _conv_3d(operator: Operator, tensors: Tensors) -> int:
    """Filter: (depth, height, width, input channels, output channels)."""
    kernel = _shape(operator, tensors, 1)
    return math.prod(_output(operator, tensors)) * math.prod(kernel[:4]) if len(kernel) > 4 else 0


def _conv_3d_transpose(operator: Operator, tensors: Tensors) -> int:
    """Inputs: output shape, filter (depth, height, width, output channels, input channels), activations."""
    kernel, data = _shape(operator, tensors, 1), _shape(operator, tensors, 2)
    return _shape_elements(data) * math.prod(kernel[:4]) if len(kernel) > 4 else 0


def _fully_connected(operator: Operator, tensors: Tensors) -> int:
    """Weights: (units, depth)."""
    kernel = _shape(operator, tensors, 1)
    return math.prod(_output(operator, tensors)) * kernel[-1] if kernel else 0


def _transpose_conv(operator: Operator, tensors: Tensors) -> int:
    """Inputs: output shape, filter (output channels, height, width, input channels), activations."""
    kernel, data = _shape(operator, tensors, 1), _shape(operator, tensors, 2)
    return _shape_elements(data) * math.prod(kernel[:3]) if len(kernel) > 3 else 0


def _batch_matmul(operator: Operator, tensors: Tensors) -> int:
    """(..., rows, inner) times (..., inner, columns); `adj_x` swaps the first one's last two."""
    left = _shape(operator, tensors, 0)
    if len(left) < 2:
        return 0
    inner = left[-2] if operator.options.get("adj_x") else left[-1]
    return math.prod(_output(operator, tensors)) * inner


def _recurrent(slots: tuple[int, ...]) -> Callable[[Operator, Tensors], int]:
    """Time steps times batch times the elements of the gate matrices in these inputs."""

    def rule(operator: Operator, tensors: Tensors) -> int:
        """All leading dimensions of the first input are time and batch."""
        data = _shape(operator, tensors, 0)
        steps = math.prod(data[:-1]) if len(data) > 1 else 1
        return steps * sum(_shape_elements(_shape(operator, tensors, slot)) for slot in slots)

    return rule


_RULES: dict[str, Callable[[Operator, Tensors], int]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "CONV_3D": _conv_3d,
    "CONV_3D_TRANSPOSE": _conv_3d_transpose,
    "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transpose_conv,
    "BATCH_MATMUL": _batch_matmul,
    "SVDF": _recurrent((1, 2)),
    "RNN": _recurrent((1, 2)),
    "UNIDIRECTIONAL_SEQUENCE_RNN": _recurrent((1, 2)),
    "LSTM": _recurrent(tuple(range(1, 9))),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _recurrent((*range(1, 9), 16)),
    "BIDIRECTIONAL_SEQUENCE_RNN": _recurrent((1, 2, 5, 6)),
    "BIDIRECTIONAL_SEQUENCE_LSTM": _recurrent((*range(1, 9), 16, *range(18, 26), 33)),
}
