"""Which operator of a variant does what which operator of its float model does.

Names of outputs survive litert-quantizer, and mostly the converter; quantization-aware training gives new ones. What
has no namesake is paired by order: the longest common runs of operators of one kind with outputs of one shape
(`difflib`, Ratcliff and Obershelp). QUANTIZE and DEQUANTIZE change no value and are looked through.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from device_profiles.tflite import Graph, Operator, Tensor
from stages.records.explaining import Matching

BOUNDARIES = ("QUANTIZE", "DEQUANTIZE")


@dataclass(frozen=True)
class Pair:
    """An operator of the variant and the float model's.

    Attributes:
        made: of the variant.
        original: of the float model.
        matching: how they were found.
    """

    made: Operator
    original: Operator
    matching: Matching


@dataclass(frozen=True)
class Pairing:
    """Two tflite models, operator by operator.

    Attributes:
        variant, reference: main graphs.
        pairs: in the variant's order.
    """

    variant: Graph
    reference: Graph
    pairs: tuple[Pair, ...]

    def unmatched(self) -> tuple[str, ...]:
        """Labels of the variant's operators that have no counterpart."""
        known = {pair.made.index for pair in self.pairs}
        return tuple(label(self.variant, each) for each in computing(self.variant) if each.index not in known)


def label(graph: Graph, operator: Operator) -> str:
    """As in "3:CONV_2D relu1": number, kind, and the output's name cut to what people need."""
    return f"{operator.index}:{operator.name} {short_name(graph.tensors[operator.outputs[0]].name)}".strip()


def short_name(name: str) -> str:
    """The layer's part of a tensor's name: "relu1" of "net/relu1/Relu;net/norm1/..."."""
    first = re.sub(r":\d+$", "", name.partition(";")[0]).removeprefix("StatefulPartitionedCall") or "output"
    parts = [part for part in first.split("/") if part]
    return parts[-2] if len(parts) > 1 else first


def producers(graph: Graph) -> dict[int, Operator]:
    """By tensor number, the operator that makes it."""
    return {index: operator for operator in graph.operators for index in operator.outputs}


def constant(graph: Graph, made_by: dict[int, Operator], index: int) -> Tensor | None:
    """The constant that a tensor is, or that a DEQUANTIZE turns into it (float16 weights)."""
    if index < 0:
        return None
    tensor, producer = graph.tensors[index], made_by.get(index)
    if tensor.is_constant:
        return tensor
    if producer is None or producer.name != "DEQUANTIZE":
        return None
    source = graph.tensors[producer.inputs[0]]
    return source if source.is_constant else None


def activations(graph: Graph, operator: Operator) -> list[int]:
    """Positions of the inputs that depend on the samples."""
    made_by = producers(graph)
    return [position for position, index in enumerate(operator.inputs)
            if index >= 0 and constant(graph, made_by, index) is None]


def computing(graph: Graph) -> list[Operator]:
    """Operators that work on the samples, without QUANTIZE and DEQUANTIZE."""
    return [each for each in graph.operators
            if each.name not in BOUNDARIES and each.outputs and activations(graph, each)]


def pair_up(variant: Graph, reference: Graph) -> Pairing:
    """Pair the operators of two main graphs.

    Args:
        variant: of the quantized model.
        reference: of the float model.
    """
    made, originals = computing(variant), computing(reference)
    chosen = {one.index: Pair(one, other, "name") for one, other in _by_name(variant, made, reference, originals)}
    taken = {pair.original.index for pair in chosen.values()}
    for one, other in _by_order(variant, made, reference, originals):
        if one.index not in chosen and other.index not in taken:
            chosen[one.index] = Pair(one, other, "order")
            taken.add(other.index)
    return Pairing(variant, reference, tuple(chosen[index] for index in sorted(chosen)))


def _by_name(variant: Graph, made: Iterable[Operator], reference: Graph,
             originals: Iterable[Operator]) -> Iterator[tuple[Operator, Operator]]:
    """Operators of one kind whose outputs have one name and one shape."""
    known = {reference.tensors[each.outputs[0]].name: each for each in originals}
    for one in made:
        other = known.get(variant.tensors[one.outputs[0]].name)
        if other is not None and _signature(variant, one) == _signature(reference, other):
            yield one, other


def _by_order(variant: Graph, made: list[Operator], reference: Graph,
              originals: list[Operator]) -> Iterator[tuple[Operator, Operator]]:
    """Operators in common runs."""
    first = [_signature(variant, each) for each in made]
    second = [_signature(reference, each) for each in originals]
    for block in difflib.SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks():
        for step in range(block.size):
            yield made[block.a + step], originals[block.b + step]


def _signature(graph: Graph, operator: Operator) -> tuple[str, tuple[int, ...]]:
    """What two operators must share to be paired: name, and shape of the output."""
    return operator.name, graph.tensors[operator.outputs[0]].shape
