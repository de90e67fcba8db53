"""Constants that a DECODE operator unpacks on a microcontroller, unpacked here step by step as TFLM's kernels do.

DECODE reads two constants for each tensor that it makes: a stream, and an ancillary tensor of a header of 16 bytes and
what the code needs beside it. The header: byte 0 the code, byte 1 the header's version, bytes 5 and 6 the code's own
parameters (`decode_state.h` and `decode_state_*.h` of tensorflow/tflite-micro).

    0 look-up table  a stream of indices; byte 5: bits of an index in the lower half, the axis of the tables in the
                     upper, 15 for one table; byte 6: entries from one table to the next
    1 Huffman        a stream of codes; byte 5: bits of the first table less one in the upper half; 1 in the lower for
                     table entries of 32 bits. An entry is a symbol, with the number of bits that belong to it, or the
                     number of bits of a further table less one, with the distance to it
    2 bit mask       a stream of one bit an element; beside it the values that are not the zero point
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device_profiles.errors import TfliteError
from device_profiles.flatbuffer import Source, Table, damaged
from device_profiles.tflite import Graph, Operator, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

DECODE = "TFLM_DECODE"
HEADER_BYTES = 16
LUT, HUFFMAN, PRUNE = 0, 1, 2
ONE_TABLE = 15

_CODES, _GRAPHS, _TENSORS, _QUANTIZATION, _SCALES, _ZERO_POINTS = 1, 2, 0, 4, 2, 3  # slots of schema version 3
_NUMPY = {"int8": "i1", "int16": "<i2", "int32": "<i4", "int64": "<i8", "float32": "<f4", "bool": "i1"}
_FAULTS = (ValueError, IndexError, TypeError, KeyError, OverflowError)


def is_decode(operator: Operator) -> bool:
    """Whether an operator unpacks constants."""
    return operator.custom_code == DECODE


def tflm_alone(data: bytes) -> str:
    """What in a tflite model only TFLM can read; "" where there is nothing, or the bytes are no whole model."""
    source = Source(data)
    try:
        root = Table(source, source.follow(0))
        if any(code.text(1) == DECODE for code in root.tables(_CODES)):
            return f"the operator {DECODE} unpacks its weights"
        tensors = [tensor for graph in root.tables(_GRAPHS) for tensor in graph.tables(_TENSORS)]
        if any(_has_one_zero_point(tensor.table(_QUANTIZATION)) for tensor in tensors):
            return "it has one zero point for many channels"
    except TfliteError:
        pass
    return ""


def _has_one_zero_point(quantization: Table | None) -> bool:
    """Whether a quantization has several scales and a single zero point."""
    return (quantization is not None and len(quantization.integers(_ZERO_POINTS, "q")) == 1
            and len(quantization.numbers(_SCALES)) > 1)


def parts(graph: Graph, operator: Operator, index: int) -> tuple[Tensor, Tensor]:
    """Stream and ancillary tensor that a DECODE operator makes tensor `index` of.

    Raises:
        TfliteError: the operator lacks them.
    """
    place = 2 * operator.outputs.index(index)
    pair = operator.inputs[place:place + 2]
    if len(pair) < 2 or min(pair) < 0:
        raise damaged(f"operator {operator.index} makes more tensors than it has streams for")
    return graph.tensors[pair[0]], graph.tensors[pair[1]]


def unpacked(graph: Graph, operator: Operator, index: int) -> Tensor:
    """The tensor that a DECODE operator makes, as the constant that it stands for.

    Raises:
        TfliteError: what it reads is in no code that TFLM knows, or damaged.
    """
    import numpy as np

    stream, ancillary = parts(graph, operator, index)
    made = graph.tensors[index]
    points = np.array(made.zero_points or (0,), np.int64)
    axis = made.axis if len(made.scales) > 1 else 0
    try:
        values = decode(bytes(stream.data), bytes(ancillary.data), made.shape, np.dtype(_NUMPY[made.dtype]), points,
                        axis)
    except _FAULTS as error:
        raise damaged(f"what operator {operator.index} unpacks cannot be read ({error})") from error
    return Tensor(made.index, made.name, made.shape, made.shape_signature, made.dtype, made.bits,
                  memoryview(values.tobytes()), made.scales, made.zero_points, made.axis)


def decode(stream: bytes, ancillary: bytes, shape: tuple[int, ...], dtype: Any, zero_points: Array,
           axis: int) -> Array:
    """The tensor that a stream and its ancillary tensor stand for.

    Args:
        stream: content of the encoded tensor.
        ancillary: header and tables.
        shape: of the tensor.
        dtype: of the tensor, a numpy one.
        zero_points: (1,), or one for each slice of `axis`; what a bit mask's zeros stand for.
        axis: see `zero_points`.

    Raises:
        TfliteError: the header names no code that TFLM decodes.
    """
    import numpy as np

    if len(ancillary) < HEADER_BYTES or ancillary[1] != 1 or ancillary[0] not in (LUT, HUFFMAN, PRUNE):
        raise TfliteError(f"constants are in an unknown code: {ancillary[:2].hex(' ') or 'nothing'}",
                          "codes 0 to 2 of version 1")
    elements = int(np.prod(shape, dtype=np.int64))
    if ancillary[0] == PRUNE:
        return _masked(stream, ancillary, shape, dtype, spread(zero_points, axis, len(shape)))
    if ancillary[0] == LUT:
        return _looked_up(stream, ancillary, shape, dtype)
    return np.array(_walked(stream, ancillary, elements), np.int64).astype(dtype).reshape(shape)


def spread(points: Array, axis: int, rank: int) -> Array:
    """One value, or one for each slice of an axis, in a shape that stretches along the other axes of a tensor."""
    if len(points) == 1:
        return points
    return points.reshape([-1 if position == axis else 1 for position in range(rank)])


def _masked(stream: bytes, ancillary: bytes, shape: tuple[int, ...], dtype: Any, points: Array) -> Array:
    """Values where the mask has a 1, zero points elsewhere."""
    import numpy as np

    made = np.array(np.broadcast_to(points, shape), dtype).ravel()
    mask = _flags(stream, made.size).astype(bool)
    values = np.frombuffer(ancillary[HEADER_BYTES:], dtype.newbyteorder("<"))
    if len(values) != int(mask.sum()):
        raise ValueError(f"its mask has {int(mask.sum()):,} ones, and there are {len(values):,} values")
    made[mask] = values
    return made.reshape(shape)


def _looked_up(stream: bytes, ancillary: bytes, shape: tuple[int, ...], dtype: Any) -> Array:
    """Table entries, from one table for all or one for each slice of an axis."""
    import numpy as np

    axis, bits, stride = ancillary[5] >> 4, ancillary[5] & 7, ancillary[6]
    elements = int(np.prod(shape, dtype=np.int64))
    flags = _flags(stream, elements * bits).reshape(elements, bits)
    indices = flags @ (1 << np.arange(bits - 1, -1, -1))  # (elements,)
    if axis != ONE_TABLE:
        slices = np.broadcast_to(spread(np.arange(shape[axis]), axis, len(shape)), shape).ravel()
        indices = indices + stride * slices
    made: Array = np.frombuffer(ancillary[HEADER_BYTES:], dtype.newbyteorder("<"))[indices].reshape(shape)
    return made


def _walked(stream: bytes, ancillary: bytes, elements: int) -> list[int]:
    """Symbols, by walking the tables; bits that a symbol does not need are put back."""
    import numpy as np

    wide, first = ancillary[5] & 1, (ancillary[5] >> 4) + 1
    rows = np.frombuffer(ancillary[HEADER_BYTES:], "<u4" if wide else "<u2").tolist()
    symbol_bit, shift = (1 << 31, 27) if wide else (1 << 15, 11)
    symbols, position = [], 0
    for _ in range(elements):
        bits, row = first, 0
        while True:
            row += _bits(stream, position, bits)
            position += bits
            count = (rows[row] & ~symbol_bit) >> shift
            if rows[row] & symbol_bit:
                break
            row, bits = row + (rows[row] & ((1 << shift) - 1)), count + 1
        symbols.append(rows[row] & (0xFFFF if wide else 0xFF))
        position -= bits - count
    return symbols


def _flags(stream: bytes, count: int) -> Array:
    """The first `count` bits, each as a number."""
    import numpy as np

    if count > 8 * len(stream):
        raise ValueError("the stream ends too early")
    return np.unpackbits(np.frombuffer(stream, np.uint8), count=count)


def _bits(stream: bytes, position: int, count: int) -> int:
    """So many bits, the first of a byte being its most significant one."""
    stop = position + count
    if stop > 8 * len(stream):
        raise ValueError("the stream ends too early")
    window = int.from_bytes(stream[position // 8:-(-stop // 8)], "big")
    return window >> (-stop % 8) & ((1 << count) - 1)
