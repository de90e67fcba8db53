"""Where TFLM's memory planner puts each buffer: the same offsets, so the same bytes.

Written from tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc (tensorflow/tflite-micro, commit
17bebc092249): the largest buffer first, each into the lowest gap between those buffers that live at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALIGNMENT_BYTES = 16
"""`MicroArenaBufferAlignment()`: every buffer of the arena begins at a multiple of it."""


@dataclass(frozen=True)
class Buffer:
    """A piece of the arena that is needed for a while.

    Attributes:
        size_bytes: before alignment.
        first, last: steps in which it is first and last used; step 0 is before the first operator.
    """

    size_bytes: int
    first: int
    last: int

    @property
    def aligned_bytes(self) -> int:
        """Bytes that it takes."""
        return aligned(self.size_bytes)


@dataclass(frozen=True)
class Plan:
    """Offsets in the order of the buffers, and the bytes of all."""

    offsets: tuple[int, ...]
    total_bytes: int


def aligned(size: int, alignment: int = ALIGNMENT_BYTES) -> int:
    """The next multiple of the alignment."""
    return -(-size // alignment) * alignment


def plan(buffers: Sequence[Buffer]) -> Plan:
    """Place all buffers.

    Of two buffers with one size the later one is placed first: TFLM fills its list from the end, and sorts it stably.
    """
    order = sorted(range(len(buffers)), key=lambda index: (-buffers[index].aligned_bytes, -index))
    placed: list[tuple[int, int]] = []  # (offset, buffer), by offset; of equal ones the earlier placed first
    offsets = [0] * len(buffers)
    for index in order:
        offset = _lowest_gap(buffers, placed, buffers[index])
        offsets[index] = offset
        placed.insert(_behind(placed, offset), (offset, index))
    total = max((offset + buffers[index].aligned_bytes for offset, index in placed), default=0)
    return Plan(tuple(offsets), total)


def _lowest_gap(buffers: Sequence[Buffer], placed: list[tuple[int, int]], wanted: Buffer) -> int:
    """The lowest offset with room for a buffer below the next one that lives at the same time."""
    end = 0
    for offset, index in placed:
        other = buffers[index]
        if other.first > wanted.last or wanted.first > other.last:
            continue
        if offset - end >= wanted.aligned_bytes:
            return end
        end = max(end, offset + other.aligned_bytes)
    return end


def _behind(placed: list[tuple[int, int]], offset: int) -> int:
    """The place behind all buffers that begin at or before an offset."""
    return next((at for at, (begin, _) in enumerate(placed) if begin > offset), len(placed))
