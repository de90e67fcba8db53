"""What is kept of each examined sample: a small gray plane and a short vector, whatever the sample's size.

So memory is bounded by the number of examined samples (about 5 KB each) and not by theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLANE_SIDE, GRID_SIDE, MOST_VALUES = 32, 8, 1024
_LEAST_SIDE = 4
_ORIENTATIONS, _CELLS = 9, 4
_AT_ONCE = 1000

Array = NDArray[Any]


@dataclass(frozen=True)
class Looks:
    """Samples made small.

    Attributes:
        planes: (samples, height, width) float32, the mean over the channels, sides at most 32; None for samples that
            are no planes.
        vectors: (samples, values) float32: for planes the means over 8 x 8 blocks, each channel for itself; for others
            the values, or, above 1,024 of them, mean and deviation of 512 blocks.
    """

    planes: Array | None
    vectors: Array


def is_plane(shape: Sequence[int]) -> bool:
    """Whether a sample is a picture or a spectrogram: (height, width[, channels]), sides of at least 4."""
    return len(shape) in (2, 3) and min(shape[:2]) >= _LEAST_SIDE


def look(stored: Array) -> Looks:
    """Samples made small.  # stored (samples, *shape), any number type."""
    values = stored.astype(np.float32)
    if not is_plane(values.shape[1:]):
        return Looks(planes=None, vectors=_short(values.reshape(len(values), -1)))
    pictures = values.reshape(*values.shape[:3], -1)  # (samples, height, width, channels)
    planes = block_means(pictures.mean(axis=-1, keepdims=True), PLANE_SIDE)[..., 0]
    return Looks(planes=planes, vectors=block_means(pictures, GRID_SIDE).reshape(len(pictures), -1))


def joined(parts: Sequence[Looks]) -> Looks:
    """The looks of consecutive chunks as one."""
    planes = [part.planes for part in parts if part.planes is not None]
    return Looks(planes=np.concatenate(planes) if planes else None,
                 vectors=np.concatenate([part.vectors for part in parts]))


def block_means(pictures: Array, side: int) -> Array:
    """Means over blocks so that no side is longer than `side`; what is left over at the far edges is cut.

    Args:
        pictures: (samples, height, width, channels) float.
        side: the longest side wanted.
    """
    count, height, width, channels = pictures.shape
    down, right = (-(-size // side) for size in (height, width))
    rows, columns = height // down, width // right
    blocks = pictures[:, :rows * down, :columns * right].reshape(count, rows, down, columns, right, channels)
    return np.asarray(blocks.mean(axis=(2, 4)))  # (samples, rows, columns, channels)


def _short(values: Array) -> Array:
    """The values themselves, or mean and deviation of 512 blocks: a waveform's envelope."""
    count, length = values.shape
    if length <= MOST_VALUES:
        return values
    blocks = MOST_VALUES // 2
    parts = values[:, :length // blocks * blocks].reshape(count, blocks, -1)
    return np.concatenate([parts.mean(axis=2), parts.std(axis=2)], axis=1)


def standardized(vectors: Array) -> Array:
    """Each column to mean 0 and deviation 1; a constant column to 0."""
    centred = vectors - vectors.mean(axis=0)
    spread = centred.std(axis=0)
    return np.asarray(centred / np.where(spread > 1e-6 * (np.abs(vectors).max() + 1e-30), spread, np.inf), np.float32)


def principal(vectors: Array, most: int, whiten: bool = True) -> Array:
    """Principal components, largest first, each with deviation 1 where whitened.  # (samples, at most `most`)."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    strengths, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = np.flatnonzero(strengths > 1e-7 * max(float(strengths[-1]), 1e-30))[::-1][:most]
    found = centred @ _signed(axes[:, kept])
    return np.asarray(found / np.sqrt(strengths[kept]) if whiten else found, np.float32)


def _signed(axes: Array) -> Array:
    """Axes whose largest element is positive: the sign that a library gives is a matter of chance."""
    largest = np.abs(axes).argmax(axis=0)
    return np.asarray(axes * np.where(axes[largest, np.arange(axes.shape[1])] < 0, -1, 1))


def units(rows: Array) -> Array:
    """Each row less its mean, with length 1: a product of two is their correlation.  # (samples, values)."""
    flat = rows.reshape(len(rows), -1)
    centred = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6), np.float32)


def edges(planes: Array) -> Array:
    """Histograms of edge directions over 4 x 4 cells, weighed by contrast, scaled to the sample's own contrast.

    The idea is that of Dalal and Triggs (2005), https://doi.org/10.1109/CVPR.2005.177, without overlapping blocks.

    Args:
        planes: (samples, height, width) float32.

    Returns:
        (samples, 144) float32.
    """
    return np.concatenate([_edges(planes[start:start + _AT_ONCE]) for start in range(0, len(planes), _AT_ONCE)])


def _edges(planes: Array) -> Array:
    """Of some samples at a time: what is computed on the way takes ten times their own memory."""
    count, height, width = planes.shape
    down, right = np.zeros_like(planes), np.zeros_like(planes)
    down[:, 1:-1] = planes[:, 2:] - planes[:, :-2]
    right[:, :, 1:-1] = planes[:, :, 2:] - planes[:, :, :-2]
    turn = np.arctan2(down, right) % np.pi / np.pi  # an edge's direction, 0 to 1; a turn by half a circle is the same
    bins = np.minimum((turn * _ORIENTATIONS).astype(np.int64), _ORIENTATIONS - 1)
    cell = (np.arange(height) * _CELLS // height)[:, None] * _CELLS + np.arange(width) * _CELLS // width
    places = (np.arange(count)[:, None, None] * _CELLS**2 + cell) * _ORIENTATIONS + bins
    total = np.bincount(places.ravel(), np.hypot(down, right).ravel(), count * _CELLS**2 * _ORIENTATIONS)
    cells = total.reshape(count, _CELLS**2, _ORIENTATIONS)
    overall = np.linalg.norm(cells.reshape(count, -1), axis=1)[:, None, None] / _CELLS
    scaled = cells / (np.linalg.norm(cells, axis=2, keepdims=True) + overall + 1e-6)
    return np.asarray(scaled.reshape(count, -1), np.float32)
