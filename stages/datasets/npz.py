"""Arrays in one `.npz` file: `x` and `y`, or `x_train`, `y_train` and the like.

| array | shape | type |
|---|---|---|
| `x` | (samples, ...); (samples, height, width) gets an axis of one channel | uint8; other numbers become float32 |
| `x.<name>` instead of `x` | the same for each of several inputs | |
| `y` | see `array_labels` | |
| `y.<name>` instead of `y` | the same for each of several outputs | |
| `groups` | (samples,), optional: what a split may not cut in two | text or whole numbers |
| `slice`, or `slice.<name>` for each of several | (samples,), optional: whose drops are looked at apart | the same |
| `class_names` | (classes,), optional | text |

With `x_train` (`x_train.<name>`) instead of `x`, the file splits itself: `x_test` and `x_validation` are taken as they
are, and what is missing is drawn from `x_train` by seed. Pickled objects are refused: they can carry code. Samples are
read slice by slice as they stand in the file, so it may be larger than memory.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from pydantic import Field

from device_profiles.errors import DataError, with_near_miss
from device_profiles.records import Record
from stages.datasets.array_labels import as_text
from stages.datasets.arrays import ArraysReader, Part
from stages.datasets.digests import file_digest
from stages.datasets.records import SPLITS, TRAIN, LabelKind, Reader

LIBRARIES = ()
Array = NDArray[Any]
_PARTS = ("x", "y", "groups", "slice")
_PLAIN = (*_PARTS, "class_names", *(f"{what}_{split}" for split in SPLITS for what in _PARTS))
_ARRAY = re.compile(rf"(?P<what>{'|'.join(_PARTS)})(?:_(?P<split>{'|'.join(SPLITS)}))?(?:\.(?P<name>.+))?")
_FORM = "x and y, or x_train and y_train with x_validation, x_test where they exist"


class Settings(Record):
    """Which file."""

    kind: Literal["npz"] = "npz"
    path: Path = Field(description="the .npz file")
    add_channel: bool = Field(
        default=True, description="give x of shape (samples, height, width) an axis of one channel")

    def slice_columns(self) -> tuple[str, ...] | None:
        """Columns whose values are slices: those of the file's arrays, and the groups; None: it cannot be read."""
        try:
            with _faults(self.path), _open(self.path) as archive:
                parts = [_ARRAY.fullmatch(name.removesuffix(".npy")) for name in archive.namelist()]
        except (DataError, OSError):
            return None
        named = [match for match in parts if match is not None]
        columns = dict.fromkeys(match["name"] or "slice" for match in named if match["what"] == "slice")
        return (*columns, *(("group",) if any(match["what"] == "groups" for match in named) else ()))


class Member:
    """An array of the file that is read from front to back, slice by slice.

    numpy itself reads a compressed or zipped array as a whole.
    """

    def __init__(self, archive: zipfile.ZipFile, member: str) -> None:
        self._archive, self._member = archive, member
        self._file: IO[bytes] | None = None
        self._row = 0
        with self._archive.open(member) as file:
            self.shape, self._columns_first, self.dtype = _header(file, member)

    def __getitem__(self, rows: slice) -> Array:
        """The rows of a slice that begins where the last one ended; one that begins at 0 starts again.

        Raises:
            DataError: the file is damaged.
        """
        start, stop, _ = rows.indices(self.shape[0] if self.shape else 0)
        with _faults(Path(self._archive.filename or "")):
            if self._columns_first and len(self.shape) > 1:
                return self._whole()[start:stop]
            if self._file is None or start == 0:
                self._file, self._row = self._archive.open(self._member), 0
                _header(self._file, self._member)
            count = prod(self.shape[1:])
            self._skip((start - self._row) * count * self.dtype.itemsize)
            data = self._read((stop - start) * count * self.dtype.itemsize)
            self._row = stop
            if stop == self.shape[0]:
                self._read_end()
        return np.frombuffer(data, self.dtype).reshape(stop - start, *self.shape[1:])

    def whole(self) -> Array:
        """The array itself.

        Raises:
            DataError: the file is damaged.
        """
        with _faults(Path(self._archive.filename or "")):
            return self._whole()

    def _whole(self) -> Array:
        with self._archive.open(self._member) as file:
            return np.asarray(npy.read_array(file, allow_pickle=False))  # type: ignore[no-untyped-call]

    def _read(self, size: int) -> bytes:
        data = self._file.read(size) if self._file else b""
        if len(data) < size:
            raise EOFError(f"{self._member} ends early")
        return data

    def _skip(self, size: int) -> None:
        if size:
            self._read(size)

    def _read_end(self) -> None:
        """Come to the end of the member: only there does zipfile hold its checksum against the data."""
        if self._file is not None:
            self._file.read(1)
            self._file.close()
            self._file = None


