"""Decode what `codes` and `huffman` made, step by step as TFLM's kernels do: the proof that needs no runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError
from stages.packing.codes import HEADER_BYTES, HUFFMAN, LUT, PRUNE, Encoded, spread

Array = NDArray[Any]

_PER_TENSOR = 15


def decode(encoded: Encoded, shape: tuple[int, ...], dtype: np.dtype[Any], zero_points: Array, axis: int) -> Array:
    """The tensor that an encoded one stands for.

    Args:
        encoded: stream and ancillary tensor.
        shape: of the tensor.
        dtype: of the tensor.
        zero_points: (1,) or one for each slice of `axis`; used by the bit mask.
        axis: see `zero_points`.

    Raises:
        StageError: the header names no code that TFLM decodes.
    """
    code, version = encoded.ancillary[0], encoded.ancillary[1]
    elements = int(np.prod(shape, dtype=np.int64))
    if version == 1 and code == PRUNE:
        return _masked(encoded, shape, dtype, zero_points, axis)
    if version == 1 and code == LUT:
        return _looked_up(encoded, shape, dtype)
    if version == 1 and code == HUFFMAN:
        return np.array(_walked(encoded, elements), np.int64).astype(dtype).reshape(shape)
    raise StageError(f"an encoded tensor has the code {code}, version {version}", "codes 0 to 2 of version 1")


def _masked(encoded: Encoded, shape: tuple[int, ...], dtype: np.dtype[Any], zero_points: Array, axis: int) -> Array:
    """Values where the mask has a 1, zero points elsewhere."""
    elements = int(np.prod(shape, dtype=np.int64))
    mask = np.unpackbits(np.frombuffer(encoded.stream, np.uint8), count=elements).astype(bool)
    made = np.array(np.broadcast_to(spread(zero_points, axis, len(shape)), shape), dtype).ravel()
    made[mask] = np.frombuffer(encoded.ancillary[HEADER_BYTES:], dtype.newbyteorder("<"))
    return made.reshape(shape)


def _looked_up(encoded: Encoded, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Table entries, one table for all or one for each slice of an axis."""
    axis, bits, stride = encoded.ancillary[5] >> 4, encoded.ancillary[5] & 7, encoded.ancillary[6]
    elements = int(np.prod(shape, dtype=np.int64))
    stream = np.unpackbits(np.frombuffer(encoded.stream, np.uint8), count=elements * bits).reshape(elements, bits)
    indices = stream @ (1 << np.arange(bits - 1, -1, -1))  # (elements,)
    tables = np.frombuffer(encoded.ancillary[HEADER_BYTES:], dtype.newbyteorder("<"))
    if axis != _PER_TENSOR:
        channel = np.broadcast_to(spread(np.arange(shape[axis]), axis, len(shape)), shape).ravel()
        indices = indices + stride * channel
    made: Array = tables[indices].reshape(shape)
    return made


def _walked(encoded: Encoded, elements: int) -> list[int]:
    """Symbols, by walking the tables; bits that a symbol does not need are put back."""
    parameters = encoded.ancillary[5]
    wide, first = parameters & 1, (parameters >> 4) + 1
    rows = np.frombuffer(encoded.ancillary[HEADER_BYTES:], "<u4" if wide else "<u2").tolist()
    symbol_bit, shift = (1 << 31, 27) if wide else (1 << 15, 11)
    symbols, position = [], 0
    for _ in range(elements):
        bits, row = first, 0
        while True:
            row += _bits(encoded.stream, position, bits)
            position += bits
            count = (rows[row] & ~symbol_bit) >> shift
            if rows[row] & symbol_bit:
                break
            row, bits = row + (rows[row] & ((1 << shift) - 1)), count + 1
        symbols.append(rows[row] & (0xFFFF if wide else 0xFF))
        position -= bits - count
    return symbols


def _bits(stream: bytes, position: int, count: int) -> int:
    """So many bits, the first of a byte being its most significant one."""
    stop = position + count
    window = int.from_bytes(stream[position // 8:-(-stop // 8)], "big")
    return window >> (-stop % 8) & ((1 << count) - 1)
