"""tflite models made to be looked into: every activation an output, or every operator on its own.

Nothing is kept: these models live as long as a worker runs them. Making an activation an output is what the runtimes'
own `experimental_preserve_all_tensors` comes down to, but every engine can do it and the kernels stay the same.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
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
