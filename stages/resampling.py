"""Images of a batch moved, mirrored, cut out and turned, each by its own numbers, in numpy.

Whole-pixel moves are pure copies. The rest is one bilinear resampling: with the output pixel (i, j) seen from the
centre, `u = i - (height - 1) / 2` and `v = j - (width - 1) / 2`, its value is read at

    y = (height - 1) / 2 + centre_y * height + scale * (cos(angle) * u - sin(angle) * v)
    x = (width - 1) / 2 + centre_x * width + scale * (sin(angle) * u + cos(angle) * v)

so a positive angle turns the picture clockwise on a screen, where rows count downwards.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Padding = Literal["zero", "edge", "reflect"]
"""What lies beyond the border: zeros, the border's own value, or the picture mirrored at the border pixel."""
Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
_AT_ONCE = 16  # images whose coordinates stay in the cache


def shift_and_flip(x: Floats, offsets: tuple[Indices | None, ...], flips: tuple[NDArray[np.bool_] | None, ...],
                   padding: Padding) -> Floats:
    """Mirror each image, then move it by whole pixels.

    Args:
        x: (batch, height, width, channels) float32.
        offsets: for rows and columns, (batch,) pixels downwards and to the right; None: none.
        flips: for rows and columns, (batch,) whether to mirror; None: none.
        padding: what comes in at the border.

    Returns:
        (batch, height, width, channels) float32.
    """
    batch, height, width, channels = x.shape
    rows, rows_inside = _sources(batch, height, offsets[0], flips[0], padding)
    columns, columns_inside = _sources(batch, width, offsets[1], flips[1], padding)
    index = (np.arange(batch)[:, None] * height + rows)[:, :, None] * width + columns[:, None, :]
    moved = x.reshape(-1, channels).take(index, axis=0).reshape(batch, height, width * channels)
    if rows_inside is not None:
        moved *= rows_inside[:, :, None]
    if columns_inside is not None:
        moved *= np.repeat(columns_inside, channels, axis=1)[:, None, :]
    return moved.reshape(x.shape)


def _sources(batch: int, length: int, offset: Indices | None, flip: NDArray[np.bool_] | None,
             padding: Padding) -> tuple[Indices, NDArray[np.bool_] | None]:
    """Along one axis: where each output position is read, and what lies inside (None: all).  # (batch, length)."""
    position = np.broadcast_to(np.arange(length), (batch, length))
    inside = None
    if offset is not None:
        position = position - offset[:, None]
        if padding == "zero":
            inside = (position >= 0) & (position < length)
        position = _into(position, length, padding)
    if flip is not None:
        position = np.where(flip[:, None], length - 1 - position, position)
    return position, inside


def resample_affine(x: Floats, scales: NDArray[Any], centres: NDArray[Any], angles: NDArray[Any],
                    padding: Padding) -> Floats:
    """Cut a turned rectangle out of each image and enlarge it to the full size, bilinearly.

    Args:
        x: (batch, height, width, channels) float32.
        scales: (batch,) side of the rectangle, share of the image's.
        centres: (2, batch) of the rectangle from the image's centre, down and right, share of height and width.
        angles: (batch,) radians.
        padding: what is read beyond the border. A cut rectangle that is not turned never reads more than half a pixel
            beyond it, which is taken as its edge.

    Returns:
        (batch, height, width, channels) float32.
    """
    _, height, width, _ = x.shape
    u = np.arange(height, dtype=np.float32)[None, :, None] - np.float32((height - 1) / 2)
    v = np.arange(width, dtype=np.float32)[None, None, :] - np.float32((width - 1) / 2)
    cosine, sine = _each(scales * np.cos(angles)), _each(scales * np.sin(angles))
    y = cosine * u + _each((height - 1) / 2 + centres[0] * height)  # (batch, height, 1)
    z = cosine * v + _each((width - 1) / 2 + centres[1] * width)  # (batch, 1, width)
    if angles.any():
        y, z = y - sine * v, z + sine * u  # (batch, height, width) each
    else:
        y, z = y.clip(0, height - 1), z.clip(0, width - 1)
    result = np.empty_like(x)
    for start in range(0, len(x), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        result[part] = _bilinear(x[part], y[part], z[part], padding)
    return result


def _each(values: NDArray[Any]) -> Floats:
    """One number a sample, to be spread over its pixels.  # (batch, 1, 1)."""
    return np.asarray(values, np.float32)[:, None, None]


def _bilinear(x: Floats, y: Floats, z: Floats, padding: Padding) -> Floats:
    """Values of each image between its pixels, at rows y and columns z, both (batch, height, width) or with a 1."""
    batch, height, width, channels = x.shape
    planes = np.ascontiguousarray(x.reshape(-1, channels).T)  # one channel after another: twice as fast
    first = (np.arange(batch) * (height * width))[:, None, None]
    rows, columns = _neighbours(y, height, padding), _neighbours(z, width, padding)
    result = np.zeros((channels, batch, height, width), np.float32)
    for row, row_share in rows:
        start = first + row * width
        for column, column_share in columns:
            index, share = start + column, row_share * column_share
            for plane, total in zip(planes, result, strict=True):
                total += plane.take(index) * share
    return np.moveaxis(result, 0, -1)


def _neighbours(place: Floats, length: int, padding: Padding) -> list[tuple[Any, Any]]:
    """Along one axis: the pixel before and the one after each place, and their shares in its value."""
    before = np.floor(place)
    index, share = before.astype(np.int64), place - before
    pairs = [(index, 1 - share), (index + 1, share)]
    if padding == "zero":
        pairs = [(i, s * ((i >= 0) & (i < length))) for i, s in pairs]
    return [(_into(i, length, padding), s) for i, s in pairs]


def _into(position: Indices, length: int, padding: Padding) -> Indices:
    """Positions brought inside 0..length - 1."""
    if padding != "reflect" or length == 1:
        return position.clip(0, length - 1)
    around = np.abs(position) % (2 * length - 2)  # mirrored at the first pixel, then at the last one
    return np.minimum(around, 2 * length - 2 - around)
