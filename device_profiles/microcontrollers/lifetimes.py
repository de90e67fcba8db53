"""Which buffers TFLM's arena holds for a graph, and from which operator to which.

Written from tensorflow/lite/micro/micro_allocation_info.cc (tensorflow/tflite-micro, commit 01010b3e81f4): step 0 is
before the first operator, operator i is step i + 1. A tensor that the file holds is not in the arena; a variable is
allocated for good. A view (RESHAPE) is a buffer of its own: TFLM copies.
"""

from __future__ import annotations

from collections.abc import Callable

from device_profiles.microcontrollers.planner import Buffer
from device_profiles.tflite import Graph, Operator

_NEVER = -1


def activation_buffers(graph: Graph) -> list[Buffer]:
    """Activations in the order of the tensors."""
    first = dict.fromkeys(range(len(graph.tensors)), _NEVER)
    last = dict(first)
    for index in (*graph.inputs, *graph.outputs):
        first[index] = last[index] = 0
    for step, operator in enumerate(graph.operators, start=1):
        for index in operator.outputs:
            first[index] = last[index] = step
        for index in operator.inputs:
            if index >= 0:
                last[index] = step
    for index in graph.outputs:
        last[index] = len(graph.operators)
    return [Buffer(tensor.size_bytes, first[tensor.index], last[tensor.index]) for tensor in graph.tensors
            if not tensor.is_constant and not tensor.variable and tensor.size_bytes]


def scratch_buffers(graph: Graph, scratch: Callable[[Graph, Operator], tuple[int, ...]]) -> list[Buffer]:
    """Scratch buffers in the order of the operators; each lives as long as its operator runs."""
    return [Buffer(size, step, step) for step, operator in enumerate(graph.operators, start=1)
            for size in scratch(graph, operator)]
