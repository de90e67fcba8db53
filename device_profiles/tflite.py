"""The graph inside a tflite file as plain records. Whatever the bytes are, reading ends in records or a `TfliteError`.

Slot numbers are those of schema version 3 (tensorflow/compiler/mlir/lite/schema/schema.fbs); a test holds them against
the classes that the FlatBuffers compiler made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from device_profiles.errors import TfliteError
from device_profiles.flatbuffer import Source, Table, damaged
from device_profiles.operators import BUILTIN_NAMES, OPTION_FIELDS

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
_LARGEST_RANK = 16
_CUSTOM = 32

# TensorType of the schema, in its order, with bits an element; 0 where elements differ in size.
DTYPES: Mapping[int, tuple[str, int]] = MappingProxyType({
    0: ("float32", 32), 1: ("float16", 16), 2: ("int32", 32), 3: ("uint8", 8), 4: ("int64", 64), 5: ("string", 0),
    6: ("bool", 8), 7: ("int16", 16), 8: ("complex64", 64), 9: ("int8", 8), 10: ("float64", 64),
    11: ("complex128", 128), 12: ("uint64", 64), 13: ("resource", 0), 14: ("variant", 0), 15: ("uint32", 32),
    16: ("uint16", 16), 17: ("int4", 4), 18: ("bfloat16", 16), 19: ("int2", 2), 20: ("uint4", 4),
    21: ("float8_e4m3fn", 8), 22: ("float8_e5m2", 8),
})


@dataclass(frozen=True)
class Tensor:
    """One tensor.

    Attributes:
        shape: with every unknown dimension taken as 1.
        shape_signature: the same with -1 for an unknown dimension.
        dtype: "float32", "int8", ...
        bits: of one element; 0 where elements differ in size.
        data: the constant's bytes, not copied; empty for an activation.
        scales, zero_points: of `real = scale * (q - zero_point)`; one value, or one a slice of `axis`; empty where the
            tensor is not quantized.
        sparse: stored in a sparse encoding, so that `data` is shorter than the shape says.
        variable: keeps its value from one inference to the next (state).
    """

    index: int
    name: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    dtype: str
    bits: int
    data: memoryview = field(repr=False)
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    sparse: bool = False
    variable: bool = False

    @property
    def is_constant(self) -> bool:
        """Whether the file holds its value."""
        return len(self.data) > 0

    @property
    def elements(self) -> int:
        """Number of elements."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def size_bytes(self) -> int:
        """Bytes in memory, unpacked from a sparse encoding; elements below 8 bits are packed."""
        return (self.elements * self.bits + 7) // 8


@dataclass(frozen=True)
class Operator:
    """One operator: its builtin name or "CUSTOM", tensors by index (-1: left out), and the options that matter here."""

    index: int
    name: str
    custom_code: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int | float]

    @property
    def label(self) -> str:
        """The name for people: a custom operator goes by its code."""
        return f"{self.name} '{self.custom_code}'" if self.name == "CUSTOM" else self.name


@dataclass(frozen=True)
class Graph:
    """One subgraph."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """A whole tflite model; `graphs[0]` is the main one.

    Attributes:
        signatures: names of the signatures.
        metadata: names of the metadata entries.
        size_bytes: of the file.
        outside_buffers: constants that stand behind the FlatBuffer, where TFLM does not look.
    """

    graphs: tuple[Graph, ...]
    signatures: tuple[str, ...]
    metadata: tuple[str, ...]
    description: str
    size_bytes: int
    outside_buffers: int = 0


def read_tflite(data: bytes) -> Model:
    """Read a tflite model.

    Args:
        data: the file's bytes.

    Raises:
        TfliteError: the bytes are no whole tflite model.
    """
    _refuse_other_files(data)
    source = Source(data)
    root = Table(source, source.follow(0))
    version = root.integer(0, "I")
    if version != SCHEMA_VERSION:
        raise damaged(f"its schema version is {version}, not {SCHEMA_VERSION}")
    codes = [_code(table) for table in root.tables(1)]
    buffers = [_buffer(table) for table in root.tables(4)]
    graphs = tuple(_graph(table, codes, buffers) for table in root.tables(2))
    if not graphs:
        raise damaged("it has no graph")
    return Model(graphs=graphs, signatures=tuple(t.text(2) for t in root.tables(7)),
                 metadata=tuple(t.text(0) for t in root.tables(6)), description=root.text(3), size_bytes=len(data),
                 outside_buffers=sum(table.integer(1, "Q") > 1 for table in root.tables(4)))


def _refuse_other_files(data: bytes) -> None:
    """Say what a file is that is no tflite model at all."""
    next_step = "give the path of a .tflite file"
    if not data:
        raise TfliteError("the file is empty", "a tflite model", next_step)
    known = {b"\x89HDF": "an HDF5 file (a Keras .h5 model?)", b"PK\x03\x04": "a zip archive (a Keras .keras model?)",
             b"\x7fELF": "a program", b"<!DO": "an HTML page", b"<htm": "an HTML page"}
    if data[:4] in known:
        raise TfliteError(f"the file is {known[data[:4]]}, not a tflite model", "a tflite model", next_step)
    if data[4:8] != IDENTIFIER:
        raise TfliteError(f"the file is not a tflite model: bytes 4 to 8 are {bytes(data[4:8])!r}",
                          f"the identifier {IDENTIFIER!r}", next_step)


def _code(table: Table) -> tuple[str, str, int]:
    """(builtin name, custom code, version) of an operator code.

    Codes above 127 stand in the newer 32-bit field, the older 8-bit one then holds 127; old files fill the 8-bit one
    alone. The larger of the two is right in both (schema.fbs, `OperatorCode`).
    """
    code = max(table.integer(0, "b"), table.integer(3, "i"))
    name = BUILTIN_NAMES.get(code, f"UNKNOWN_{code}")
    return name, table.text(1) if code == _CUSTOM else "", table.integer(2, "i", 1)


def _buffer(table: Table) -> memoryview:
    """A buffer's bytes; in files above 2 GB they stand after the FlatBuffer, by offset and size."""
    offset, size = table.integer(1, "Q"), table.integer(2, "Q")
    if offset <= 1:
        return table.raw(0)
    if offset + size > len(table.source.data):
        raise damaged("a buffer reaches past the end of the file")
    return memoryview(table.source.data)[offset : offset + size]


