"""The float32 tflite model of an artifact, which the post-training formats start from."""

from __future__ import annotations

from pathlib import Path

from device_profiles.errors import StoreError
from device_profiles.tflite import read_tflite
from stages.artifacts import TFLITE_FILE

UNFOLDED_FILE = "unfolded.tflite"
"""The float32 tflite model before preprocessing was folded in: the other formats start from it."""


def has_tflite(folder: Path) -> bool:
    """Whether an artifact holds a tflite model."""
    return any((folder / name).exists() for name in (TFLITE_FILE, UNFOLDED_FILE))


def read_float(folder: Path) -> bytes:
    """The float32 tflite model of an artifact, before any preprocessing was folded in.

    Raises:
        StoreError: the file cannot be read.
        TfliteError: it is not a whole tflite model.
    """
    path = folder / UNFOLDED_FILE if (folder / UNFOLDED_FILE).exists() else folder / TFLITE_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "", "litesmith convert") from error
    read_tflite(content)
    return content
