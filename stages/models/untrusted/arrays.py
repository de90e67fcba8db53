"""Findings in numpy files: arrays of objects are Python pickles, which run code when they are read."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import IO, Any

import numpy as np

from stages.models.untrusted.records import Finding, ScanLimits

_FORMAT: Any = np.lib.format  # numpy does not type these functions
_READERS = {(1, 0): _FORMAT.read_array_header_1_0, (2, 0): _FORMAT.read_array_header_2_0}


def scan_npy(file: IO[bytes], where: str) -> list[Finding]:
    """Findings in an `.npy` file; its header alone is read."""
    try:
        version = _FORMAT.read_magic(file)
        _, _, dtype = _READERS[version](file)
    except (ValueError, KeyError, EOFError, struct.error, SyntaxError) as error:
        return [Finding(what="a numpy array that is damaged or a Python pickle", where=where,
                        why=f"it cannot be looked into: {error}")]
    if dtype.hasobject:
        return [Finding(what="a numpy array of Python objects", where=where,
                        why="it is a pickle, which runs code when it is read")]
    return []


def scan_npz(content: bytes, where: str, limits: ScanLimits) -> list[Finding]:
    """Findings in an `.npz` archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > limits.unpacked_bytes or len(members) > limits.members:
                return [Finding(what=f"{len(members):,} arrays of {total:,} bytes", where=where,
                                why=f"the limits are {limits.members:,} and {limits.unpacked_bytes:,} bytes")]
            found = []
            for member in members:
                with archive.open(member) as file:
                    found += scan_npy(file, f"{where}: {member.filename!r}")
            return found
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        return [Finding(what="an .npz archive that is damaged", where=where, why=f"it cannot be looked into: {error}")]
