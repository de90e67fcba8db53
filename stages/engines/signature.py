"""What a tflite model calls its inputs and outputs, in the order in which engines number them.

The names of a signature are those of the Keras model's inputs and output layers. The runtimes spell signatures in
three ways, and TFLM's Python interface gives no names at all, so they are read from the file itself. Slot numbers are
those of schema version 3 (`SignatureDef`, `TensorMap` in schema.fbs).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from device_profiles.errors import TfliteError
from device_profiles.flatbuffer import Source, Table
from device_profiles.tflite import read_tflite

DEFAULT_SIGNATURE = "serving_default"
_GRAPHS, _SIGNATURES = 2, 7
_TENSORS, _IS_VARIABLE = 0, 5
_DECORATION = re.compile(r"^(serving_default|inference|predict)_|:\d+$")


@dataclass(frozen=True)
class Names:
    """Inputs and outputs of the main graph by name, in the graph's order.

    Attributes:
        signature: the signature that names them; "" where the tensors' own names have to do.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    signature: str


def read_names(content: bytes) -> Names:
    """The names in a tflite model.

    Where no signature names every input and output once, it is the tensors' names without what converters put around
    them ("serving_default_image:0" is "image"); doubled ones get a number.

    Raises:
        TfliteError: the bytes are no whole tflite model.
    """
    graph = read_tflite(content).graphs[0]
    source = Source(content)
    signed = [_signature(table) for table in Table(source, source.follow(0)).tables(_SIGNATURES)
              if table.integer(4, "I") == 0]
    for name, inputs, outputs in sorted(signed, key=lambda each: each[0] != DEFAULT_SIGNATURE):
        if set(graph.inputs) <= set(inputs) and set(graph.outputs) <= set(outputs):
            return Names(tuple(inputs[index] for index in graph.inputs),
                         tuple(outputs[index] for index in graph.outputs), name)
    return Names(_plain([graph.tensors[index].name for index in graph.inputs]),
                 _plain([graph.tensors[index].name for index in graph.outputs]), "")


def keeps_state(content: bytes) -> bool:
    """Whether a tflite model has variables that live from one inference to the next, as a fused LSTM's state does.

    A Keras layer starts every sample from zeros; the tflite model goes on from the sample before unless it is reset.
    """
    source = Source(content)
    try:
        return any(tensor.integer(_IS_VARIABLE, "B") for graph in Table(source, source.follow(0)).tables(_GRAPHS)
                   for tensor in graph.tables(_TENSORS))
    except TfliteError:
        return False


def names_or_numbers(content: bytes, inputs: int, outputs: int) -> Names:
    """`read_names`; for a file that a runtime takes and our reader does not, "input 0" and so on."""
    try:
        names = read_names(content)
    except TfliteError:
        names = Names((), (), "")
    if (len(names.inputs), len(names.outputs)) == (inputs, outputs):
        return names
    return Names(tuple(f"input {i}" for i in range(inputs)), tuple(f"output {i}" for i in range(outputs)), "")


def _signature(table: Table) -> tuple[str, dict[int, str], dict[int, str]]:
    """(name, inputs, outputs) of a signature; names by tensor index."""
    inputs, outputs = ({each.integer(1, "I"): each.text(0) for each in table.tables(slot)} for slot in (0, 1))
    return table.text(2), inputs, outputs


def _plain(names: list[str]) -> tuple[str, ...]:
    """Tensor names without decoration where that leaves them apart, else numbered."""
    short = [_DECORATION.sub("", _DECORATION.sub("", name)) for name in names]
    chosen = short if len(set(short)) == len(short) and all(short) else names
    seen: dict[str, int] = {}
    plain = []
    for name in chosen:
        seen[name] = seen.get(name, -1) + 1
        plain.append(f"{name or 'tensor'}_{seen[name]}" if seen[name] or not name else name)
    return tuple(plain)
