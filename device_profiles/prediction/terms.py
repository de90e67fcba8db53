"""What an operator asks of a device, as amounts of a few terms whose prices are fitted."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from device_profiles.operators import VIEWS
from device_profiles.workload import OperatorWork, Workload

Term = Literal["inference", "operator", "parallel", "conv_1x1", "conv", "conv_narrow", "window", "conv_loop",
               "conv_output", "depthwise", "depthwise_output", "fully_connected", "fully_connected_output", "weights",
               "activations", "elementwise", "transcendental", "pooling"]
TERMS: tuple[Term, ...] = get_args(Term)
MEANING: Mapping[Term, str] = MappingProxyType({
    "inference": "an inference",
    "operator": "an operator that is called (views are not)",
    "parallel": "an operator whose work is handed to several threads",
    "conv_1x1": "a MAC of a 1x1 convolution, output channels rounded up to whole vectors",
    "conv": "a MAC of another convolution",
    "conv_narrow": "a MAC of a convolution with at most four input channels, whose vectors stay part empty",
    "window": "a byte copied into a window buffer (im2col), eight more for each tap",
    "conv_loop": "an inner loop over input channels that a plain kernel begins, one for each tap of each output",
    "conv_output": "an output of a convolution, scaled and stored",
    "depthwise": "a MAC of a depthwise convolution",
    "depthwise_output": "an output of a depthwise convolution",
    "fully_connected": "a MAC of a fully connected or recurrent layer",
    "fully_connected_output": "an output of a fully connected or recurrent layer",
    "weights": "a byte of weights, read once an inference",
    "activations": "a byte of activations, read or written",
    "elementwise": "an element added, multiplied, copied",
    "transcendental": "an element through softmax, hard swish, logistic, tanh and the like",
    "pooling": "an element of a pooling window",
})

NARROW_CHANNELS = 4
VECTOR_CHANNELS = 8  # output channels that a matrix kernel of ruy, XNNPACK (4 to 8) or CMSIS-NN (2 to 4) does at a time
TAP_BYTES = 8  # what the call that copies one tap costs, in bytes that it could have copied
_TRANSCENDENTAL = ("HARD_SWISH", "LOGISTIC", "TANH", "EXP", "LOG", "SQRT", "RSQRT", "ELU", "GELU", "SIN", "COS", "DIV",
                   "POW", "L2_NORMALIZATION", "LOCAL_RESPONSE_NORMALIZATION")
Amounts = dict[Term, float]


def inference_amounts() -> Amounts:
    """What an inference costs besides its operators."""
    return {"inference": 1.0}


def operator_amounts(op: OperatorWork) -> Amounts:
    """The terms of one operator, in MACs, bytes, elements and calls.

    A view costs nothing; so does an operator on constants alone, which litert runs once at load.
    """
    if op.once or op.name in VIEWS:
        return {}
    amounts: Amounts = {"operator": 1.0, "weights": float(op.weight_bytes),
                        "activations": float(op.input_bytes + op.output_bytes)}
    amounts.update(_RULES.get(op.kernel, _elements)(op))
    return {term: amount for term, amount in amounts.items() if amount}


def workload_amounts(workload: Workload) -> Amounts:
    """The terms of a whole inference."""
    total = inference_amounts()
    for op in workload.operators:
        for term, amount in operator_amounts(op).items():
            total[term] = total.get(term, 0.0) + amount
    return total


def _channels(op: OperatorWork) -> tuple[int, int]:
    """Input and output channels: the last dimension of the first activation and of the output."""
    made = next((use.shape for use in op.outputs if use.shape), (1,))
    read = next((use.shape for use in op.inputs if use.shape and not use.constant), (1,))
    return read[-1], made[-1]


def _conv_1x1(op: OperatorWork) -> Amounts:
    _, outputs = _channels(op)
    whole = -(-outputs // VECTOR_CHANNELS) * VECTOR_CHANNELS
    return {"parallel": 1.0, "conv_1x1": op.macs * whole / max(outputs, 1), "conv_output": float(op.output_elements)}


def _conv(op: OperatorWork) -> Amounts:
    inputs, outputs = _channels(op)
    element_bytes = op.output_bytes / max(op.output_elements, 1)
    kind: Term = "conv_narrow" if inputs <= NARROW_CHANNELS else "conv"
    taps = op.window_taps or op.macs / max(inputs * outputs, 1)
    window = taps * (TAP_BYTES + inputs * element_bytes)
    loops = op.output_taps or op.macs / max(inputs, 1)
    return {"parallel": 1.0, kind: float(op.macs), "window": window, "conv_loop": float(loops),
            "conv_output": float(op.output_elements)}


def _depthwise(op: OperatorWork) -> Amounts:
    return {"parallel": 1.0, "depthwise": float(op.macs), "depthwise_output": float(op.output_elements)}


def _fully_connected(op: OperatorWork) -> Amounts:
    return {"fully_connected": float(op.macs), "fully_connected_output": float(op.output_elements)}


def _pooling(op: OperatorWork) -> Amounts:
    return {"pooling": float(op.element_ops)}


def _softmax(op: OperatorWork) -> Amounts:
    return {"transcendental": float(op.element_ops)}


def _elements(op: OperatorWork) -> Amounts:
    return {"transcendental" if op.name in _TRANSCENDENTAL else "elementwise": float(op.element_ops or op.macs)}


_RULES = {"conv_1x1": _conv_1x1, "conv": _conv, "depthwise": _depthwise, "fully_connected": _fully_connected,
          "recurrent": _fully_connected, "pooling": _pooling, "softmax": _softmax}
