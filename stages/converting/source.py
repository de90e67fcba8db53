"""The tflite model of an artifact as it was before it lost names: what later stages start from and speak of."""

from __future__ import annotations

from pathlib import Path

from device_profiles.errors import StoreError
from device_profiles.tflite import read_tflite
from stages.artifacts import TFLITE_FILE

UNFOLDED_FILE = "unfolded.tflite"
"""The float32 tflite model before preprocessing was folded in: the other formats start from it."""
NAMED_FILE = "named.tflite"
"""The tflite model before it was shrunk: its inner tensors have names. It computes the same, to the last bit."""


def has_tflite(folder: Path) -> bool:
    """Whether an artifact holds a tflite model."""
    return any((folder / name).exists() for name in (TFLITE_FILE, UNFOLDED_FILE))


def read_float(folder: Path) -> bytes:
    """The float32 tflite model of an artifact, before any preprocessing was folded in.

    Raises:
        StoreError: the file cannot be read.
        TfliteError: it is not a whole tflite model.
    """
    content = _first(folder, UNFOLDED_FILE, NAMED_FILE)
    read_tflite(content)
    return content


def read_named(folder: Path) -> bytes:
    """The tflite model of an artifact with the names of its inner tensors, where it ever had any.

    Raises:
        StoreError: the file cannot be read.
    """
    return _first(folder, NAMED_FILE)


def _first(folder: Path, *names: str) -> bytes:
    """The first of these files that is there, else `model.tflite`."""
    path = next((folder / name for name in names if (folder / name).exists()), folder / TFLITE_FILE)
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "an artifact with its tflite model",
                         "run again: what is missing is built anew") from error
