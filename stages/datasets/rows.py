"""Samples in an `.npy` file that may be larger than memory: written by appending, read row by row.

Rows are read with `pread`, not mapped: pages of a mapped file count as the process's memory as long as they are not
taken away, and a training that walks through all samples in random order touches every one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StoreError

Array = NDArray[Any]
Transform = Callable[[Array], Array]

CHUNK_BYTES = 8 << 20
_FORMAT: Any = np.lib.format  # its functions have no types before numpy 2


class RowWriter:
    """Appends rows to an `.npy` file; the file is whole once the writer is closed.

    numpy leaves room in its header for the first axis to grow, so the header can be written again in place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._dtype: np.dtype[Any] | None = None
        self._shape: tuple[int, ...] = ()
        self._rows = 0

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    @property
    def rows(self) -> int:
        """How many were written."""
        return self._rows

    def append(self, values: Array) -> None:
        """Write rows.  # values (rows, *shape), the same shape and type every time.

        Raises:
            ValueError: another shape or type than before.
        """
        values = np.ascontiguousarray(values)
        if self._file is None:
            self._file, self._dtype, self._shape = self._path.open("w+b"), values.dtype, values.shape[1:]
            self._write_header()
        if values.dtype != self._dtype or values.shape[1:] != self._shape:
            raise ValueError(f"rows of {values.dtype} {values.shape[1:]} after rows of {self._dtype} {self._shape}")
        self._file.write(values.data if values.dtype.names is None else values.tobytes())
        self._rows += len(values)

    def close(self) -> None:
        """Write the number of rows into the header."""
        if self._file is not None:
            self._file.seek(0)
            self._write_header()
            self._file.close()
            self._file = None

    def _write_header(self) -> None:
        if self._file is None or self._dtype is None:
            return
        header = {"descr": _FORMAT.dtype_to_descr(self._dtype), "fortran_order": False,
                  "shape": (self._rows, *self._shape)}
        _FORMAT.write_array_header_1_0(self._file, header)


class RowPlacer:
    """Writes the rows of an `.npy` file in whatever order they come; nothing is left of it where an error ends it."""

    def __init__(self, path: Path, rows: int) -> None:
        """Open a file.

        Args:
            path: of the `.npy` file.
            rows: how many it will have.

        Raises:
            OSError: it cannot be written.
        """
        self._path, self._rows, self._start = path, rows, 0
        self._file = path.open("w+b")

    def __enter__(self) -> RowPlacer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._file.close()
        if error is not None:
            self._path.unlink(missing_ok=True)

    def put(self, start: int, values: Array) -> None:
        """Write rows from `start` on.  # values (rows, *shape), the same shape and type every time."""
        values = np.ascontiguousarray(values)
        if not self._start:
            _FORMAT.write_array_header_1_0(self._file, {
                "descr": _FORMAT.dtype_to_descr(values.dtype), "fortran_order": False,
                "shape": (self._rows, *values.shape[1:])})
            self._start = self._file.tell()
        row_bytes = values.itemsize * math.prod(values.shape[1:])
        self._file.seek(self._start + start * row_bytes)
        self._file.write(values.data if values.dtype.names is None else values.tobytes())


class Rows:
    """The rows of an `.npy` file as an array that is read where it is indexed.

    Attributes:
        shape: (rows, *shape of one row).
        dtype: of what indexing returns.
    """

    def __init__(self, path: Path, transform: Transform | None = None) -> None:
        """Open a file.

        Args:
            path: an `.npy` file in C order.
            transform: applied to (rows, *shape) whatever is read; must keep the number of rows.

        Raises:
            StoreError: the file is missing, damaged or too short.
        """
        self._path, self._transform = path, transform
        self._stored, self.shape, self._start, self._file = _opened(path)
        self._row_shape = self.shape[1:]
        self._row_bytes = int(self._stored.itemsize * np.prod(self._row_shape, dtype=np.int64))
        sample = self[:0]
        self.dtype, self.shape = sample.dtype, (self.shape[0], *sample.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes, the rows' included."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows as indexing returns them."""
        return int(self.dtype.itemsize * np.prod(self.shape, dtype=np.int64))

    def __getitem__(self, key: int | slice | Array | list[int]) -> Array:
        """The rows as an array of their own: one row for a number, else (rows, *shape)."""
        if isinstance(key, int | np.integer):
            rows: Array = self._read(np.array([self._checked(int(key))]))
            return np.asarray(self._given(rows)[0])
        if isinstance(key, slice):
            start, stop, step = key.indices(self.shape[0])
            if step == 1:
                return self._given(self._read_range(start, max(start, stop)))
            return self._given(self._read(np.arange(start, stop, step)))
        wanted = np.asarray(key)
        if wanted.dtype == bool:
            wanted = np.flatnonzero(wanted)
        return self._given(self._read(np.where(wanted < 0, wanted + self.shape[0], wanted)))

    def load(self) -> Array:
        """All rows at once, transformed some megabytes at a time."""
        found = np.empty(self.shape, self.dtype)
        for part in slices(self.shape[0], self._row_bytes):
            found[part] = self[part]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """All rows at once, for whoever has the memory."""
        found = self.load()
        return found if dtype is None else found.astype(dtype)

    def _given(self, rows: Array) -> Array:
        return rows if self._transform is None else self._transform(rows)

    def _checked(self, row: int) -> int:
        if not -self.shape[0] <= row < self.shape[0]:
            raise IndexError(f"row {row} of {self.shape[0]}")
        return row % self.shape[0]

    def _read_range(self, start: int, stop: int) -> Array:
        found = np.empty((stop - start, *self._row_shape), self._stored)
        self._fill(found, start)
        return found

    def _read(self, rows: Array) -> Array:
        if len(rows) and (rows.min() < 0 or rows.max() >= self.shape[0]):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {self.shape[0]}")
        found = np.empty((len(rows), *self._row_shape), self._stored)
        for place, row in enumerate(rows.tolist()):
            self._fill(found[place:place + 1], row)
        return found

    def _fill(self, target: Array, row: int) -> None:
        """Read consecutive rows into an array."""
        view = memoryview(target.view(np.uint8).reshape(-1).data) if target.size else memoryview(b"")
        offset, done = self._start + row * self._row_bytes, 0
        while done < len(view):
            got = os.preadv(self._file.fileno(), [view[done:]], offset + done)
            if not got:
                raise StoreError(f"{self._path} ends before row {row + len(target)}", "",
                                 "run again: what is damaged is built anew")
            done += got


def _opened(path: Path) -> tuple[np.dtype[Any], tuple[int, ...], int, BinaryIO]:
    """(type, shape, offset of the first row, file) of an `.npy` file."""
    try:
        file = path.open("rb")
        version = _FORMAT.read_magic(file)
        read = _FORMAT.read_array_header_1_0 if version == (1, 0) else _FORMAT.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"{path} cannot be read: {error}", "an .npy file",
                         "run again: what is missing is built anew") from error
    if dtype.hasobject or (fortran and len(shape) > 1) or not shape:
        raise StoreError(f"{path} holds {dtype} in {'Fortran' if fortran else 'C'} order", "plain rows in C order")
    return dtype, tuple(int(size) for size in shape), file.tell(), file


def slices(rows: int, row_bytes: int, chunk_bytes: int = CHUNK_BYTES) -> Iterator[slice]:
    """Consecutive slices over `rows` of about `chunk_bytes` each."""
    step = max(1, chunk_bytes // max(1, row_bytes))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))
