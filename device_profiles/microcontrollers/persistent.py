"""What TFLM keeps in the arena for good: its own structures, and each kernel's parameters.

The structures hold pointers, so they are smaller on a 32-bit core than on the 64-bit host where the wheel runs; the
wheel is also built with two things that firmware leaves out, a recording allocator and compressed tensors. So the bytes
are added up twice, once for the wheel, where they can be checked (benchmarks/arena.py: within 16 bytes), and once for a
32-bit core, by the same structures (tensorflow/lite/micro and tensorflow/lite/c/common.h of tensorflow/tflite-micro).
Kernels allocate in steps of 16 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from device_profiles.microcontrollers import families
from device_profiles.microcontrollers.families import Family
from device_profiles.microcontrollers.planner import aligned
from device_profiles.tflite import Graph, Operator, Tensor

_MULTIPLIER_AND_SHIFT = 8
_INT16_TABLES = 2 * 513 * 2  # softmax of int16: exp(x) and 1 / (1 + x), 513 entries each
_SCRATCH_REQUESTS = 12  # kMaxScratchBuffersPerOp
_PLANNER_BYTES = 40  # of each buffer: GreedyMemoryPlanner::per_buffer_size()


@dataclass(frozen=True)
class Layout:
    """Bytes of TFLM's structures on one kind of machine.

    Attributes:
        base: allocator, planner and the graph's own record.
        tensor: TfLiteEvalTensor, one for each tensor of the graph.
        node: NodeAndRegistration, one for each operator.
        end: TfLiteTensor of an input or output of the graph.
        end_quantization: its TfLiteAffineQuantization with one zero point.
        pointer: of a scratch buffer's handle.
        request: ScratchBufferRequest, while the operators prepare.
        allocation: AllocationInfo of a tensor or scratch buffer, while the plan is made.
        host: whether it is the wheel's.
    """

    base: int
    tensor: int
    node: int
    end: int
    end_quantization: int
    pointer: int
    request: int
    allocation: int
    host: bool


HOST = Layout(base=488, tensor=24, node=64, end=64, end_quantization=32, pointer=8, request=16, allocation=48,
              host=True)
"""x86-64, as the tflite-micro wheel is built: checked against what it reports."""
DEVICE = Layout(base=136, tensor=12, node=32, end=40, end_quantization=20, pointer=4, request=12, allocation=24,
                host=False)
"""A 32-bit core: the same structures with pointers of 4 bytes."""

_PARAMETERS: Mapping[str, tuple[int, int]] = MappingProxyType({
    # operator: on the wheel, on a 32-bit core
    "CONV_2D": (80, 56), "DEPTHWISE_CONV_2D": (80, 56), "TRANSPOSE_CONV": (112, 88), "FULLY_CONNECTED": (72, 44),
    "AVERAGE_POOL_2D": (32, 32), "MAX_POOL_2D": (32, 32), "MEAN": (44, 44), "SUM": (44, 44), "REDUCE_MAX": (48, 48),
    "REDUCE_MIN": (48, 48), "SOFTMAX": (80, 48), "MUL": (36, 36), "ADD": (60, 60), "SUB": (48, 48),
    "QUANTIZE": (32, 32), "DEQUANTIZE": (32, 32), "RELU": (28, 28), "RELU6": (28, 28), "HARD_SWISH": (20, 20),
    "CONCATENATION": (96, 92), "TFLM_DECODE": (80, 64), "RESHAPE": (0, 0), "SQUEEZE": (0, 0),
    "EXPAND_DIMS": (0, 0), "LOGISTIC": (16, 16),
    "TANH": (16, 16), "PAD": (40, 40), "PADV2": (40, 40), "LEAKY_RELU": (32, 32), "SVDF": (48, 44),
    "RESIZE_NEAREST_NEIGHBOR": (0, 0), "UNIDIRECTIONAL_SEQUENCE_LSTM": (768, 704),
})
"""Parameters that a kernel keeps (its OpData); where an operator is not named, `_OTHER`."""
_OTHER = (48, 48)
_OPTIONS: Mapping[str, int] = MappingProxyType({
    "CONV_2D": 28, "DEPTHWISE_CONV_2D": 28, "FULLY_CONNECTED": 32, "AVERAGE_POOL_2D": 40, "MAX_POOL_2D": 40,
    "MEAN": 20, "SUM": 20, "RESHAPE": 36, "SOFTMAX": 4, "MUL": 4, "ADD": 8, "SUB": 8, "REDUCE_MAX": 4, "REDUCE_MIN": 4,
    "CONCATENATION": 12})
"""Options of an operator, read from the file once."""
_LIBRARY_BYTES: Mapping[str, int] = MappingProxyType({
    "CONV_2D": 4, "DEPTHWISE_CONV_2D": 4, "AVERAGE_POOL_2D": 4, "MAX_POOL_2D": 4, "FULLY_CONNECTED": 20})
"""What CMSIS-NN's and ESP-NN's kernels keep besides: the number of their buffer, and shapes."""


def persistent_bytes(graph: Graph, family: Family, layout: Layout, scratch_count: int) -> int:
    """Bytes that stay once the model is ready.

    Args:
        graph: the main graph.
        family: whose kernels run.
        layout: the machine's.
        scratch_count: scratch buffers that the kernels ask for.
    """
    ends = [graph.tensors[index] for index in (*graph.inputs, *graph.outputs)]
    structures = (layout.base + layout.tensor * len(graph.tensors) + layout.node * len(graph.operators)
                  + sum(layout.end + (layout.end_quantization if end.scales else 0) for end in ends)
                  + aligned(layout.pointer * len(graph.inputs)) + aligned(layout.pointer * len(graph.outputs))
                  + layout.pointer * scratch_count)
    variables = sum(aligned(tensor.size_bytes) for tensor in graph.tensors if tensor.variable)
    return aligned(structures + variables + sum(_operator_bytes(graph, operator, family, layout)
                                                for operator in graph.operators))


def planning_bytes(graph: Graph, layout: Layout, buffers: int, scratch_count: int) -> int:
    """Bytes besides those that stay while the plan is made: they set the least arena of a small model."""
    tables = layout.allocation * (len(graph.tensors) + scratch_count) + layout.pointer
    requests = layout.request * (scratch_count + _SCRATCH_REQUESTS)
    return requests + tables + _PLANNER_BYTES * buffers


def _operator_bytes(graph: Graph, operator: Operator, family: Family, layout: Layout) -> int:
    parameters = _PARAMETERS.get(operator.custom_code or operator.name, _OTHER)[0 if layout.host else 1]
    if family != "reference":
        parameters += _LIBRARY_BYTES.get(operator.name, 0)
    return (_OPTIONS.get(operator.name, 0) + aligned(parameters) + _arrays(graph, operator, family)
            + aligned(families.kept(graph, operator, family)))


def _arrays(graph: Graph, operator: Operator, family: Family) -> int:
    """A multiplier and a shift for each output channel, and lookup tables."""
    source, made = (graph.tensors[indexes[0]] for indexes in (operator.inputs, operator.outputs))
    if operator.name == "SOFTMAX":
        return 2 * aligned(_INT16_TABLES // 2) if source.dtype == "int16" else 0
    if operator.name not in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"):
        return 0
    kernel = graph.tensors[operator.inputs[1]]
    if operator.name == "FULLY_CONNECTED":
        return 2 * aligned(kernel.shape[0] * _MULTIPLIER_AND_SHIFT // 2) if _by_channel(kernel, source) else 0
    if source.dtype == "float32" and made.dtype == "float32" and family != "reference":
        return 0  # TFLM's own kernels take the arrays for float as well
    channels = kernel.shape[-1] if operator.name == "DEPTHWISE_CONV_2D" else kernel.shape[0]
    return 2 * aligned(channels * _MULTIPLIER_AND_SHIFT // 2)


def _by_channel(kernel: Tensor, source: Tensor) -> bool:
    return source.dtype != "float32" and len(kernel.scales) > 1
