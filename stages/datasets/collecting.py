"""One pass over a source: samples go to a file, what is small stays in memory, what is wrong is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import DataError
from stages.datasets.records import SPLITS, Chunk, Reader
from stages.datasets.rows import Rows, RowWriter
from stages.datasets.splitting import digest_rows
from stages.records import SkippedSample

Array = NDArray[Any]
SAMPLES_FILE = "samples.npy"


@dataclass
class Collected:
    """All samples of a source.

    Attributes:
        path: the `.npy` file of all samples, as the source has them.
        y: labels as the source has them; None where it has none.
        names, groups, given: one for each sample, or empty.
        slices: by column, a value for each sample.
        digests: 16 bytes for each sample, equal for equal samples.
        class_names: in label order.
        skipped: samples that could not be read.
        not_finite: rows of samples with a NaN or an infinity.
        constant: how many samples have one value in all their elements.
        lowest, highest: over all elements.
    """

    path: Path
    y: Array | None = None
    names: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    slices: dict[str, list[str]] = field(default_factory=dict)
    digests: list[bytes] = field(default_factory=list)
    class_names: tuple[str, ...] = ()
    skipped: tuple[SkippedSample, ...] = ()
    not_finite: list[int] = field(default_factory=list)
    constant: int = 0
    lowest: float = np.inf
    highest: float = -np.inf

    def __len__(self) -> int:
        return len(self.digests)

    def rows(self) -> Rows:
        """The samples."""
        return Rows(self.path)


def collect(reader: Reader, folder: Path, progress: Callable[[int, int], None]) -> Collected:
    """Read a source to its end.

    Args:
        reader: of the source.
        folder: where the samples' file goes.
        progress: told (samples read, samples expected or 0).

    Raises:
        DataError: the source cannot be read, or has no samples, or chunks that do not fit each other.
    """
    found = Collected(folder / SAMPLES_FILE)
    labels: list[Array] = []
    with RowWriter(found.path) as writer:
        for chunk in reader.chunks():
            _append(writer, chunk)
            _note(found, chunk)
            if chunk.y is not None:
                labels.append(chunk.y)
            progress(len(found), reader.total)
    found.skipped, found.class_names = tuple(reader.skipped), reader.class_names
    if not len(found):
        first = f"; {len(found.skipped)} could not be read, the first is {found.skipped[0].name}: " \
                f"{found.skipped[0].reason}" if found.skipped else ""
        raise DataError(f"the data source has no samples{first}", "at least 3 samples in each class")
    found.y = np.concatenate(labels) if labels else None
    _check_counts(found)
    return found


def _check_counts(found: Collected) -> None:
    """Refuse a source that says of some samples what it does not say of others."""
    given = {"labels": () if found.y is None else found.y, "names": found.names, "groups": found.groups,
             "splits": found.given, **{f"values of the slice '{name}'": each for name, each in found.slices.items()}}
    for name, values in given.items():
        if len(values) not in (0, len(found)):
            raise DataError(f"the data source gives {len(values)} {name} for {len(found)} samples", "one each, or none")


def _append(writer: RowWriter, chunk: Chunk) -> None:
    """Write a chunk's samples, and refuse what no source may hand over."""
    _check_chunk(chunk)
    try:
        writer.append(chunk.x)
    except ValueError as error:
        where = f" (near '{chunk.names[0]}')" if chunk.names else ""
        raise DataError(f"the samples differ in shape or type{where}: {error}",
                        "samples of one shape and type") from error


def _check_chunk(chunk: Chunk) -> None:
    """Refuse samples of another type, and splits that nobody knows."""
    dtypes = [chunk.x.dtype] if chunk.x.dtype.names is None else [chunk.x.dtype[name].base for name in
                                                                    chunk.x.dtype.names]
    wrong = [str(dtype) for dtype in dtypes if dtype not in (np.uint8, np.float32)]
    if wrong:
        raise DataError(f"the source gives samples of {wrong[0]}", "uint8 or float32")
    unknown = sorted(set(chunk.splits) - {"", *SPLITS})
    if unknown:
        raise DataError(f"the source names a split '{unknown[0]}'", ", ".join(SPLITS))


def _note(found: Collected, chunk: Chunk) -> None:
    """Count and keep what the split and the report need of a chunk."""
    start, x = len(found), chunk.x
    found.digests += digest_rows(x)
    found.names += chunk.names
    found.groups += chunk.groups
    found.given += chunk.splits
    for name, each in chunk.slices.items():
        found.slices.setdefault(name, []).extend(each)
    finite, constant = np.ones(len(x), bool), np.ones(len(x), bool)
    for values in fields(x):
        flat = values.reshape(len(values), -1)  # (samples, elements)
        if values.dtype.kind == "f":
            finite &= np.isfinite(flat).all(axis=1)
        constant &= (flat == flat[:, :1]).all(axis=1)
        if values.size:
            found.lowest = min(found.lowest, float(values.min()))
            found.highest = max(found.highest, float(values.max()))
    found.not_finite += (start + np.flatnonzero(~finite)).tolist()
    found.constant += int((constant & finite).sum())


def fields(x: Array) -> Iterator[Array]:
    """The array, or each field of a structured one."""
    if x.dtype.names is None:
        yield x
        return
    for name in x.dtype.names:
        yield x[name]
