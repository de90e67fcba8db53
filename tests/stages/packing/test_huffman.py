"""Huffman codes: the tables bit by bit, codes as short as theory has them, and streams that end inside themselves."""

from __future__ import annotations

import math
import struct
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from device_profiles.decoding import decode
from stages.packing.huffman import Code, Leaf, Tables, code_for, code_lengths, farthest_fits

FOUR = {0: 4, 1: 2, 2: 1, -1: 1}


def counts_of(values: np.ndarray) -> dict[int, int]:
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def back(code: Code, values: np.ndarray) -> np.ndarray:
    encoded = code.encode(values)
    return decode(encoded.stream, encoded.ancillary, values.shape, values.dtype, np.zeros(1, np.int64), 0)


def test_codes_are_canonical_the_shorter_first_and_then_the_smaller_symbol() -> None:
    assert code_for(FOUR).leaves == (Leaf(0, 0b0, 1), Leaf(1, 0b10, 2), Leaf(-1, 0b110, 3), Leaf(2, 0b111, 3))


def test_the_tables_of_four_symbols_are_a_table_of_two_bits_and_one_of_one() -> None:
    encoded = code_for(FOUR).encode(np.array([0, 1, -1, 2], np.int8))
    assert encoded.ancillary[:16] == bytes([1, 1, 0, 0, 1, 0x10]) + bytes(10)
    assert struct.unpack("<6H", encoded.ancillary[16:]) == (
        0x8800, 0x8800,  # 0?: symbol 0, one bit
        0x9001,          # 10: symbol 1, two bits
        0x0001,          # 11: a table of one bit, one entry on
        0x88FF, 0x8802)  # 110, 111: symbols -1 and 2, one bit more
    assert encoded.stream == bytes([0b01011011, 0b10000000, 0, 0])


def test_symbols_of_sixteen_bits_have_entries_of_four_bytes() -> None:
    code = code_for({300: 1, -2: 1}, wide=True)
    assert code.ancillary()[5] == 0x01
    assert struct.unpack("<2I", code.ancillary()[16:]) == (0x8800FFFE, 0x8800012C)
    values = np.array([300, -2, -2], np.int16)
    assert np.array_equal(back(code, values), values)


def test_the_only_symbol_takes_one_bit() -> None:
    values = np.full(33, 7, np.int8)
    code = code_for(counts_of(values))
    assert code_lengths({7: 33}) == {7: 1}
    assert len(code.encode(values).stream) == 8
    assert np.array_equal(back(code, values), values)


def test_a_stream_is_long_enough_for_the_last_look_at_a_table() -> None:
    code = code_for(FOUR)                  # the first table takes two bits, symbol 0 needs one of them
    assert code.tables.looked_at == {0: 2, 1: 2, -1: 3, 2: 3}
    assert len(code.encode(np.zeros(31, np.int8)).stream) == 4
    assert len(code.encode(np.zeros(32, np.int8)).stream) == 8  # bits 31 and 32 are looked at for the last one


def test_a_balanced_code_has_one_table_and_a_chain_many_narrow_ones() -> None:
    assert (code_for(dict.fromkeys(range(16), 1)).tables.entries,
            code_for(dict.fromkeys(range(16), 1)).tables.first_bits) == (16, 4)
    chain = code_for({symbol: 2**symbol for symbol in range(12)})
    assert max(leaf.length for leaf in chain.leaves) == 11
    assert chain.tables.entries == 2 * 11  # an entry for each of two ways at each of 11 nodes; one table takes 2,048


def test_no_choice_of_widths_takes_fewer_entries() -> None:
    leaves = code_for({symbol: (symbol % 4 + 1) ** 3 for symbol in range(9)}).leaves

    def least(part: tuple[Leaf, ...], depth: int) -> int:
        deepest = max(leaf.length for leaf in part) - depth
        found = []
        for bits in range(1, deepest + 1):
            groups = {leaf.code >> (leaf.length - depth - bits) for leaf in part if leaf.length > depth + bits}
            below = [tuple(leaf for leaf in part if leaf.length > depth + bits
                           and leaf.code >> (leaf.length - depth - bits) == group) for group in groups]
            found.append(2**bits + sum(least(each, depth + bits) for each in below))
        return min(found)

    assert Tables(leaves).entries == least(leaves, 0)


@pytest.mark.parametrize("counts", [FOUR, dict.fromkeys(range(5), 1), {n: n * n + 1 for n in range(40)}])
def test_code_lengths_are_complete_and_within_a_bit_of_the_entropy(counts: dict[int, int]) -> None:
    lengths, total = code_lengths(counts), sum(counts.values())
    assert sum(2.0**-bits for bits in lengths.values()) == 1  # Kraft
    entropy = -sum(n / total * math.log2(n / total) for n in counts.values())
    mean = sum(counts[symbol] * bits for symbol, bits in lengths.items()) / total
    assert entropy <= mean < entropy + 1
    assert code_for(counts).stream_bits(counts) == mean * total


def test_no_other_lengths_of_five_symbols_are_shorter() -> None:
    counts = {0: 7, 1: 5, 2: 2, 3: 2, 4: 1}
    ours = code_for(counts).stream_bits(counts)
    complete = (lengths for lengths in product(range(1, 5), repeat=5) if sum(2.0**-bits for bits in lengths) <= 1)
    assert ours == min(sum(n * bits for n, bits in zip(counts.values(), lengths, strict=True)) for lengths in complete)


def test_a_table_of_all_bytes_has_distances_that_fit_its_entries() -> None:
    code = code_for({symbol: 3 ** (symbol % 20) for symbol in range(-128, 128)})
    assert farthest_fits(code)
    assert code.ancillary_bytes == len(code.ancillary())


@settings(max_examples=80, deadline=None)
@given(arrays(np.int8, st.integers(1, 300), elements=st.integers(-128, 127)), st.integers(1, 60))
def test_bytes_decode_to_themselves(values: np.ndarray, divisor: int) -> None:
    values = (values // divisor * (values > -60)).astype(np.int8)
    code = code_for(counts_of(values))
    assert np.array_equal(back(code, values), values)
    assert len(code.ancillary()) == code.ancillary_bytes
    assert code.stream_bits(counts_of(values)) <= 8 * len(code.encode(values).stream)


@settings(max_examples=30, deadline=None)
@given(arrays(np.int16, st.integers(1, 200), elements=st.integers(-2000, 2000)))
def test_words_decode_to_themselves(values: np.ndarray) -> None:
    assert np.array_equal(back(code_for(counts_of(values), wide=True), values), values)
