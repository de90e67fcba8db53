"""The constants of a tflite model that TFLM can decode in front of the operators that read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.operators import BUILTIN_NAMES
from device_profiles.tflite import DTYPES
from stages.packing.shrinking import builtin_code

Array = NDArray[Any]

READ_WHEN_RUN: Mapping[str, tuple[int, ...]] = MappingProxyType({
    "CONV_2D": (1, 2), "DEPTHWISE_CONV_2D": (1, 2), "FULLY_CONNECTED": (1, 2), "TRANSPOSE_CONV": (1, 3)})
"""Weights and bias of the operators whose kernels read them when they run. Other kernels fold constants beforehand."""

_NUMPY: Mapping[str, str] = MappingProxyType({"int8": "i1", "int16": "<i2", "int32": "<i4", "int64": "<i8"})


@dataclass(frozen=True)
class Constant:
    """A constant and its uses.

    Attributes:
        tensors: indices of the tensors that hold it: several where they are equal in all but their number.
        label: of its first use: "3:CONV_2D conv1/weights".
        stored_bytes: in the file.
        values: int8, int16, int32 or int64; 4-bit weights one a byte.
        zero_points: (1,), or one for each slice of `axis`.
        axis: of the quantization; 0 where there is one scale.
        channels: how many scales there are.
        uses: (operator, slot, tensor) of each reader.
    """

    tensors: tuple[int, ...]
    label: str
    stored_bytes: int
    values: Array = field(repr=False)
    zero_points: Array = field(repr=False)
    axis: int
    channels: int
    uses: tuple[tuple[int, int, int], ...]

    @cached_property
    def counts(self) -> dict[int, int]:
        """How often each value is there."""
        values, counts = np.unique(self.values, return_counts=True)
        return dict(zip(values.tolist(), counts.tolist(), strict=True))

    @property
    def zeros(self) -> int:
        """Elements that are zero, `q == zero_point`, with one zero point; with several, those that are 0."""
        return self.counts.get(int(self.zero_points[0]) if len(self.zero_points) == 1 else 0, 0)

    @property
    def entropy_bits(self) -> float:
        """Bits an element that no code of single elements can go below: -sum p log2 p (Shannon 1948)."""
        shares = np.array(list(self.counts.values())) / self.values.size
        return float(max(0.0, -(shares * np.log2(shares)).sum()))


@dataclass(frozen=True)
class Found:
    """What a model holds: constants that can be decoded, and by label the others with the reason."""

    constants: tuple[Constant, ...]
    left: dict[str, str]


def find_constants(model: Any, names: Mapping[int, str]) -> Found:
    """The constants behind convolutions and fully connected layers of the main graph.

    Args:
        model: a `ModelT` whose equal buffers are one.
        names: of its tensors; the model itself may have none any more.
    """
    graph = model.subgraphs[0]
    readers: dict[int, list[tuple[int, int]]] = {}
    for position, operator in enumerate(graph.operators):
        for slot, index in enumerate(operator.inputs if operator.inputs is not None else ()):
            readers.setdefault(int(index), []).append((position, slot))
    constants, left = [], {}
    for tensors in _by_buffer(model):
        uses = [(position, slot, index) for index in tensors for position, slot in readers.get(index, [])]
        weights = [use for use in uses if _is_weight(model, use)]
        if not weights:
            continue
        label = _label(model, weights[0], names)
        reason = _refusal(model, tensors, uses)
        if reason:
            left[label] = reason
        else:
            constants.append(_constant(model, tensors, label, uses))
    constants.sort(key=lambda constant: constant.uses[0][:2])
    return Found(tuple(constants), left)


def operator_name(model: Any, operator: Any) -> str:
    """Builtin name of an operator, or the code of a custom one."""
    code = model.operatorCodes[operator.opcodeIndex]
    custom = code.customCode.decode("utf-8", "backslashreplace") if code.customCode else ""
    return custom or BUILTIN_NAMES.get(builtin_code(code), "")


def _by_buffer(model: Any) -> Iterator[tuple[int, ...]]:
    """Tensors of the main graph with content, those of one buffer together."""
    found: dict[int, list[int]] = {}
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        if model.buffers[tensor.buffer].data is not None:
            found.setdefault(tensor.buffer, []).append(index)
    yield from map(tuple, found.values())


def _refusal(model: Any, tensors: tuple[int, ...], uses: list[tuple[int, int, int]]) -> str:
    """Why a constant has to stay as it is; "" where it need not."""
    graph = model.subgraphs[0]
    first = graph.tensors[tensors[0]]
    dtype = DTYPES[first.type][0]
    if dtype not in _NUMPY and not _unpacks(model, dtype, uses):
        return f"its type is {dtype}"
    if first.sparsity is not None:
        return "it is stored in a sparse encoding"
    if _axis(first) not in (0, len(first.shape) - 1):
        return f"it is quantized along axis {_axis(first)}, and TFLM decodes along the first or the last"
    return _other_use(model, tensors, uses)


def _other_use(model: Any, tensors: tuple[int, ...], uses: list[tuple[int, int, int]]) -> str:
    """Who else needs the constant as it is; "" where nobody does."""
    graph = model.subgraphs[0]
    first = graph.tensors[tensors[0]]
    if any(graph.tensors[index].isVariable for index in tensors):
        return "it is a variable"
    if {*tensors} & {*graph.outputs, *graph.inputs}:
        return "it is an input or output of the graph"
    others = [use for use in uses if not _is_weight(model, use)]
    if others:
        return f"{operator_name(model, graph.operators[others[0][0]])} reads it as well, and may before it runs"
    if any(_form(graph.tensors[index]) != _form(first) for index in tensors) or _used_elsewhere(model, first.buffer):
        return "a tensor of another form has the same bytes"
    return ""


def _is_weight(model: Any, use: tuple[int, int, int]) -> bool:
    """Whether an operator reads a constant when it runs, and not before."""
    return use[1] in READ_WHEN_RUN.get(operator_name(model, model.subgraphs[0].operators[use[0]]), ())


def _unpacks(model: Any, dtype: str, uses: list[tuple[int, int, int]]) -> bool:
    """Whether 4-bit weights may be given as bytes: these operators' 8-bit kernels compute the same."""
    operators = model.subgraphs[0].operators
    return dtype == "int4" and all(slot == 1 and operator_name(model, operators[position]) in READ_WHEN_RUN
                                   for position, slot, _ in uses)


