"""Arrays in one `.npz` file: `x` and `y`, or `x_train`, `y_train` and the like.

| array | shape | type |
|---|---|---|
| `x` | (samples, height, width, channels) or (samples, height, width) | any number |
| `y` | (samples,) | integer labels from 0 |
| `class_names` | (classes,), optional | text |

With `x_train` instead of `x`, the file splits itself: `x_test` and `x_validation` are taken as they are, and what is
missing is drawn from `x_train` by seed. Pickled objects are refused: they can carry code.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import DataError, near_miss
from device_profiles.records import Record
from stages.datasets.records import SPLITS, TEST, TRAIN, VALIDATION, RawData

LIBRARIES = ()
_KNOWN = ("x", "y", "class_names", *(f"{letter}_{split}" for split in SPLITS for letter in "xy"))


class Settings(Record):
    """Which file."""

    kind: Literal["npz"] = "npz"
    path: Path


def load(settings: Settings) -> RawData:
    """All samples of the file, train first, then validation, then test.

    Raises:
        DataError: no such file, no npz file, pickled objects, missing or misshapen arrays.
    """
    path = settings.path
    arrays = _read_arrays(path)
    splits = [split for split in SPLITS if f"x_{split}" in arrays]
    if "x" in arrays:
        if splits:
            raise DataError(f"{path} has both x and x_{splits[0]}", "either x and y, or x_train, y_train and so on")
        parts = {"": _read_pair(path, arrays, "")}
    elif TRAIN in splits:
        parts = {split: _read_pair(path, arrays, f"_{split}") for split in splits}
    else:
        raise DataError(f"{path} has the arrays {', '.join(sorted(arrays)) or 'none'}",
                        "x and y, or x_train and y_train with x_validation, x_test where they exist")
    return _join(path, parts, arrays.get("class_names"))


def source_digest(settings: Settings) -> str:
    """SHA-256 of the file.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with settings.path.open("rb") as file:
            return f"{settings.kind}:sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise DataError(f"the data file {settings.path} cannot be read: {error.strerror}", "",
                        "check data.source.path in the run file") from error


def _read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Every array of the file by name."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path} holds a single array", "an .npz file: numpy.savez(file, x=x, y=y)")
            unknown = [name for name in archive.files if name not in _KNOWN]
            if unknown:
                hint = near_miss(unknown[0], _KNOWN)
                raise DataError(f"{path} has an array '{unknown[0]}'" + (f"; {hint}" if hint else ""),
                                ", ".join(_KNOWN))
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise DataError(f"the data file {path} cannot be read: {error.strerror or error}", "",
                        "check data.source.path in the run file") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as npz: {error}", "arrays of numbers, without pickled objects",
                        "write it again with numpy.savez(file, x=x, y=y)") from error


def _read_pair(path: Path, arrays: dict[str, NDArray[np.generic]],
               suffix: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """`x` and `y` of one split, checked against each other."""
    x, y = arrays[f"x{suffix}"], arrays.get(f"y{suffix}")
    if y is None:
        raise DataError(f"{path} has x{suffix} and no y{suffix}", f"one label for each sample in y{suffix}")
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.dtype.kind not in "buif":
        raise DataError(f"{path}: x{suffix} has shape {x.shape} and type {x.dtype}",
                        "numbers of shape (samples, height, width, channels) or (samples, height, width)")
    if y.shape != x.shape[:1] or y.dtype.kind not in "bui":
        raise DataError(f"{path}: y{suffix} has shape {y.shape} and type {y.dtype}",
                        f"integer labels of shape ({len(x)},), one for each sample")
    return x.astype(np.float32), y.astype(np.int64)


def _join(path: Path, parts: dict[str, tuple[NDArray[np.float32], NDArray[np.int64]]],
          names: NDArray[np.generic] | None) -> RawData:
    """One array of all splits, and where each given split lies in it."""
    shapes = {x.shape[1:] for x, _ in parts.values()}
    if len(shapes) > 1:
        raise DataError(f"{path}: the splits have samples of the shapes {sorted(shapes)}", "one shape for all splits")
    x = np.concatenate([x for x, _ in parts.values()])  # (samples, height, width, channels)
    y = np.concatenate([y for _, y in parts.values()])
    given, start = {}, 0
    for split, (part, _) in parts.items():
        if split in (VALIDATION, TEST):
            given[split] = np.arange(start, start + len(part))
        start += len(part)
    classes = int(y.max(initial=-1)) + 1
    class_names = tuple(str(i) for i in range(classes)) if names is None else tuple(str(name) for name in names)
    return RawData(x=x, y=y, class_names=class_names, given_splits=given)
