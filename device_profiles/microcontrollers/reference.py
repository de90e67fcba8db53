"""Scratch buffers of TFLM's own kernels, which run where a kernel library has none for an operator.

From `Prepare` of each kernel in tensorflow/lite/micro/kernels (tensorflow/tflite-micro). What the wheel reports bears
them out: benchmarks/arena.py holds the plan that they give against the arena of the tflite-micro wheel, byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from device_profiles.tflite import Graph, Operator, Tensor

Sizes = tuple[int, ...]
Scratch = Callable[[Graph, Operator], Sizes]

_INT32, _INT64 = 4, 8
_PACKED = ("int4", "int2")


def unpacked_filter(graph: Graph, operator: Operator) -> Sizes:
    """A filter of less than 8 bits is unpacked to a byte an element before each inference."""
    filter_ = _tensor(graph, operator, 1)
    return (filter_.elements,) if filter_ is not None and filter_.dtype in _PACKED else ()


def transpose_convolution(graph: Graph, operator: Operator) -> Sizes:
    """Accumulators of the whole output: int32, for int16 activations int64 (transpose_conv.cc)."""
    made, source = graph.tensors[operator.outputs[0]], _tensor(graph, operator, 2)
    width = {"int8": _INT32, "int16": _INT64}.get(source.dtype if source else "", 0)
    return (made.elements * width,) if width else ()


def mean_or_sum(graph: Graph, operator: Operator) -> Sizes:
    """Sums of int32 for quantized tensors (reduce_common.cc, `PrepareMeanOrSumHelper`)."""
    source = _tensor(graph, operator, 0)
    quantized = source is not None and source.dtype in ("int8", "int16", "uint8")
    return (graph.tensors[operator.outputs[0]].elements * _INT32,) if quantized else ()


def extreme(graph: Graph, operator: Operator) -> Sizes:
    """An index an input axis, and the axes that are reduced (reduce_common.cc, `PrepareMinMaxHelper`)."""
    source, axes = _tensor(graph, operator, 0), _tensor(graph, operator, 1)
    return (_INT32 * len(source.shape), _INT32 * axes.elements) if source is not None and axes is not None else ()


def svdf(graph: Graph, operator: Operator) -> Sizes:
    """Filters by batch, and for int8 the outputs too, in 32 bits (svdf_common.cc)."""
    source, features = graph.tensors[operator.inputs[0]], graph.tensors[operator.inputs[1]]
    batch, filters = source.shape[0], features.shape[0]
    units = graph.tensors[operator.outputs[0]].shape[-1]
    first = batch * filters * _INT32
    return (first,) if source.dtype == "float32" else (first, batch * units * _INT32)


def lstm(graph: Graph, operator: Operator) -> Sizes:
    """Four gates of a batch's cell state, in the type of the cell state (unidirectional_sequence_lstm.cc)."""
    cell = _tensor(graph, operator, 19)  # output state is input 18, cell state input 19
    return (cell.size_bytes,) * 4 if cell is not None else ()


def _tensor(graph: Graph, operator: Operator, slot: int) -> Tensor | None:
    """An input; None where it is left out."""
    present = slot < len(operator.inputs) and operator.inputs[slot] >= 0
    return graph.tensors[operator.inputs[slot]] if present else None


REFERENCE: Mapping[str, Scratch] = MappingProxyType({
    "CONV_2D": unpacked_filter, "DEPTHWISE_CONV_2D": unpacked_filter, "FULLY_CONNECTED": unpacked_filter,
    "TRANSPOSE_CONV": transpose_convolution, "MEAN": mean_or_sum, "SUM": mean_or_sum, "REDUCE_MAX": extreme,
    "REDUCE_MIN": extreme, "SVDF": svdf, "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
})
"""By operator; one that is in neither this nor `UNKNOWN` asks for none."""

UNKNOWN: Mapping[str, str] = MappingProxyType({
    "BATCH_MATMUL": "buffers for transposed operands, which depend on the kernel's version",
    "IF": "runs other graphs", "WHILE": "runs other graphs", "CALL_ONCE": "runs other graphs",
})
"""Operators whose scratch is not stated here, and why."""


def reference_scratch(graph: Graph, operator: Operator) -> Sizes:
    """Bytes of each scratch buffer that TFLM's own kernel asks for."""
    formula = REFERENCE.get(operator.name)
    return tuple(size for size in formula(graph, operator) if size) if formula else ()