def _used_elsewhere(model: Any, buffer: int) -> bool:
    """Whether another graph, or the metadata, has the buffer."""
    others = [tensor.buffer for graph in model.subgraphs[1:] for tensor in graph.tensors or ()]
    return buffer in others or buffer in [each.buffer for each in model.metadata or ()]


def _form(tensor: Any) -> tuple[Any, ...]:
    """Type, shape and zero points: what decides about an encoded form."""
    return tensor.type, tuple(tensor.shape), _axis(tensor), _channels(tensor), tuple(_zero_points(tensor))


def _axis(tensor: Any) -> int:
    """The axis of a per-channel quantization, else 0."""
    return int(tensor.quantization.quantizedDimension) if _channels(tensor) > 1 else 0


def _channels(tensor: Any) -> int:
    """How many scales a tensor has; 1 where it is not quantized."""
    found = tensor.quantization
    return max(1, len(found.scale)) if found is not None and found.scale is not None else 1


def _zero_points(tensor: Any) -> Array:
    """(1,) or one for each channel; 0 where the tensor is not quantized."""
    found = tensor.quantization
    points = None if found is None else found.zeroPoint
    return np.zeros(1, np.int64) if points is None or not len(points) else np.asarray(points, np.int64)


def _constant(model: Any, tensors: tuple[int, ...], label: str, uses: list[tuple[int, int, int]]) -> Constant:
    tensor = model.subgraphs[0].tensors[tensors[0]]
    data = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
    dtype, shape = DTYPES[tensor.type][0], tuple(int(size) for size in tensor.shape)
    values = _nibbles(data, shape) if dtype == "int4" else np.frombuffer(data.tobytes(), _NUMPY[dtype]).reshape(shape)
    return Constant(tensors, label, len(data), values, _zero_points(tensor), _axis(tensor),
                    _channels(tensor), tuple(uses))


def _nibbles(data: Array, shape: tuple[int, ...]) -> Array:
    """4-bit integers one a byte; of two in a byte the first is the lower one."""
    both = np.stack([data & 15, data >> 4], axis=-1).ravel()[:int(np.prod(shape, dtype=np.int64))]
    signed: Array = (both.astype(np.int8) ^ 8) - 8
    return signed.reshape(shape)


def _label(model: Any, use: tuple[int, int, int], names: Mapping[int, str]) -> str:
    """"3:CONV_2D conv1/weights"."""
    position, _, index = use
    return f"{position}:{operator_name(model, model.subgraphs[0].operators[position])} {names.get(index, '')}".rstrip()
