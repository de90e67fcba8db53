"""tflite models made to be looked into: every activation an output, every operator on its own, or the rest of a model.

Nothing is kept: these models live as long as a worker runs them. Making an activation an output is what the runtimes'
own `experimental_preserve_all_tensors` comes down to, but every engine can do it and the kernels stay the same.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from device_profiles.tflite import Graph
from stages.explaining.pairs import Pair, Pairing, activations

FLOAT32 = 0  # TensorType of the schema


@dataclass(frozen=True)
class Shadow:
    """The float model taken apart: each operator reads inputs of the graph, not what another operator gives.

    Attributes:
        content: the tflite model.
        feeds: by input of the model, the variant's tensor whose dequantized values go in.
        pairs: by output of the model, whose float operator gives it.
    """

    content: bytes
    feeds: tuple[int, ...]
    pairs: tuple[Pair, ...]


def opened(content: bytes, tensors: Sequence[int]) -> bytes:
    """The model with these tensors of its main graph as its outputs."""
    model = _read(content)
    graph = model.subgraphs[0]
    graph.outputs = list(tensors)
    model.signatureDefs = []
    return _written(model)


def taken_apart(content: bytes, pairing: Pairing) -> Shadow:
    """The float model in which every paired operator stands alone.

    What it is fed is what the paired operator of the variant reads, so that its output differs from the variant's by
    what the variant's operator itself does: rounded weights, a rounded bias, a rounded and clipped output.

    Args:
        content: the float tflite model, whose main graph is `pairing.reference`.
        pairing: of a variant with it.
    """
    model = _read(content)
    graph = model.subgraphs[0]
    feeds: dict[int, int] = {}
    kept, pairs = [], []
    for pair in pairing.pairs:
        if not _can_stand_alone(pair, pairing):
            continue
        operator = graph.operators[pair.original.index]
        inputs = list(operator.inputs)
        for position in activations(pairing.reference, pair.original):
            source = pair.made.inputs[position]
            if source not in feeds:
                feeds[source] = _add_input(graph, inputs[position], f"fed {source}")
            inputs[position] = feeds[source]
        operator.inputs = inputs
        kept.append(operator)
        pairs.append(pair)
    graph.operators = kept
    graph.inputs, graph.outputs = list(feeds.values()), [pair.original.outputs[0] for pair in pairs]
    model.signatureDefs = []
    return Shadow(_written(model), tuple(feeds), tuple(pairs))


@dataclass(frozen=True)
class Rest:
    """A float model from one tensor on.

    Attributes:
        content: the tflite model; empty where nothing depends on the tensor.
        feeds: by input of the model, the tensor that goes in: the one that it begins at, and what else is still read.
        outputs: those that depend on the tensor.
    """

    content: bytes
    feeds: tuple[int, ...]
    outputs: tuple[int, ...]


def from_tensors(content: bytes, tensors: Sequence[int], outputs: Sequence[int]) -> Iterator[Rest]:
    """The rest of a model from each of some tensors on; an output that does not depend on the tensor is left out.

    Args:
        content: the float tflite model.
        tensors: numbers of tensors of its main graph that it is to begin at, one after another.
        outputs: numbers of its outputs that are asked for.
    """
    model = _read(content)
    graph = model.subgraphs[0]
    operators, inputs = list(graph.operators), list(graph.inputs)
    model.signatureDefs = []
    for tensor in tensors:
        behind = _behind(operators, tensor)
        chosen = [index for index in outputs if index in behind]
        read, kept = set(chosen), []
        for operator in reversed(operators):
            if read & set(operator.outputs) - {tensor}:
                kept.append(operator)
                read |= set(operator.inputs)
        feeds = [*(index for index in inputs if index in read and index != tensor), tensor]
        graph.operators, graph.inputs, graph.outputs = kept[::-1], feeds, chosen
        yield Rest(_written(model) if chosen else b"", tuple(feeds), tuple(chosen))


def _behind(operators: Sequence[Any], tensor: int) -> set[int]:
    """Numbers of the tensors that depend on one."""
    found: set[int] = set()
    for operator in operators:
        if {tensor, *found} & set(operator.inputs):
            found |= set(operator.outputs)
    return found


def _can_stand_alone(pair: Pair, pairing: Pairing) -> bool:
    """Whether the operator's activations are float and the variant's stand at the same positions.

    A tensor without the batch axis cannot be fed sample by sample.
    """
    reference, variant = pairing.reference, pairing.variant
    positions = activations(reference, pair.original)
    if not set(positions) <= set(activations(variant, pair.made)):
        return False
    read = [reference.tensors[pair.original.inputs[position]] for position in positions]
    fed = [variant.tensors[pair.made.inputs[position]] for position in positions]
    return all(one.dtype == "float32" and one.shape == other.shape and one.shape[:1] == (1,)
               for one, other in zip(read, fed, strict=True)) and batched(reference, pair.original.outputs[0])


def batched(graph: Graph, tensor: int) -> bool:
    """Whether a tensor's first axis is a batch of one."""
    return graph.tensors[tensor].shape[:1] == (1,)


def _add_input(graph: Any, like: int, name: str) -> int:
    """A further tensor as one that is there; its number."""
    tensor = copy.copy(graph.tensors[like])
    tensor.name, tensor.buffer, tensor.type = name.encode(), 0, FLOAT32
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _read(content: bytes) -> Any:
    """The model as the schema's own objects."""
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for buffer in model.buffers:  # those that are no arrays are written byte by byte, in Python
        if buffer.data is not None and not isinstance(buffer.data, np.ndarray):
            buffer.data = np.frombuffer(bytes(buffer.data), np.uint8)
    return model


def _written(model: Any) -> bytes:
    """The objects as a file."""
    from ai_edge_litert.tools import flatbuffer_utils

    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
