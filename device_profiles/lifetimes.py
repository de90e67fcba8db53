"""How much memory the activations of a graph need at the same time: a lower bound of any tensor arena."""

from __future__ import annotations

from collections.abc import Iterator

from device_profiles.decoding import is_decode
from device_profiles.operators import VIEWS
from device_profiles.tflite import Graph, Operator


def activation_peak(graph: Graph) -> int:
    """Bytes of the activations that live at the same time, at the worst operator.

    A tensor lives from the operator that makes it to the last one that reads it; the graph's inputs from the start, its
    outputs to the end. A view shares its input's memory. What is made of constants alone (unpacked weights) is a
    constant as well, but for what TFLM's DECODE unpacks: it does so at each inference, into the arena.
    """
    owner = {op.outputs[0]: op.inputs[0] for op in graph.operators if op.name in VIEWS and op.inputs and op.outputs}
    constants = _constants(graph)
    born: dict[int, int] = {}
    dies: dict[int, int] = {}
    for step, index in _uses(graph):
        root = _root(owner, index)
        if root not in constants:
            born.setdefault(root, step)
            dies[root] = step
    change = [0] * (len(graph.operators) + 3)
    for root, step in born.items():
        change[step] += graph.tensors[root].size_bytes
        change[dies[root] + 1] -= graph.tensors[root].size_bytes
    return _highest(change)


def _uses(graph: Graph) -> Iterator[tuple[int, int]]:
    """(step, tensor) of each use: inputs at step 0, operator i at i, outputs after the last operator."""
    yield from ((0, index) for index in graph.inputs)
    for step, operator in enumerate(graph.operators):
        yield from ((step, index) for index in (*operator.inputs, *operator.outputs) if index >= 0)
    made = {index for operator in graph.operators for index in operator.outputs} | set(graph.inputs)
    yield from ((len(graph.operators), index) for index in graph.outputs if index in made)


def _constants(graph: Graph) -> set[int]:
    """Tensors that the file holds, and those that operators make of them alone."""
    found = {tensor.index for tensor in graph.tensors if tensor.is_constant}
    for operator in graph.operators:
        if _reads_only(operator, found) and not is_decode(operator):
            found.update(operator.outputs)
    return found


def _reads_only(operator: Operator, tensors: set[int]) -> bool:
    used = [index for index in operator.inputs if index >= 0]
    return bool(used) and tensors.issuperset(used)


def _root(owner: dict[int, int], index: int) -> int:
    """The tensor whose memory a view shares; a damaged graph may hold a circle."""
    seen = set()
    while owner.get(index, -1) >= 0 and index not in seen:
        seen.add(index)
        index = owner[index]
    return index


def _highest(change: list[int]) -> int:
    """The highest running sum."""
    peak = alive = 0
    for difference in change:
        alive += difference
        peak = max(peak, alive)
    return peak
