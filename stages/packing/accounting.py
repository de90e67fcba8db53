"""Where the bytes of a tflite file go: every byte is counted once, as what it is.

The file is walked beside its own objects, which say what kind of field stands in which slot. What two objects share is
counted for the one that comes first. Slots are those of schema version 3 (schema.fbs).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from device_profiles.decoding import DECODE
from device_profiles.flatbuffer import Source
from stages.packing.constants import operator_name
from stages.packing.objects import MODEL_BUFFERS, Data, Fields, Links, Objects, read_model, record

KINDS = ("weights", "biases", "other constants", "coded weights", "decoding tables", "scales", "zero points", "ranges",
         "names", "shapes", "tensors", "operators", "options", "buffers", "signatures", "metadata", "header", "vtables",
         "padding")
"""What a byte may be; "ranges" are `min` and `max`, "tensors", "operators" and "buffers" the tables and their lists."""

_BY_PATH: dict[tuple[int, ...], str] = {
    (): "header", (1,): "operators", (2,): "header", (2, 0): "tensors", (2, 0, 0): "shapes", (2, 0, 7): "shapes",
    (2, 0, 3): "names", (2, 0, 4): "tensors", (2, 0, 4, 0): "ranges", (2, 0, 4, 1): "ranges", (2, 0, 4, 2): "scales",
    (2, 0, 4, 3): "zero points", (2, 3): "operators", (2, 3, 4): "options", (2, 3, 5): "options", (2, 4): "names",
    (3,): "metadata", (4,): "buffers", (5,): "metadata", (6,): "metadata", (7,): "signatures",
}
_BUFFER_DATA = (MODEL_BUFFERS, 0)
_KERNELS: dict[str, tuple[int, ...]] = {"SVDF": (1, 2), "LSTM": tuple(range(1, 12)),
                                        "UNIDIRECTIONAL_SEQUENCE_LSTM": tuple(range(1, 12))}
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_3D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL",
             *_KERNELS)
_BIAS: dict[str, tuple[int, ...]] = {"TRANSPOSE_CONV": (3,), "SVDF": (3,), "LSTM": tuple(range(12, 16)),
                                     "UNIDIRECTIONAL_SEQUENCE_LSTM": tuple(range(12, 16))}


def account(content: bytes) -> dict[str, int]:
    """Bytes of a tflite file by what they are; they add up to the file.

    Args:
        content: a whole tflite model.

    Returns:
        By name in `KINDS`, in that order; what is not there is left out.

    Raises:
        TfliteError: the bytes are no whole tflite model.
    """
    model = read_model(content)
    walk = _Walk(content, record(model, share=False), dict(_roles(model)))
    return walk.count()


class _Walk:
    """Goes through a file and its objects side by side, and marks each byte."""

    def __init__(self, content: bytes, objects: Objects, roles: dict[int, str]) -> None:
        self._source, self._objects, self._roles = Source(content), objects, roles
        self._marks = bytearray([len(KINDS) - 1]) * len(content)
        self._padding = len(KINDS) - 1

    def count(self) -> dict[str, int]:
        """Bytes by kind."""
        self._mark(0, 8, "header")
        self._visit(self._source.follow(0), self._objects.root, (), 0)
        found = Counter(self._marks)
        return {kind: found[number] for number, kind in enumerate(KINDS) if found[number]}

    def _visit(self, place: int, handle: int, path: tuple[int, ...], index: int) -> None:
        """One object at its place; `index` is its position in a list."""
        found, kind = self._objects[handle], self._kind(path, index)
        if isinstance(found, Data):
            self._mark(place, 4 + len(found.content), kind)
        elif isinstance(found, Links):
            self._mark(place, 4 + 4 * len(found.targets), kind)
            for position, target in enumerate(found.targets):
                self._visit(self._source.follow(place + 4 + 4 * position), target, path, position)
        else:
            self._visit_table(place, found, path, index)

    def _visit_table(self, place: int, table: Fields, path: tuple[int, ...], index: int) -> None:
        """A table, its vtable and what it points to."""
        vtable = place - self._source.read_int("i", place)
        size = self._source.read_int("H", vtable)
        self._mark(vtable, size, "vtables")
        self._mark(place, 4, self._kind(path, index))
        offsets = {slot: self._source.read_int("H", vtable + 4 + 2 * slot) for slot in range((size - 4) // 2)}
        widths = {slot: len(value) for slot, value in table.scalars} | dict(table.defaults)
        for slot, width in widths.items():
            if offsets.get(slot):
                self._mark(place + offsets[slot], width, self._kind(path, index))
        for slot, target in table.links:
            self._mark(place + offsets[slot], 4, self._kind(path, index))
            self._visit(self._source.follow(place + offsets[slot]), target, (*path, slot), index)

    def _kind(self, path: tuple[int, ...], index: int) -> str:
        """What stands at a path of slots."""
        if path == _BUFFER_DATA:
            return self._roles.get(index, "other constants")
        return next(_BY_PATH[path[:length]] for length in range(len(path), -1, -1) if path[:length] in _BY_PATH)

    def _mark(self, place: int, size: int, kind: str) -> None:
        """Mark what is not marked yet."""
        number = KINDS.index(kind)
        part = self._marks[place:place + size]
        self._marks[place:place + size] = part.replace(bytes([self._padding]), bytes([number]))


def _roles(model: Any) -> Iterator[tuple[int, str]]:
    """(buffer, what it holds): the first role of a buffer wins over later ones."""
    found: dict[int, str] = {each.buffer: "metadata" for each in model.metadata or ()}
    for graph in model.subgraphs:
        for operator in graph.operators or ():
            name = operator_name(model, operator)
            for slot, index in enumerate(operator.inputs if operator.inputs is not None else ()):
                if index >= 0:
                    found.setdefault(graph.tensors[index].buffer, _role(name, slot))
    yield from found.items()


def _role(name: str, slot: int) -> str:
    """What an operator reads in a slot."""
    if name == DECODE:
        return "decoding tables" if slot % 2 else "coded weights"
    if name not in _WEIGHTED or slot == 0:
        return "other constants"
    if slot in _KERNELS.get(name, (1,)):
        return "weights"
    return "biases" if slot in _BIAS.get(name, (2,)) else "other constants"
