"""A bounds-checked reader of FlatBuffers: whatever the bytes are, a read ends in a value or in a `TfliteError`.

The library's own Python reader trusts its input: an offset before the start wraps round to the end, and a vector may
claim four thousand million entries. The layout is the one of https://flatbuffers.dev/internals: a table is a signed
offset back to its vtable, followed by its fields; the vtable is its own size, the table's size, and one offset a field.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from device_profiles.errors import TfliteError

_SIZES = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "q": 8, "Q": 8, "f": 4, "?": 1}


class Source:
    """The bytes of a file, and a budget of objects that keeps a damaged one from being read for ever."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        # Entries of a vector may overlap in a damaged file; an honest file has no more objects than bytes.
        self._objects_left = len(data)

    def read(self, form: str, position: int) -> int | float:
        """One little-endian scalar."""
        if not 0 <= position <= len(self.data) - _SIZES[form]:
            raise damaged(f"an offset points outside the file (byte {position:,} of {len(self.data):,})")
        value: int | float = struct.unpack_from("<" + form, self.data, position)[0]
        return value

    def read_int(self, form: str, position: int) -> int:
        """One little-endian integer."""
        return int(self.read(form, position))

    def follow(self, position: int) -> int:
        """Where the unsigned offset at `position` points."""
        return position + self.read_int("I", position)

    def vector(self, position: int, item_bytes: int) -> tuple[int, int]:
        """(position of the first entry, number of entries) of the vector that the offset at `position` points to."""
        start = self.follow(position)
        count = self.read_int("I", start)
        if start + 4 + count * item_bytes > len(self.data):
            raise damaged(f"a list of {count:,} entries reaches past the end of the file")
        return start + 4, count

    def spend(self, count: int) -> None:
        """Take objects off the budget."""
        self._objects_left -= count
        if self._objects_left < 0:
            raise damaged("its lists overlap")


class Table:
    """One table of a FlatBuffer; fields are asked for by slot, the order in which the schema declares them."""

    def __init__(self, source: Source, position: int) -> None:
        source.spend(1)
        self.source, self._position = source, position
        self._vtable = position - source.read_int("i", position)
        self._slots = (source.read_int("H", self._vtable) - 4) // 2

    def _field(self, slot: int) -> int | None:
        """Position of a field, or None where it has its default."""
        if slot >= self._slots:
            return None
        offset = self.source.read_int("H", self._vtable + 4 + 2 * slot)
        return self._position + offset if offset else None

    def integer(self, slot: int, form: str, default: int = 0) -> int:
        """An integer field."""
        position = self._field(slot)
        return default if position is None else self.source.read_int(form, position)

    def number(self, slot: int, default: float = 0.0) -> float:
        """A float32 field."""
        position = self._field(slot)
        return default if position is None else float(self.source.read("f", position))

    def table(self, slot: int) -> Table | None:
        """A table field."""
        position = self._field(slot)
        return None if position is None else Table(self.source, self.source.follow(position))

    def tables(self, slot: int) -> list[Table]:
        """A field that is a vector of tables; empty where it is left out."""
        return [Table(self.source, self.source.follow(place)) for place in self._places(slot, 4)]

    def has(self, slot: int) -> bool:
        """Whether the field is there."""
        return self._field(slot) is not None

    def integers(self, slot: int, form: str) -> tuple[int, ...]:
        """A field that is a vector of integers."""
        return tuple(int(value) for value in self._values(slot, form))

    def numbers(self, slot: int) -> tuple[float, ...]:
        """A field that is a vector of float32."""
        return tuple(float(value) for value in self._values(slot, "f"))

    def raw(self, slot: int) -> memoryview:
        """A field that is a vector of bytes, not copied; empty where it is left out."""
        position = self._field(slot)
        if position is None:
            return memoryview(b"")
        start, count = self.source.vector(position, 1)
        return memoryview(self.source.data)[start : start + count]

    def text(self, slot: int) -> str:
        """A string field; what is not UTF-8 is shown as such."""
        return bytes(self.raw(slot)).decode("utf-8", "backslashreplace")

    def _places(self, slot: int, item_bytes: int) -> Iterator[int]:
        """Position of each entry of a vector."""
        position = self._field(slot)
        if position is not None:
            start, count = self.source.vector(position, item_bytes)
            self.source.spend(count)
            yield from range(start, start + count * item_bytes, item_bytes)

    def _values(self, slot: int, form: str) -> tuple[int | float, ...]:
        """The entries of a vector of scalars."""
        position = self._field(slot)
        if position is None:
            return ()
        start, count = self.source.vector(position, _SIZES[form])
        self.source.spend(count)
        return struct.unpack_from(f"<{count}{form}", self.source.data, start)


def damaged(what: str) -> TfliteError:
    """The error for bytes that are no whole tflite model."""
    return TfliteError(f"the tflite model is damaged: {what}", "a whole file as the converter wrote it",
                       "make or copy the file again")
