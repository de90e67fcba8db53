"""The wire format, on messages put together by hand."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.models.untrusted.protobuf import Message, WireError
from tests.stages.models.hostile import field


def message(data: bytes) -> Message:
    return Message(memoryview(data))


def test_fields_are_found_among_those_of_other_types() -> None:
    # field 1 varint 300 (two bytes), field 2 text "ab", field 3 eight bytes, field 4 four bytes, field 2 text "c"
    data = b"\x08\xac\x02" + b"\x12\x02ab" + b"\x19" + bytes(8) + b"\x25" + bytes(4) + b"\x12\x01c"
    assert list(message(data).texts(2)) == ["ab", "c"]
    assert message(data).text(2) == "c"
    assert message(data).text(9) == ""


def test_messages_nest() -> None:
    outer = message(field(5, field(1, "deep") + field(1, "er")))
    assert [list(inner.texts(1)) for inner in outer.messages(5)] == [["deep", "er"]]


def test_a_long_field_number_and_length_are_read() -> None:
    assert message(field(1000, "x" * 300)).text(1000) == "x" * 300


def test_text_that_is_no_utf8_is_shown_as_such() -> None:
    assert message(field(1, b"a\xff")).text(1) == "a\\xff"


@pytest.mark.parametrize(("data", "words"), [
    (b"\x12\x05ab", "a field of 5 bytes reaches past the end"), (b"\x0b", "wire type 3 at byte 1"),
    (b"\x08", "ends in the middle"), (b"\xff" * 11, "more than 10 bytes"), (b"\x25\x00", "4 bytes reaches past"),
])
def test_bytes_that_are_no_message_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        message(data).text(1)


@given(st.binary(max_size=60))
def test_any_bytes_end_in_fields_or_in_a_wire_error(data: bytes) -> None:
    texts: list[str] = []
    with contextlib.suppress(WireError):
        texts.extend(message(data).texts(1))
    assert sum(map(len, texts)) <= 4 * len(data)  # a byte that is no UTF-8 is shown as four characters
