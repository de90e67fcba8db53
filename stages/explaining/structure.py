"""What a float tflite model's graph says without running it: batch normalization that was not folded, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from device_profiles.operators import ACTIVATIONS
from device_profiles.tflite import Graph, Operator
from stages.explaining.pairs import constant, label, producers

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_ACTIVATIONS = ("RELU", "RELU6", "LEAKY_RELU", "PRELU", "HARD_SWISH", "LOGISTIC", "TANH", "GELU", "ELU")


@dataclass(frozen=True)
class Unfolded:
    """A batch normalization that is left as MUL, or MUL and ADD, with a value for each channel.

    Attributes:
        kind: "activation_before_norm": the convolution before it has its activation already; "read_twice": something
            else reads the convolution's output; "no_convolution": what is before it is none.
        operators: indexes of MUL and ADD.
        before: label of the operator before them.
        activation: that stands between; "" where there is none.
        channels: that it normalizes.
    """

    kind: Literal["activation_before_norm", "read_twice", "no_convolution"]
    operators: tuple[int, ...]
    before: str
    activation: str
    channels: int


def unfolded(graph: Graph) -> list[Unfolded]:
    """Batch normalizations that still stand in a float graph.

    A MUL on the model's own input is its preprocessing, and is left out.

    Args:
        graph: the main graph of a float tflite model.
    """
    made_by = producers(graph)
    found = []
    for operator in graph.operators:
        if operator.name != "MUL" or _channel_constant(graph, made_by, operator) is None:
            continue
        before = made_by.get(_data(graph, made_by, operator))
        if before is None or (before.name in ("MUL", "ADD") and _from_input(graph, made_by, before)):
            continue
        found.append(_describe(graph, made_by, operator, before))
    return found


def _describe(graph: Graph, made_by: dict[int, Operator], mul: Operator, before: Operator) -> Unfolded:
    """What stands before a MUL and after it."""
    shift = _shift_after(graph, made_by, mul)
    activation = _fused(before) or (before.name if before.name in _ACTIVATIONS else "")
    source = made_by.get(before.inputs[0]) if before.name in _ACTIVATIONS else before
    conv = source if source is not None and source.name in _CONVOLUTIONS else None
    kind: Literal["activation_before_norm", "read_twice", "no_convolution"] = "no_convolution"
    if conv is not None:
        kind = "activation_before_norm" if activation else "read_twice"
    return Unfolded(kind, (mul.index, *([shift.index] if shift else [])), label(graph, conv or before), activation,
                    _channel_constant(graph, made_by, mul) or 0)


def _shift_after(graph: Graph, made_by: dict[int, Operator], mul: Operator) -> Operator | None:
    """The ADD or SUB of a value for each channel that reads a MUL."""
    readers = [each for each in graph.operators if mul.outputs[0] in each.inputs and each.name in ("ADD", "SUB")]
    return next((each for each in readers if _channel_constant(graph, made_by, each) is not None), None)


def _fused(operator: Operator) -> str:
    """The activation in an operator; "" where there is none."""
    code = int(operator.options.get("fused_activation", 0))
    return ACTIVATIONS[code] if 0 < code < len(ACTIVATIONS) else ""


def _channel_constant(graph: Graph, made_by: dict[int, Operator], operator: Operator) -> int | None:
    """How many values the constant has that an operator takes one of for each channel; None without one."""
    if len(operator.inputs) != 2:
        return None
    channels = graph.tensors[operator.outputs[0]].shape[-1:]
    sizes = [tensor.elements for tensor in (constant(graph, made_by, index) for index in operator.inputs)
             if tensor is not None and tensor.shape[-1:] == channels and tensor.elements == channels[0]]
    return sizes[0] if sizes and sizes[0] > 1 else None


def _data(graph: Graph, made_by: dict[int, Operator], operator: Operator) -> int:
    """The tensor among two inputs that is no constant."""
    return next((index for index in operator.inputs if constant(graph, made_by, index) is None), -1)


def _from_input(graph: Graph, made_by: dict[int, Operator], operator: Operator) -> bool:
    """Whether an operator works on the model's own input."""
    return _data(graph, made_by, operator) in graph.inputs
