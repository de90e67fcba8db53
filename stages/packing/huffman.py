"""Huffman codes as TFLM's DECODE operator reads them: canonical codes, and tables that are walked bit by bit.

The decoder (`decode_state_huffman.cc` of tensorflow/tflite-micro) takes as many bits as the first table has, and looks
there. An entry is either a symbol, with the number of those bits that belong to it (the others are put back), or the
way to a further table: the number of its bits less one, and the distance to it in entries.

    16-bit entry   bit 15: a symbol; bits 14-11: the number of bits; bits 10-0: symbol or distance
    32-bit entry   bit 31, bits 30-27, bits 26-0 likewise; tensors of 16-bit integers need it
    header         byte 5: bits of the first table less one in the upper half; 1 in the lower for 32-bit entries

A wide table is fast and a chain of narrow ones small. Here the widths are those that take the fewest entries in all,
found by trying every width at every node of the code's tree. The stream is read in words of 32 bits whose first bit is
the most significant one of the first byte.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.decoding import HEADER_BYTES, HUFFMAN
from stages.packing.codes import Encoded, header

Array = NDArray[Any]
Counts = Mapping[int, int]
"""How often each symbol is there."""

_WIDEST = 15  # bits of a table: the number of bits of a symbol stands in four bits
_SYMBOL_16, _SYMBOL_32 = 0x8000, 0x8000_0000
_BITS_16, _BITS_32 = 11, 27
_FARTHEST_16 = (1 << _BITS_16) - 1
_WORD_BITS = 32


@dataclass(frozen=True)
class Leaf:
    """A symbol with its code: the lowest `length` bits of `code`."""

    symbol: int
    code: int
    length: int


@dataclass(frozen=True)
class Code:
    """A prefix code.

    Attributes:
        leaves: in the order of their codes, read as fractions of two.
        wide: entries of 32 bits, as symbols of 16 bits need them.
    """

    leaves: tuple[Leaf, ...]
    wide: bool = False

    @property
    def entry_bytes(self) -> int:
        """Bytes of a table's entry."""
        return 4 if self.wide else 2

    @cached_property
    def tables(self) -> Tables:
        """The tables that decode it."""
        return Tables(self.leaves)

    @property
    def ancillary_bytes(self) -> int:
        """Bytes of the ancillary tensor."""
        return HEADER_BYTES + self.entry_bytes * self.tables.entries

    def stream_bits(self, counts: Counts) -> int:
        """Bits of a stream with so many of each symbol."""
        lengths = {leaf.symbol: leaf.length for leaf in self.leaves}
        return sum(count * lengths[symbol] for symbol, count in counts.items())

    def ancillary(self) -> bytes:
        """The ancillary tensor: header and tables."""
        entries = self.tables.packed(self.wide)
        form = f"<{len(entries)}{'I' if self.wide else 'H'}"
        return header(HUFFMAN, (self.tables.first_bits - 1) << 4 | int(self.wide)) + struct.pack(form, *entries)

    def encode(self, values: Array) -> Encoded:
        """A tensor in this code, whose symbols must be among the code's."""
        symbols = np.array([leaf.symbol for leaf in self.leaves], np.int64)
        order = np.argsort(symbols)
        which = order[np.searchsorted(symbols, values.ravel().astype(np.int64), sorter=order)]  # (elements,)
        lengths = np.array([leaf.length for leaf in self.leaves], np.int64)[which]
        codes = np.array([leaf.code for leaf in self.leaves], np.uint64)[which]
        starts = np.cumsum(lengths) - lengths
        reach = np.array([self.tables.looked_at[leaf.symbol] for leaf in self.leaves], np.int64)[which]
        words = max(1, -(-int((starts + reach).max(initial=0)) // _WORD_BITS))
        bits = np.zeros(words * _WORD_BITS, np.uint8)
        for position in range(int(lengths.max(initial=0))):
            has = lengths > position
            shift = (lengths[has] - 1 - position).astype(np.uint64)
            bits[starts[has] + position] = (codes[has] >> shift) & np.uint64(1)
        return Encoded("huffman", np.packbits(bits).tobytes(), self.ancillary())


def code_for(counts: Counts, wide: bool = False) -> Code:
    """The code that makes a stream with these counts shortest.

    Args:
        counts: at least one symbol, each at least once.
        wide: for symbols of 16 bits.
    """
    lengths = code_lengths(counts)
    ordered = sorted(lengths, key=lambda symbol: (lengths[symbol], symbol))
    leaves, code, before = [], 0, lengths[ordered[0]]
    for position, symbol in enumerate(ordered):
        code = (code + bool(position)) << (lengths[symbol] - before)
        before = lengths[symbol]
        leaves.append(Leaf(symbol, code, before))
    return Code(tuple(leaves), wide)


def code_lengths(counts: Counts) -> dict[int, int]:
    """Bits of each symbol's code (Huffman 1952, Proc. IRE 40:1098-1101); the only symbol there is takes one.

    Of equally rare parts the ones that are shallower are joined first: codes become no longer than they must.
    """
    if len(counts) == 1:
        return dict.fromkeys(counts, 1)
    heap: list[tuple[int, int, int, tuple[int, ...]]] = [(n, 0, symbol, (symbol,)) for symbol, n in counts.items()]
    heapq.heapify(heap)
    lengths = dict.fromkeys(counts, 0)
    while len(heap) > 1:
        one, other = heapq.heappop(heap), heapq.heappop(heap)
        members = (*one[3], *other[3])
        for symbol in members:
            lengths[symbol] += 1
        heapq.heappush(heap, (one[0] + other[0], 1 + max(one[1], other[1]), min(one[2], other[2]), members))
    return lengths


class Tables:
    """The decoding tables of a code, in the fewest entries.

    Attributes:
        entries: of all tables.
        first_bits: bits of the first table.
        looked_at: by symbol, how many bits the decoder takes to find it, those included that it puts back.
    """

    def __init__(self, leaves: tuple[Leaf, ...]) -> None:
        self._leaves = leaves
        self._best: dict[tuple[int, int, int], tuple[int, int]] = {}
        self.entries, self.first_bits = self._fewest(0, len(leaves), 0)
        self.looked_at: dict[int, int] = {}
        self._rows: list[tuple[bool, int, int]] = []
        self._build()

    def packed(self, wide: bool) -> list[int]:
        """The entries as the decoder reads them."""
        symbol_bit, shift, mask = (_SYMBOL_32, _BITS_32, 0xFFFF) if wide else (_SYMBOL_16, _BITS_16, 0xFF)
        return [(symbol_bit | bits << shift | value & mask) if found else bits << shift | value
                for found, bits, value in self._rows]

    def _fewest(self, first: int, stop: int, depth: int) -> tuple[int, int]:
        """(entries, bits of its table) of the tree with the leaves first to stop - 1, whose root is `depth` bits deep.

        The width w of a table costs 2^w entries and the tables of what is deeper than it.
        """
        known = self._best.get((first, stop, depth))
        if known is None:
            deepest = max(leaf.length for leaf in self._leaves[first:stop]) - depth
            tried = []
            for bits in range(1, min(deepest, _WIDEST) + 1):
                below = self._below(first, stop, depth + bits)
                tried.append((2**bits + sum(self._fewest(*part, depth + bits)[0] for part in below), -bits))
            entries, bits = min(tried)  # of equally many entries the widest first table, which is the fastest
            known = self._best[first, stop, depth] = (entries, -bits)
        return known

    def _below(self, first: int, stop: int, depth: int) -> list[tuple[int, int]]:
        """The parts of a range of leaves that lie deeper than `depth`: those with the same first `depth` bits."""
        parts: list[tuple[int, int]] = []
        start = first
        while start < stop:
            leaf = self._leaves[start]
            end = start + 1
            if leaf.length > depth:
                prefix = leaf.code >> (leaf.length - depth)
                while end < stop and self._leaves[end].code >> (self._leaves[end].length - depth) == prefix:
                    end += 1
                parts.append((start, end))
            start = end
        return parts

    def _build(self) -> None:
        """Fill the rows: the first table, then the ones below it, in the order in which they are met."""
        todo = [(0, len(self._leaves), 0, 0, -1)]
        while todo:
            first, stop, depth, taken, pointer = todo.pop(0)
            bits = self._fewest(first, stop, depth)[1]
            if pointer >= 0:
                self._rows[pointer] = (False, bits - 1, len(self._rows) - pointer)
            todo += self._add_table(first, stop, depth, bits, taken)

    def _add_table(self, first: int, stop: int, depth: int, bits: int,
                   taken: int) -> list[tuple[int, int, int, int, int]]:
        """One table; what is deeper, with the entry that has to lead there."""
        base = len(self._rows)
        last = self._leaves[stop - 1]
        self._rows += [(True, min(bits, last.length - depth), last.symbol)] * 2**bits
        for leaf in self._leaves[first:stop]:
            length = leaf.length - depth
            if length <= bits:
                start = (leaf.code & (2**length - 1)) << (bits - length)
                rows = slice(base + start, base + start + 2 ** (bits - length))
                self._rows[rows] = [(True, length, leaf.symbol)] * 2 ** (bits - length)
                self.looked_at[leaf.symbol] = taken + bits
        deeper = []
        for begin, end in self._below(first, stop, depth + bits):
            leaf = self._leaves[begin]
            index = leaf.code >> (leaf.length - depth - bits) & (2**bits - 1)
            deeper.append((begin, end, depth + bits, taken + bits, base + index))
        return deeper


def farthest_fits(code: Code) -> bool:
    """Whether every distance between tables fits into an entry; for symbols of 8 bits it always does."""
    return code.wide or code.tables.entries <= _FARTHEST_16
