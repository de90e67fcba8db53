"""A tflite model as the objects of its FlatBuffer: tables, vectors and strings, each different one once.

The schema's generated classes write themselves through a builder (`ModelT.Pack(builder)`). `Recorder` takes the place
of that builder and keeps what it is told instead of writing it, so no schema has to be known here. Objects that are
equal become one: two tensors with the same scales then point to the same vector, which a FlatBuffer allows and the
library's own builder does for vtables alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from device_profiles.errors import TfliteError
from device_profiles.flatbuffer import Source, Table, damaged
from device_profiles.tflite import read_tflite

BUFFER_ALIGNMENT = 16
"""`force_align: 16` of `Buffer.data` in schema.fbs: kernels read weights in vectors of up to 128 bits."""

MODEL_BUFFERS, BUFFER_DATA = 4, 0
_FORMS = {"Bool": "?", "Int8": "b", "Uint8": "B", "Int16": "h", "Uint16": "H", "Int32": "i", "Uint32": "I",
          "Int64": "q", "Uint64": "Q", "Float32": "f", "Float64": "d"}
_FAULTS = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Data:
    """A vector of scalars, or a string.

    Attributes:
        count: number of entries; of a string its bytes.
        content: little-endian bytes, without the count; of a string with the zero at its end.
        alignment: of the first entry, in bytes.
    """

    count: int
    content: bytes
    alignment: int


@dataclass(frozen=True)
class Links:
    """A vector of tables or strings, by handle."""

    targets: tuple[int, ...]


@dataclass(frozen=True)
class Fields:
    """A table.

    Attributes:
        scalars: (slot, little-endian bytes) of those that differ from their default.
        links: (slot, handle).
        defaults: (slot, bytes) of the scalars that equal their default; two tables are equal without.
    """

    scalars: tuple[tuple[int, bytes], ...]
    links: tuple[tuple[int, int], ...]
    defaults: tuple[tuple[int, int], ...] = field(default=(), compare=False)


Object = Data | Links | Fields


@dataclass(frozen=True)
class Objects:
    """What a file consists of. `items[handle - 1]` is the object of a handle; `root` is the model's table."""

    items: tuple[Object, ...]
    root: int

    def __getitem__(self, handle: int) -> Object:
        return self.items[handle - 1]


class Recorder:
    """Stands in for `flatbuffers.Builder`: keeps what the generated classes would write. Handles start at 1.

    Args:
        share: whether equal objects become one.
    """

    def __init__(self, share: bool = True) -> None:
        self._share = share
        self._items: list[Object] = []
        self._known: dict[Object, int] = {}
        self._scalars: list[tuple[int, bytes]] = []
        self._links: list[tuple[int, int]] = []
        self._defaults: list[tuple[int, int]] = []
        self._entries: list[bytes] = []
        self._targets: list[int] = []
        self._alignment = 4

    def objects(self, root: int) -> Objects:
        """What was recorded, with the buffers aligned as the schema has it."""
        found = list(self._items)
        buffers = dict(_fields(found[root - 1]).links).get(MODEL_BUFFERS)
        for handle in _links(found[buffers - 1]).targets if buffers else ():
            data = dict(_fields(found[handle - 1]).links).get(BUFFER_DATA)
            content = found[data - 1] if data else None
            if data and isinstance(content, Data):
                found[data - 1] = Data(content.count, content.content, BUFFER_ALIGNMENT)
        return Objects(tuple(found), root)

    # -- what the generated classes call, by the names that they call it -------------------------------------------

    def StartObject(self, slots: int) -> None:  # noqa: N802, ARG002
        """Begin a table."""
        self._scalars, self._links, self._defaults = [], [], []

    def EndObject(self) -> int:  # noqa: N802
        """The table's handle."""
        return self._keep(Fields(tuple(self._scalars), tuple(self._links), tuple(self._defaults)))

    def StartVector(self, item_bytes: int, count: int, alignment: int) -> int:  # noqa: N802, ARG002
        """Begin a vector, whose entries come last one first."""
        self._entries, self._targets, self._alignment = [], [], alignment
        return 0

    def EndVector(self, *_: int) -> int:  # noqa: N802
        """The vector's handle."""
        if self._targets:
            return self._keep(Links(tuple(reversed(self._targets))))
        return self._keep(Data(len(self._entries), b"".join(reversed(self._entries)), max(4, self._alignment)))

    def CreateString(self, text: bytes | str) -> int:  # noqa: N802
        """A string's handle."""
        content = text.encode() if isinstance(text, str) else bytes(text)
        return self._keep(Data(len(content), content + b"\0", 4))

    def CreateNumpyVector(self, values: Any) -> int:  # noqa: N802
        """The handle of an array's vector."""
        content = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
        return self._keep(Data(len(values), content, max(4, values.dtype.itemsize)))

    def PrependUOffsetTRelative(self, handle: int) -> None:  # noqa: N802
        """An entry of a vector of tables."""
        self._targets.append(handle)

    def PrependUOffsetTRelativeSlot(self, slot: int, handle: int, default: int) -> None:  # noqa: N802
        """A field that points to another object."""
        if handle != default:
            self._links.append((slot, handle))

    def __getattr__(self, name: str) -> Callable[..., None]:
        """`PrependInt32`, an entry of a vector, and `PrependInt32Slot`, a field of a table; so for each type."""
        form = _FORMS.get(name.removeprefix("Prepend").removesuffix("Slot"))
        if form is None or not name.startswith("Prepend"):
            raise AttributeError(name)
        return partial(self._scalar if name.endswith("Slot") else self._entry, "<" + form)

    def _entry(self, form: str, value: float) -> None:
        self._entries.append(struct.pack(form, value))

    def _scalar(self, form: str, slot: int, value: float, default: float) -> None:
        packed = struct.pack(form, value)
        if packed == struct.pack(form, default):
            self._defaults.append((slot, len(packed)))
        else:
            self._scalars.append((slot, packed))

    def _keep(self, made: Object) -> int:
        """The handle of an object; of the one that is there already, if an equal one is."""
        if self._share and made in self._known:
            return self._known[made]
        self._items.append(made)
        self._known[made] = len(self._items)
        return len(self._items)


def read_model(content: bytes) -> Any:
    """A tflite model as the schema's own objects (`ModelT`), which can be changed.

    Raises:
        TfliteError: the bytes are no whole tflite model, or one whose weights lie behind the FlatBuffer.
    """
    from ai_edge_litert import schema_py_generated as schema

    read_tflite(content)
    _refuse_outside(content)
    try:
        return schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(content), 0))
    except _FAULTS as error:
        raise damaged(f"its operators' options cannot be read ({error})") from error


def record(model: Any, share: bool = True) -> Objects:
    """The objects of a model (`ModelT`)."""
    recorder = Recorder(share)
    return recorder.objects(model.Pack(recorder))


def _refuse_outside(content: bytes) -> None:
    """Refuse weights behind the FlatBuffer, where files above 2 GB have them."""
    source = Source(content)
    if any(each.integer(1, "Q") > 1 for each in Table(source, source.follow(0)).tables(MODEL_BUFFERS)):
        raise TfliteError("the weights lie behind the FlatBuffer, as in files above 2 GB", "a file that holds them",
                          "no microcontroller takes such a model; convert it without large buffers")


def _fields(found: Object) -> Fields:
    return found if isinstance(found, Fields) else Fields((), ())


def _links(found: Object) -> Links:
    return found if isinstance(found, Links) else Links(())
