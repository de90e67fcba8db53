"""Weights to integers: where to clip them, and which integer each becomes.

`q = round(w / scale)`, clipped to the bits' symmetric range; the real weight is `scale * q`.

| algorithm | scale | integers |
|---|---|---|
| minmax | the largest weight of the channel is the largest integer | the nearest |
| mse | of 33 scales the one with the least squared error of the weights | the nearest |
| octav | clipping error in balance with rounding error (Sakr et al., 2022, arXiv:2206.06501, eq. 6) | the nearest |
| gptq | of 9 scales the one with the least squared error of the layer's output | one after another (see `gptq`) |

Here weights are (groups, taps, channels): each channel multiplies the `taps` inputs of its group. An ordinary
convolution or fully connected layer has one group, a depthwise one has one for each input channel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.recipes import Algorithm

Doubles = NDArray[np.float64]

MOST = {8: 127, 4: 7}
"""The largest integer of a symmetric range without its least value, by bits."""
_MSE_SHRINKS = np.linspace(0.36, 1.0, 33)
_GPTQ_SHRINKS = np.linspace(0.4, 1.0, 9)
_OCTAV_STEPS = 20
_ELEMENTS_AT_ONCE = 1 << 24
_SMALLEST = 1e-12


def scales_of(weights: Doubles, bits: int, algorithm: Algorithm, importance: Doubles | None = None) -> Doubles:
    """A scale for each channel.

    Args:
        weights: (groups, taps, channels).
        bits: 8 or 4.
        algorithm: "minmax", "mse" or "octav"; "gptq" starts from "mse".
        importance: (groups, taps) mean square of each tap's input, by which "mse" weighs its error; None: all the same.

    Returns:
        (groups, 1, channels), positive.
    """
    most = MOST[bits]
    largest = np.maximum(np.abs(weights).max(axis=1, keepdims=True), _SMALLEST)
    if algorithm == "minmax":
        return np.asarray(largest / most)
    if algorithm == "octav":
        return _octav_clip(weights, bits, largest) / most
    weigh = np.ones(weights.shape[:2]) if importance is None else importance
    best, least = largest / most, np.full_like(largest, np.inf)
    for shrink in _MSE_SHRINKS:
        scales = shrink * largest / most
        error = weights - scales * nearest(weights, scales, bits)
        total = (weigh[:, :, None] * error * error).sum(axis=1, keepdims=True)
        best, least = np.where(total < least, scales, best), np.minimum(total, least)
    return np.asarray(best)


def nearest(weights: Doubles, scales: Doubles, bits: int) -> Doubles:
    """The nearest integers, as floats."""
    return np.asarray(np.clip(np.rint(weights / scales), -MOST[bits], MOST[bits]))


def one_scale(weights: Doubles, bits: int, algorithm: Algorithm) -> Doubles:
    """The scale of `scales_of` for weights that share one; the same in every channel, shaped as there."""
    groups, taps, channels = weights.shape
    flat = weights.transpose(1, 0, 2).reshape(1, taps * groups * channels, 1)
    return np.broadcast_to(scales_of(flat, bits, algorithm), (groups, 1, channels)).copy()


def gptq(weights: Doubles, moments: Doubles, scales: Doubles, bits: int, damping: float = 0.01) -> Doubles:
    """Integers, one tap after another; what rounding one changes in the output is made up for in those that follow.

    The method of Frantar et al., 2022, arXiv:2210.17323, on a convolution's taps.
    With H = E[x x^T] of the inputs and U the upper Cholesky factor of H^-1, rounding tap i with the error e moves each
    later tap j by `-e U[i, j] / U[i, i]`. Taps with the largest inputs come first.

    Args:
        weights: (groups, taps, channels).
        moments: (groups, taps, taps), symmetric.
        scales: (groups, 1, channels).
        bits: 8 or 4.
        damping: share of the mean of H's diagonal that is added to it.

    Returns:
        (groups, taps, channels) integers as floats.
    """
    groups, taps, _ = weights.shape
    damped = damped_moments(moments, damping)
    order = np.argsort(-np.diagonal(damped, axis1=1, axis2=2), axis=1, kind="stable")  # (groups, taps)
    rows = np.arange(groups)[:, None]
    left = weights[rows, order].copy()
    factor = _inverse_factor(damped[rows[:, :, None], order[:, :, None], order[:, None, :]])
    found = np.empty_like(left)
    for tap in range(taps):
        found[:, tap] = nearest(left[:, tap], scales[:, 0], bits)
        error = (left[:, tap] - scales[:, 0] * found[:, tap]) / factor[:, tap, tap, None]
        left[:, tap + 1:] -= factor[:, tap, tap + 1:, None] * error[:, None, :]
    integers = np.empty_like(found)
    integers[rows, order] = found
    return np.asarray(integers)


def gptq_with_scales(weights: Doubles, moments: Doubles, bits: int, *, one: bool) -> tuple[Doubles, Doubles]:
    """Integers and scales with the least error of the layer's output, `tr(D^T H D)` for the weights' error D.

    Args:
        weights: (groups, taps, channels).
        moments: (groups, taps, taps).
        bits: 8 or 4.
        one: whether all channels share one scale.

    Returns:
        (groups, taps, channels) integers as floats, and (groups, 1, channels) scales.
    """
    groups, _, channels = weights.shape
    largest = np.maximum(np.abs(weights).max(axis=1, keepdims=True), _SMALLEST)
    if one:
        largest = np.full_like(largest, largest.max())
    tries = [shrink * largest / MOST[bits] for shrink in _GPTQ_SHRINKS]
    at_once = max(1, _ELEMENTS_AT_ONCE // weights.size)
    best = np.empty_like(weights), np.empty_like(largest), np.full((groups, 1, channels), np.inf)
    for start in range(0, len(tries), at_once):
        scales = np.concatenate(tries[start:start + at_once], axis=2)
        many = np.tile(weights, (1, 1, len(tries[start:start + at_once])))
        integers = gptq(many, moments, scales, bits)
        errors = output_error(many - scales * integers, moments)
        best = _better(best, integers, scales, errors, channels, one)
    return best[0], best[1]


def output_error(difference: Doubles, moments: Doubles) -> Doubles:
    """(groups, 1, channels) mean squared error of each channel's output for an error of its weights."""
    return np.asarray(np.einsum("gtc,gtu,guc->gc", difference, moments, difference, optimize=True)[:, None, :])


