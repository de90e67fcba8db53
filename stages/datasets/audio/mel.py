"""Mel scales and the matrix of triangles that sums a spectrum into mel bins.

Sources: HTK Book 3.4, section 5.4 (`mel = 2595 log10(1 + f / 700)`); Slaney, "Auditory Toolbox" (1998), for the scale
that is linear up to 1 kHz and logarithmic above, and for triangles of equal area.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stages.datasets.audio.front_end import FrontEnd

Floats = NDArray[np.float64]
_LINEAR_HZ = 200 / 3
"""Slaney: Hz in one mel below 1 kHz."""
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27
"""Slaney: 27 mels span from 1 kHz to 6.4 kHz."""


def hz_to_mel(hz: Floats, scale: Literal["htk", "slaney"]) -> Floats:
    """Frequencies in mel.

    htk: `mel = 1127.01048 ln(1 + hz / 700)`, which is 2595 log10. slaney: `hz * 3 / 200` below 1 kHz, above it
    `15 + 27 ln(hz / 1000) / ln(6.4)`.
    """
    if scale == "htk":
        return np.asarray(2595 * np.log10(1 + hz / 700))
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.asarray(np.where(hz < _BREAK_HZ, hz / _LINEAR_HZ, above))


def mel_to_hz(mel: Floats, scale: Literal["htk", "slaney"]) -> Floats:
    """The inverse of `hz_to_mel`."""
    if scale == "htk":
        return np.asarray(700 * (10 ** (mel / 2595) - 1))
    above = _BREAK_HZ * np.exp((np.maximum(mel, _BREAK_MEL) - _BREAK_MEL) * _LOG_STEP)
    return np.asarray(np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, above))


def mel_edges(settings: FrontEnd) -> Floats:
    """`mel_bins + 2` points in mel, evenly apart: bin `m` rises from point `m`, peaks at `m + 1`, ends at `m + 2`."""
    ends = hz_to_mel(np.array([settings.low_hz, settings.top_hz]), settings.mel_scale)
    return np.asarray(np.linspace(ends[0], ends[1], settings.mel_bins + 2))


def mel_matrix(settings: FrontEnd) -> Floats:
    """Weight of each spectral bin in each mel bin.

    With `u` the bin's frequency `k * sample_rate / fft` and `a, b, c` the mel bin's three points, all in mel
    (`mel_slopes: mel`) or all in Hz (`hz`): `weight = max(0, min((u - a) / (b - a), (c - u) / (c - b)))`. With
    `mel_norm: slaney` times `2 / (c - a)` in Hz. Bin 0, the mean of the frame, has weight 0 everywhere.

    Returns:
        (fft / 2 + 1, mel_bins) float64.
    """
    hz = np.arange(settings.fft_size // 2 + 1) * (settings.sample_rate / settings.fft_size)
    edges = mel_edges(settings)
    edges_hz = mel_to_hz(edges, settings.mel_scale)
    points, u = (edges, hz_to_mel(hz, settings.mel_scale)) if settings.mel_slopes == "mel" else (edges_hz, hz)
    a, b, c = points[:-2], points[1:-1], points[2:]  # (mel_bins,)
    weights = np.maximum(0, np.minimum((u[:, None] - a) / (b - a), (c - u[:, None]) / (c - b)))
    weights[0] = 0
    if settings.mel_norm == "slaney":
        weights *= 2 / (edges_hz[2:] - edges_hz[:-2])
    return np.asarray(weights)


def empty_bins(settings: FrontEnd) -> tuple[int, ...]:
    """Mel bins between two spectral bins: they always have energy 0. A longer transform or fewer bins helps."""
    return tuple(np.flatnonzero(~mel_matrix(settings).any(axis=0)).tolist())
