"""What a float tflite model's graph says without running it: batch normalization that was not folded, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_profiles.operators import ACTIVATIONS
from device_profiles.tflite import Graph, Operator, Tensor
from stages.explaining.pairs import constant, label, producers
from stages.explaining.weights import real_values

Array = NDArray[Any]
Kind = Literal["activation_before_norm", "read_twice", "no_convolution"]

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_SHARING = ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
"""Kernels in which weights of several input channels share one scale: (output channels, ..., input channels)."""
_CHANNELWISE = ("RELU", "LEAKY_RELU", "PRELU", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "PAD")
"""Operators that a factor above zero for each channel can be drawn through: `f(g x) = g f(x)`."""
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
        factors: (channels,) of MUL.
        readers: by index of the operators that read what was normalized, (output channels, input channels): largest
            absolute weight. None of those whose weights have a scale for each input channel.
        readers_are_all: whether nothing else reads it.
    """

    kind: Kind
    operators: tuple[int, ...]
    before: str
    activation: str
    channels: int
    factors: Array = field(default_factory=lambda: np.ones(0), compare=False)
    readers: dict[int, Array] = field(default_factory=dict, compare=False)
    readers_are_all: bool = False

    @property
    def shift(self) -> bool:
        """Whether something is added for each channel, too."""
        return len(self.operators) > 1


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
    last = shift or mul
    kind, activation, conv = _reason(made_by, before)
    peaks = {each.index: _peaks(graph, made_by, each) for each in _readers(graph, last.outputs[0])}
    factors = _factors(graph, made_by, mul)
    return Unfolded(kind, (mul.index, shift.index) if shift else (mul.index,), label(graph, conv or before), activation,
                    len(factors), factors, {index: each for index, each in peaks.items() if len(each)},
                    all(len(each) for each in peaks.values()))


def _reason(made_by: dict[int, Operator], before: Operator) -> tuple[Kind, str, Operator | None]:
    """(why a normalization was not folded, the activation that stands between, the convolution before it)."""
    activation = _fused(before) or (before.name if before.name in _ACTIVATIONS else "")
    source = made_by.get(before.inputs[0]) if before.name in _ACTIVATIONS else before
    if source is None or source.name not in _CONVOLUTIONS:
        return "no_convolution", activation, None
    return "activation_before_norm" if activation else "read_twice", activation, source


def _factors(graph: Graph, made_by: dict[int, Operator], mul: Operator) -> Array:
    """(channels,) of a MUL."""
    found = _channel_constant(graph, made_by, mul)
    return np.ones(0) if found is None else real_values(found).reshape(-1)


def _readers(graph: Graph, tensor: int) -> list[Operator]:
    """Operators that read a tensor, or what operators that work channel by channel make of it."""
    found = []
    for operator in graph.operators:
        if tensor in operator.inputs:
            found += _readers(graph, operator.outputs[0]) if operator.name in _CHANNELWISE else [operator]
    return found


def _peaks(graph: Graph, made_by: dict[int, Operator], operator: Operator) -> Array:
    """(output channels, input channels): largest absolute weight; empty where inputs have scales of their own."""
    if operator.name not in _SHARING:
        return np.ones(0)
    weights = constant(graph, made_by, operator.inputs[0 if operator.name == "TRANSPOSE_CONV" else 1])
    if weights is None or weights.dtype not in ("float32", "float16") or weights.sparse:
        return np.ones(0)
    values = np.abs(real_values(weights))
    found: Array = values.reshape(len(values), -1, values.shape[-1]).max(axis=1)
    return found


def _shift_after(graph: Graph, made_by: dict[int, Operator], mul: Operator) -> Operator | None:
    """The ADD or SUB of a value for each channel that reads a MUL."""
    readers = [each for each in graph.operators if mul.outputs[0] in each.inputs and each.name in ("ADD", "SUB")]
    return next((each for each in readers if _channel_constant(graph, made_by, each) is not None), None)


def _fused(operator: Operator) -> str:
    """The activation in an operator; "" where there is none."""
    code = int(operator.options.get("fused_activation", 0))
    return ACTIVATIONS[code] if 0 < code < len(ACTIVATIONS) else ""


def _channel_constant(graph: Graph, made_by: dict[int, Operator], operator: Operator) -> Tensor | None:
    """The constant of an operator that has a value for each channel; None without one."""
    if len(operator.inputs) != 2:
        return None
    channels = graph.tensors[operator.outputs[0]].shape[-1:]
    found = [tensor for tensor in (constant(graph, made_by, index) for index in operator.inputs)
             if tensor is not None and tensor.shape[-1:] == channels and tensor.elements == channels[0]]
    return found[0] if found and found[0].elements > 1 else None


def _data(graph: Graph, made_by: dict[int, Operator], operator: Operator) -> int:
    """The tensor among two inputs that is no constant."""
    return next((index for index in operator.inputs if constant(graph, made_by, index) is None), -1)


def _from_input(graph: Graph, made_by: dict[int, Operator], operator: Operator) -> bool:
    """Whether an operator works on the model's own input."""
    return _data(graph, made_by, operator) in graph.inputs