def damped_moments(moments: Doubles, damping: float) -> Doubles:
    """Moments that can be inverted: a share of the mean of the diagonal added to it; where all is zero, 1."""
    taps = moments.shape[-1]
    mean = np.trace(moments, axis1=1, axis2=2)[:, None, None] / taps
    added = np.where(mean > 0, damping * mean, 1.0)
    return np.asarray(moments + added * np.eye(taps))


Best = tuple[Doubles, Doubles, Doubles]


def _better(best: Best, integers: Doubles, scales: Doubles, errors: Doubles, channels: int, one: bool) -> Best:
    """The best so far and a few more tries that lie side by side, channel for channel or as a whole."""
    for start in range(0, scales.shape[2], channels):
        part = slice(start, start + channels)
        error = errors[:, :, part]
        wins = np.full_like(error, error.sum() < best[2].sum(), dtype=bool) if one else error < best[2]
        best = (np.where(wins, integers[:, :, part], best[0]), np.where(wins, scales[:, :, part], best[1]),
                np.where(wins, error, best[2]))
    return best


def _inverse_factor(moments: Doubles) -> Doubles:
    """The upper Cholesky factor U of each inverse: `U^T U = H^-1`."""
    return np.asarray(np.swapaxes(np.linalg.cholesky(np.linalg.inv(moments)), 1, 2))


def _octav_clip(weights: Doubles, bits: int, largest: Doubles) -> Doubles:
    """(groups, 1, channels) clipping values, by Newton's iteration from the mean magnitude on."""
    size = np.abs(weights)
    clip = np.maximum(size.mean(axis=1, keepdims=True), _SMALLEST)
    for _ in range(_OCTAV_STEPS):
        beyond = size > clip
        above = np.where(beyond, size, 0).sum(axis=1, keepdims=True)
        count = beyond.sum(axis=1, keepdims=True)
        inside = weights.shape[1] - count
        clip = np.where(count > 0, above / (4.0 ** -bits / 3 * inside + count), clip)
    return np.asarray(np.clip(clip, _SMALLEST, largest))
