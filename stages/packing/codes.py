"""The two simple codes of TFLM's DECODE operator, and the header that all of its codes have.

DECODE reads two constants for each tensor that it makes: the encoded tensor, and an ancillary one, which is a header of
16 bytes and what the code needs beside it. The header: byte 0 the code, byte 1 the header's version, byte 4 the code's
version, bytes 5 and 6 the code's own parameters, the rest zero (`decode_state.h` and `decode_state_*.h` of
tensorflow/tflite-micro).

    bit mask       one bit an element, the first in the most significant bit: 1, another value than the zero point;
                   beside it these values, in order
    look-up table  an index of 1 to 7 bits an element, the first in the most significant bits; beside it a table for the
                   tensor, or one for each slice of its first or last axis

Which table a kernel takes has changed. The published ones, and those of the wheel of 2026-10, go on by byte 6 entries
with each slice of the tensor's *quantization*, whatever the upper half of byte 5 says; the package's encoder writes
that half for kernels to come. Here both are served: tables for slices lie along the quantization's own axis, and a
table for all has 0 in byte 6, so that going on stays where it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_profiles.decoding import HEADER_BYTES, ONE_TABLE, PRUNE, spread

Array = NDArray[Any]
Coding = Literal["prune", "lut", "huffman"]

LARGEST_INDEX_BITS = 7


@dataclass(frozen=True)
class Encoded:
    """A tensor in a code.

    Attributes:
        coding: which one.
        stream: content of the encoded tensor.
        ancillary: content of the ancillary tensor: header and tables.
    """

    coding: Coding
    stream: bytes
    ancillary: bytes


def header(code: int, parameters: int = 0, stride: int = 0) -> bytes:
    """The 16 bytes that begin an ancillary tensor.

    Args:
        code: `LUT`, `HUFFMAN` or `PRUNE` of `device_profiles.decoding`.
        parameters: byte 5.
        stride: byte 6, entries of one look-up table.
    """
    return bytes([code, 1, 0, 0, 1, parameters, stride]).ljust(HEADER_BYTES, b"\0")


# -- bit mask ------------------------------------------------------------------------------------------------------


def prune(values: Array, zero_points: Array, axis: int) -> Encoded:
    """A tensor as a bit mask and the values that are not zero, `q != zero_point`.

    Args:
        values: int8, int16, int32 or int64.
        zero_points: (1,), or one for each slice of `axis`; (0,) where the tensor is not quantized.
        axis: the first or the last one.
    """
    kept = (values != spread(zero_points, axis, values.ndim)).ravel()
    return Encoded("prune", np.packbits(kept).tobytes(), header(PRUNE) + _bytes(values.ravel()[kept]))


def prune_bytes(values: Array, zero_points: Array, axis: int) -> tuple[int, int]:
    """Bytes of the stream and of the ancillary tensor that `prune` would make."""
    kept = int(np.count_nonzero(values != spread(zero_points, axis, values.ndim)))
    return -(-values.size // 8), HEADER_BYTES + kept * values.dtype.itemsize


# -- look-up table -------------------------------------------------------------------------------------------------


def look_up(values: Array, axis: int | None) -> Encoded:
    """A tensor as indices into a table of its values, made by the tflite-micro package.

    Args:
        values: of any integer type, with at most 128 different ones a table.
        axis: of the tensor's quantization: one table for each slice; None: one for all.
    """
    from tflite_micro.tensorflow.lite.micro.compression import decode, lut

    found = lut.compress_array(values, axis)
    longest = max(len(table) for table in found.lookup_tables)
    described = lut.LutAncillaryData(
        bitwidth=found.index_bitwidth, axis=ONE_TABLE if axis is None else axis,
        value_table_stride=0 if axis is None else longest,
        value_tables=lut.pack_lookup_tables(found.lookup_tables, longest))
    ancillary = decode.DecodeCommonMetadata(decode.DecodeType.LUT, user_data=described.to_user_data()).to_bytes()
    stream = lut.pack_indices(found.indices, found.index_bitwidth)
    return Encoded("lut", stream, ancillary + described.to_bytes())


def look_up_bytes(values: Array, axis: int | None) -> tuple[int, int] | None:
    """Bytes of the stream and of the ancillary tensor that `look_up` would make; None where it cannot."""
    if axis is None:
        slices, longest = 1, len(np.unique(values))
    else:
        slices = values.shape[axis]
        longest = max(len(np.unique(part)) for part in np.moveaxis(values, axis, 0))
    bits = index_bits(longest)
    if bits > LARGEST_INDEX_BITS:
        return None
    return math.ceil(values.size * bits / 8), HEADER_BYTES + slices * longest * values.dtype.itemsize


def index_bits(count: int) -> int:
    """Bits of an index into a table of `count` values."""
    return max(1, (count - 1).bit_length())


def _bytes(values: Array) -> bytes:
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
