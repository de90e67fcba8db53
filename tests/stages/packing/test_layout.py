"""A laid out file holds the same model, in the bytes that the format allows, the same ones each time."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from device_profiles.tflite import read_tflite
from stages.packing.layout import lay_out, table_shape
from stages.packing.objects import Data, Fields, Links, Objects, read_model, record
from tests.stages.packing.samples import Engines, network, outputs_of, samples_for_network

EMPTY = Fields((), ())


def test_a_tables_widest_fields_come_first_and_its_vtable_ends_with_its_last_slot() -> None:
    shape = table_shape(Fields(((0, b"\1"), (3, b"\1\0")), ((1, 9),)))
    assert shape.places == {1: 4, 3: 8, 0: 10}  # offset of 4 bytes, then 2, then 1
    assert shape.vtable == struct.pack("<6H", 12, 11, 10, 4, 0, 8)


def test_a_field_of_eight_bytes_stands_behind_one_of_four_that_fills_the_gap() -> None:
    shape = table_shape(Fields(((0, bytes(8)), (1, bytes(4))), ()))
    assert (shape.places, shape.size, shape.alignment) == ({1: 4, 0: 8}, 16, 8)


def test_the_smallest_file_is_the_header_a_table_and_its_vtable() -> None:
    file = lay_out(Objects((EMPTY,), 1))
    assert file == struct.pack("<I4siHH", 8, b"TFL3", -4, 4, 4)


def test_what_is_pointed_to_lies_behind_what_points() -> None:
    objects = Objects((Data(2, b"ab\0", 4), Fields((), ((0, 1),)), Links((2, 2)), Fields((), ((0, 3), (1, 1)))), 4)
    file = lay_out(objects)
    root = struct.unpack_from("<I", file)[0]
    entries = root + 4 + struct.unpack_from("<I", file, root + 4)[0]
    count, first, second = struct.unpack_from("<3I", file, entries)
    assert count == 2
    assert entries + 4 + first == entries + 8 + second  # one table, pointed to twice
    text = root + 8 + struct.unpack_from("<I", file, root + 8)[0]
    assert file[text:text + 7] == b"\2\0\0\0ab\0"
    assert min(first, second, text - root) > 0


def test_small_objects_lie_in_the_gaps_between_aligned_ones() -> None:
    big = [Data(17, bytes([number]) * 17, 16) for number in range(1, 4)]
    small = [Data(1, bytes([number, 0, 0, 0]), 4) for number in range(9, 12)]
    table = Fields((), tuple((slot, slot + 1) for slot in range(6)))
    file = lay_out(Objects((*big, *small, table), 7))
    # header 8, table 28: 36; a count and 17 bytes from 44, 76 and 108 on, so that the bytes start at 48, 80 and 112;
    # eight bytes each in 36-44, 68-76 and 100-108; a vtable of 16 bytes from 130 on
    assert sorted(file.index(each.content) for each in big) == [48, 80, 112]
    assert sorted(file.index(struct.pack("<I", 1) + each.content) for each in small) == [36, 68, 100]
    assert len(file) == 146


def test_what_nothing_points_to_is_not_written() -> None:
    assert lay_out(Objects((Data(3, b"abc", 4), EMPTY), 2)) == lay_out(Objects((EMPTY,), 1))


def test_the_same_model_gives_the_same_bytes_and_stays_the_same_when_written_again() -> None:
    once = lay_out(record(read_model(network())))
    assert lay_out(record(read_model(network()))) == once
    assert lay_out(record(read_model(once))) == once


@pytest.mark.parametrize("number_format", ["float32", "float16", "dynamic", "int8", "int16x8"])
def test_a_converted_model_reads_the_same_and_is_smaller(tiny_tflites: dict[str, bytes], number_format: str) -> None:
    content = tiny_tflites[number_format]
    written = lay_out(record(read_model(content)))
    before, after = read_tflite(content), read_tflite(written)
    assert (after.graphs, after.signatures, after.metadata, after.description) == (
        before.graphs, before.signatures, before.metadata, before.description)
    assert len(written) < len(content)


def test_every_buffer_starts_at_a_multiple_of_sixteen(tiny_tflites: dict[str, bytes]) -> None:
    written = lay_out(record(read_model(tiny_tflites["int8"])))
    for tensor in read_tflite(written).graphs[0].tensors:
        if len(tensor.data) > 16:
            assert written.index(bytes(tensor.data)) % 16 == 0


@pytest.mark.parametrize("engine", ["litert", "tflite-runtime", "tflm"])
def test_every_runtime_reads_the_file(engine: str, engines: Engines) -> None:
    content = network()
    samples = samples_for_network()
    one = outputs_of(engines(engine), content, samples)
    other = outputs_of(engines(engine), lay_out(record(read_model(content))), samples)
    assert np.array_equal(one[0], other[0])