def _graph(table: Table, codes: list[tuple[str, str, int]], buffers: list[memoryview]) -> Graph:
    tensors = tuple(_tensor(index, t, buffers) for index, t in enumerate(table.tables(0)))
    operators = tuple(_operator(index, t, codes, len(tensors)) for index, t in enumerate(table.tables(3)))
    inputs, outputs = table.integers(1, "i"), table.integers(2, "i")
    _check_indexes((*inputs, *outputs), len(tensors), "an input or output of the graph", lowest=0)
    return Graph(table.text(4), tensors, operators, inputs, outputs)


def _tensor(index: int, table: Table, buffers: list[memoryview]) -> Tensor:
    kind = table.integer(1, "b")
    if kind not in DTYPES:
        raise damaged(f"tensor {index} has the unknown type {kind}")
    dtype, bits = DTYPES[kind]
    shape, signature = table.integers(0, "i"), table.integers(7, "i")
    if len(shape) > _LARGEST_RANK or any(size < -1 for size in shape):
        raise damaged(f"tensor {index} has an impossible shape")
    number = table.integer(2, "I")
    if number >= len(buffers):
        raise damaged(f"tensor {index} is kept in buffer {number} of {len(buffers)}")
    scales, zero_points, axis = _quantization(table.table(4))
    tensor = Tensor(index, table.text(3), tuple(abs(size) for size in shape), signature or shape, dtype, bits,
                    buffers[number], scales, zero_points, axis, sparse=table.has(6),
                    variable=bool(table.integer(5, "?")))
    if tensor.is_constant and bits and not tensor.sparse and len(tensor.data) != tensor.size_bytes:
        raise damaged(f"tensor {index} holds {len(tensor.data):,} bytes, its shape and type need "
                      f"{tensor.size_bytes:,}")
    return tensor


def _quantization(table: Table | None) -> tuple[tuple[float, ...], tuple[int, ...], int]:
    """(scales, zero points, axis)."""
    if table is None:
        return (), (), 0
    return table.numbers(2), table.integers(3, "q"), table.integer(6, "i")


def _operator(index: int, table: Table, codes: list[tuple[str, str, int]], tensors: int) -> Operator:
    number = table.integer(0, "I")
    if number >= len(codes):
        raise damaged(f"operator {index} has code {number} of {len(codes)}")
    name, custom_code, version = codes[number]
    inputs, outputs = table.integers(1, "i"), table.integers(2, "i")
    _check_indexes((*inputs, *outputs), tensors, f"operator {index}", lowest=-1)
    options: dict[str, int | float] = {}
    body = table.table(4) if name in OPTION_FIELDS and table.integer(3, "B") else None
    if body is not None:
        for option, (slot, form, default) in OPTION_FIELDS[name].items():
            is_float = form == "f"
            options[option] = body.number(slot, default) if is_float else body.integer(slot, form, int(default))
    return Operator(index, name, custom_code, version, inputs, outputs, MappingProxyType(options))


def _check_indexes(indexes: tuple[int, ...], count: int, owner: str, lowest: int) -> None:
    """Refuse a tensor index that no tensor has."""
    for index in indexes:
        if not lowest <= index < count:
            raise damaged(f"{owner} uses tensor {index} of {count}")
