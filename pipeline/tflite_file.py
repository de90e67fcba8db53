"""A tflite model that a user names: read as work, with the file's name in whatever is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from device_profiles.errors import TfliteError, UsageError
from device_profiles.workload import Workload, read_workload


@dataclass(frozen=True)
class TfliteFile:
    """A whole tflite model.

    Attributes:
        path: the file.
        content: its bytes.
        workload: what it computes.
    """

    path: Path
    content: bytes
    workload: Workload

    @property
    def sha256(self) -> str:
        """Of the bytes."""
        return hashlib.sha256(self.content).hexdigest()


def read_file(path: Path) -> TfliteFile:
    """Read a tflite model.

    Raises:
        UsageError: there is no such file.
        TfliteError: it is empty, truncated, damaged, or no tflite model at all.
    """
    if not path.is_file():
        raise UsageError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}", "a .tflite file")
    content = path.read_bytes()
    try:
        return TfliteFile(path, content, read_workload(content))
    except TfliteError as error:
        raise TfliteError(f"{path}: {error.found}", error.allowed, error.next_step) from error
