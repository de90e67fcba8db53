"""Reads inside the file give values, reads outside it errors."""

from __future__ import annotations

import struct

import pytest

from device_profiles.errors import TfliteError
from device_profiles.flatbuffer import Source, Table


def table_bytes() -> bytes:
    """A vtable at 0 with two slots (the second left out), its table at 8: an int32 7, then a vector of two int16."""
    vtable = struct.pack("<HHHH", 8, 8, 4, 0)
    return vtable + struct.pack("<ii", 8, 7)


def test_a_field_is_read_and_a_left_out_or_unknown_one_has_its_default() -> None:
    table = Table(Source(table_bytes()), 8)
    assert (table.integer(0, "i"), table.integer(1, "i", 5), table.integer(9, "i", 6)) == (7, 5, 6)
    assert (table.has(0), table.has(1)) == (True, False)
    assert (table.table(1), table.tables(1), table.integers(1, "i"), table.text(1)) == (None, [], (), "")


@pytest.mark.parametrize("position", [-1, -4, 13, 16, 1 << 40])
def test_a_scalar_outside_the_file_is_refused(position: int) -> None:
    with pytest.raises(TfliteError, match="points outside the file"):
        Source(table_bytes()).read("i", position)


def test_a_vtable_before_the_start_is_refused_instead_of_wrapping_round() -> None:
    with pytest.raises(TfliteError, match="points outside the file"):
        Table(Source(struct.pack("<ii", 100, 0)), 0)


def test_a_vector_reads_its_entries_and_refuses_to_reach_past_the_end() -> None:
    data = struct.pack("<I", 4) + struct.pack("<Ihh", 2, -3, 4)
    assert Source(data).vector(0, 2) == (8, 2)
    with pytest.raises(TfliteError, match="a list of 2 entries reaches past the end"):
        Source(data).vector(0, 4)


def test_reading_more_objects_than_the_file_has_bytes_is_refused() -> None:
    source = Source(b"\x00" * 10)
    source.spend(10)
    with pytest.raises(TfliteError, match="its lists overlap"):
        source.spend(1)
