"""What packing made of a tflite model: bytes by what they are, a code for each constant, and what decoding costs."""

from __future__ import annotations

from typing import Literal

from device_profiles.records import Figure, Record


class PackedTensor(Record):
    """A constant that could be coded.

    Attributes:
        label: of the operator that reads it, and its name: "3:CONV_2D conv1/weights".
        coding: "prune" (bit mask and values), "lut" (look-up table), "huffman", or "" where it was left as it is.
        elements: how many.
        distinct_values: how many different ones.
        zeros: share of zeros, 0 to 1.
        entropy_bits: bits an element that no code of single elements goes below, over this constant alone.
        bytes_before: as stored before.
        bytes_after: of its stream, and of its tables where it has them for itself.
        shares_tables: whether its tables serve other constants as well; they are then in none's `bytes_after`.
    """

    label: str
    coding: Literal["", "prune", "lut", "huffman"]
    elements: int
    distinct_values: int
    zeros: float
    entropy_bits: float
    bytes_before: int
    bytes_after: int
    shares_tables: bool = False


class Packing(Record):
    """What became of a tflite model that was packed.

    Attributes:
        unpacked_bytes: of the file as converted.
        shrunk_bytes: of the file without what TFLM does not need, before any weight was coded.
        bytes_before, bytes_after: of the file as converted and as packed, by what they are ("weights", "names", ...);
            they add up to the file.
        tensors: every constant that could be coded, in the order of the graph.
        left_alone: constants that could not, with the reason.
        proven_samples: inputs on which TFLM gave the same outputs, bit for bit, before and after.
        proven_on: what they were.
        arena, unpacked_arena: least tensor arena in TFLM, bytes.
        decode: milliseconds that an inference takes longer, on the host.
        latency_ratio: packed over unpacked, on the host.
    """

    unpacked_bytes: int
    shrunk_bytes: int
    bytes_before: dict[str, int]
    bytes_after: dict[str, int]
    tensors: tuple[PackedTensor, ...]
    left_alone: dict[str, str]
    proven_samples: int
    proven_on: str
    arena: Figure
    unpacked_arena: Figure
    decode: Figure
    latency_ratio: Figure

    @property
    def arena_growth_bytes(self) -> int:
        """How much more RAM the arena takes."""
        return round(self.arena.value - self.unpacked_arena.value)
