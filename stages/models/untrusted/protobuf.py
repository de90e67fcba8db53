"""A bounds-checked reader of protobuf's wire format: whatever the bytes are, a read ends in fields or in `WireError`.

Of https://protobuf.dev/programming-guides/encoding: a message is a run of (tag, value); the tag is a varint of
`field number << 3 | wire type`; type 0 is a varint, 1 eight bytes, 2 a length and that many bytes, 5 four bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

_FIXED = {1: 8, 5: 4}
_LONGEST_VARINT = 10


class WireError(ValueError):
    """Bytes that are no message."""


class Message:
    """One message; fields are asked for by number, nothing is copied."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def messages(self, number: int) -> Iterator[Message]:
        """A repeated message field."""
        for value in self._values(number):
            yield Message(value)

    def texts(self, number: int) -> Iterator[str]:
        """A repeated string field; what is not UTF-8 is shown as such."""
        for value in self._values(number):
            yield bytes(value).decode("utf-8", "backslashreplace")

    def text(self, number: int) -> str:
        """A string field; the last one counts, as in protobuf itself."""
        return ["", *self.texts(number)][-1]

    def _values(self, number: int) -> Iterator[memoryview]:
        """The bytes of each field of this number and of wire type 2."""
        position, end = 0, len(self._data)
        while position < end:
            tag, position = self._varint(position)
            field, kind = tag >> 3, tag & 7
            if kind == 0:
                _, position = self._varint(position)
                continue
            if kind in _FIXED:
                length = _FIXED[kind]
            elif kind == 2:
                length, position = self._varint(position)
            else:
                raise WireError(f"wire type {kind} at byte {position:,}")
            if position + length > end:
                raise WireError(f"a field of {length:,} bytes reaches past the end")
            if kind == 2 and field == number:
                yield self._data[position:position + length]
            position += length

    def _varint(self, position: int) -> tuple[int, int]:
        """(value, position after it)."""
        value = 0
        for place in range(_LONGEST_VARINT):
            if position + place >= len(self._data):
                raise WireError("it ends in the middle of a number")
            byte = self._data[position + place]
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return value, position + place + 1
        raise WireError(f"a number of more than {_LONGEST_VARINT} bytes")