def open_reader(settings: Settings, labels: LabelKind) -> Reader:
    """A reader of the file's samples: train first, then validation, then test.

    Raises:
        DataError: no such file, no npz file, pickled objects, missing or misshapen arrays.
    """
    path = settings.path
    with _faults(path):
        archive = _open(path)
        members = {name.removesuffix(".npy"): name for name in archive.namelist()}
        _check_names(path, members)
        arrays = {name: Member(archive, member) for name, member in members.items()}
    names = arrays.pop("class_names", None)
    parts = [_part(path, arrays, split) for split in _splits(path, arrays)]
    return ArraysReader(class_names=tuple(as_text(names.whole())) if names and labels != "values" else (), parts=parts,
                        labels=labels, add_channel=settings.add_channel)


def source_digest(settings: Settings, cache: Path | None = None) -> str:
    """SHA-256 of the file.

    Raises:
        DataError: the file cannot be read.
    """
    return f"{settings.kind}:sha256:{file_digest(settings.path, cache)}"


def _open(path: Path) -> zipfile.ZipFile:
    """The file as an archive."""
    with path.open("rb") as file:
        if file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
            raise DataError(f"{path} holds a single array", "an .npz file: numpy.savez(file, x=x, y=y)")
    return zipfile.ZipFile(path)


def _check_names(path: Path, members: Mapping[str, str]) -> None:
    """Refuse arrays that would be passed over."""
    for name in members:
        if name != "class_names" and not _ARRAY.fullmatch(name):
            raise DataError(with_near_miss(f"{path} has an array '{name}'", name, _PLAIN),
                            f"{', '.join(_PLAIN)}; x.<name> and y.<name> for several inputs and outputs")


def _splits(path: Path, arrays: Mapping[str, Member]) -> list[str]:
    """The splits that the file gives; [""] where it gives none."""
    splits = [split for split in SPLITS if _named(arrays, "x", split)]
    plain = bool(_named(arrays, "x", ""))
    if plain and splits:
        raise DataError(f"{path} has both x and x_{splits[0]}", "either x and y, or x_train, y_train and so on")
    if not plain and TRAIN not in splits:
        raise DataError(f"{path} has the arrays {', '.join(sorted(arrays)) or 'none'}", _FORM)
    return splits or [""]


def _named(arrays: Mapping[str, Member], what: str, split: str) -> dict[str, Member]:
    """By input or output name, the arrays of one split; a plain one is called ""."""
    matches = ((_ARRAY.fullmatch(name), array) for name, array in arrays.items())
    return {match["name"] or "": array for match, array in matches
            if match and match["what"] == what and (match["split"] or "") == split}


def _part(path: Path, arrays: Mapping[str, Member], split: str) -> Part:
    """Inputs and labels of one split."""
    tail = f"_{split}" if split else ""
    inputs, outputs = _named(arrays, "x", split), _named(arrays, "y", split)
    if not outputs:
        raise DataError(f"{path} has x{tail} and no y{tail}", f"one label for each sample in y{tail}")
    for letter, named in (("x", inputs), ("y", outputs)):
        if "" in named and len(named) > 1:
            raise DataError(f"{path} has both {letter}{tail} and {letter}{tail}.{max(named)}",
                            f"either {letter}{tail}, or {letter}{tail}.<name> for each of several")
    groups = _named(arrays, "groups", split).get("")
    slices = {name or "slice": member.whole() for name, member in _named(arrays, "slice", split).items()}
    return Part(inputs, {name: member.whole() for name, member in outputs.items()},
                None if groups is None else groups.whole(), split, f"{path}{f': {split}' if split else ''}", slices)


def _header(file: IO[bytes], member: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first (Fortran order), and type of an array."""
    version = npy.read_magic(file)  # type: ignore[no-untyped-call]
    read: Any = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, columns_first, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f"{member} holds pickled objects")
    return shape, columns_first, dtype


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """What a missing or damaged file raises, as one error."""
    try:
        yield
    except (zipfile.BadZipFile, ValueError, EOFError, zlib.error, NotImplementedError) as error:
        raise DataError(f"{path} cannot be read as npz: {error}", "arrays of numbers, without pickled objects",
                        "write it again with numpy.savez(file, x=x, y=y)") from error
    except OSError as error:
        raise DataError(f"the data file {path} cannot be read: {error.strerror or error}", "",
                        "check data.source.path in the run file") from error
