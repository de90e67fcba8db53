"""Small pictures of the samples that the data report lists, as PNG in data addresses; bounded in number and size."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StoreError

THUMBNAILS_FILE = "thumbnails.json"
LARGEST_SIDE = 96
"""Pixels of the longer side; larger samples are averaged down. 96 x 96 x 3 bytes are at most 28 KB as PNG."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPES = {1: 0, 3: 2}  # channels: the PNG format's colour type (https://www.w3.org/TR/png/#6Colour-values)

Array = NDArray[Any]


def is_picture(shape: tuple[int, ...]) -> bool:
    """Whether samples of this shape can be shown: a plane of some pixels in gray or RGB; spectrograms are planes too.

    Args:
        shape: of one sample: (height, width) or (height, width, channels).
    """
    return len(shape) in (2, 3) and min(shape[:2]) >= 4 and max(shape[:2]) <= 64 * min(shape[:2]) and (
        len(shape) == 2 or shape[2] in (1, 3))


def thumbnail(sample: Array, low: float, high: float) -> str:
    """One sample as `data:image/png;base64,...`.

    Args:
        sample: (height, width[, 1 or 3]) as stored.
        low: the value shown as black.
        high: the value shown as white.
    """
    plane = sample.astype(np.float32).reshape(*sample.shape[:2], -1)  # (height, width, channels)
    step = -(-max(plane.shape[:2]) // LARGEST_SIDE)
    if step > 1:
        plane = _shrunk(plane, step)
    shades = np.clip((plane - low) / max(high - low, 1e-12), 0, 1)
    pixels = np.rint(255 * shades).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode("ascii")


def _shrunk(plane: Array, step: int) -> Array:
    """Means over blocks of step x step pixels; what is left over at the edges is cut."""
    height, width = (max(size // step, 1) for size in plane.shape[:2])
    rows, columns = min(step, plane.shape[0]), min(step, plane.shape[1])
    blocks = plane[:height * rows, :width * columns].reshape(height, rows, width, columns, -1)
    return np.asarray(blocks.mean(axis=(1, 3)))  # (height, width, channels)


def png(pixels: Array) -> bytes:
    """A PNG file (https://www.w3.org/TR/png/) without filters: IHDR, one IDAT, IEND.

    Args:
        pixels: (height, width, 1 or 3) uint8.
    """
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOR_TYPES[channels], 0, 0, 0)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)  # 0: no filter
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
                                 for kind, data in parts)


def write_thumbnails(folder: Path, pictures: Mapping[str, str]) -> None:
    """Write `thumbnails.json`: data addresses by "split/index"."""
    (folder / THUMBNAILS_FILE).write_text(json.dumps(pictures, indent=0) + "\n", "utf-8")


def read_thumbnails(folder: Path) -> dict[str, str]:
    """The pictures of an examine artifact; none where it has none.

    Raises:
        StoreError: the file is there and damaged.
    """
    path = folder / THUMBNAILS_FILE
    if not path.exists():
        return {}
    try:
        return {str(key): str(value) for key, value in json.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise StoreError(f"{path} is damaged: {error}", "", "run again: what is damaged is built anew") from error
