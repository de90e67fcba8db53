"""From a recording to clips of one length: other sample rates, padding, cutting, several clips of a long recording."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]


def resample(waveform: Waveform, rate: int, wanted: int) -> Waveform:
    """A recording at another sample rate.

    `scipy.signal.resample_poly` with its default filter: a zero-phase FIR low-pass of `20 max(up, down) + 1` taps at
    half of the lower rate, Kaiser window with beta 5; zeros beyond both ends.

    Returns:
        (ceil(samples * wanted / rate),) float32.
    """
    from scipy.signal import resample_poly

    if rate == wanted:
        return waveform
    common = gcd(rate, wanted)
    return np.asarray(resample_poly(waveform.astype(np.float64), wanted // common, rate // common), np.float32)


def cut(waveform: Waveform, samples: int, align: str, hop: int = 0) -> Waveform:
    """Clips of one recording.

    A shorter recording is filled with zeros: at its end for "start", else at both ends (of an odd number one more at
    the end). Of a longer one "start" keeps the first samples, "center" the middle ones (`(length - samples) // 2` are
    left out before them), "loudest" those with the largest sum of squares, the first of equals. With a hop, a longer
    recording gives a clip every `hop` samples, as many as fit in whole, and `align` has no say.

    Args:
        waveform: (length,) float32.
        samples: length of a clip.
        align: "start", "center" or "loudest".
        hop: samples from clip to clip; 0: one clip a recording.

    Returns:
        (clips, samples) float32.
    """
    missing = samples - len(waveform)
    if missing >= 0:
        before = 0 if align == "start" else missing // 2
        return np.pad(waveform, (before, missing - before))[None]
    if hop:
        return np.lib.stride_tricks.sliding_window_view(waveform, samples)[::hop]
    begin = {"start": 0, "center": -missing // 2}.get(align)
    if begin is None:
        begin = _loudest(waveform, samples)
    return waveform[None, begin:begin + samples]


def _loudest(waveform: Waveform, samples: int) -> int:
    """Where the stretch with the largest sum of squares begins."""
    total = np.concatenate([[0.0], np.cumsum(waveform.astype(np.float64) ** 2)])
    return int(np.argmax(total[samples:] - total[:-samples]))


def as_int16(waveform: NDArray[np.floating[Any]]) -> NDArray[np.int16]:
    """What a 16-bit converter would give: `q = clip(round(32768 x), -32768, 32767)`, halves to even."""
    return np.asarray(np.clip(np.round(waveform * 32768.0), -32768, 32767), np.int16)
