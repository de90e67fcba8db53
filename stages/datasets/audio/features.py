"""From a clip to the feature, in numpy; the formulas stand here, so that a device can compute the same numbers.

| step | formula |
|---|---|
| clip gain | peak: `x / max abs x`; rms: `x * 0.1 / sqrt(mean(x^2))` |
| pre-emphasis | `y[n] = x[n] - a x[n-1]`, `y[0] = x[0]` |
| frames | frame `t` has the samples `t hop` to `t hop + window - 1`; none that is not whole |
| window | periodic: `w[n] = 0.5 - 0.5 cos(2 pi n / window)`; hamming has 0.54 and 0.46 |
| spectrum | `X[k] = sum w[n] x[n] e^(-2 pi i k n / fft)`, `S = abs(X)^power`, `k` to `fft / 2`; not scaled |
| mel | `E[m] = sum S[k] M[k, m]`, `M` as in `mel.py` |
| logarithm | `ln(max(E, floor) + offset)`; decibel: `(20 / power) log10` |
| DCT-II | `c[j] = sqrt(2 / M) sum L[m] cos(pi j (m + 1/2) / M)`; ortho: `c[0]` divided by `sqrt(2)` |

Sources: HTK Book 3.4, sections 5.2 (pre-emphasis), 5.4 (mel bins) and 5.6.1 (DCT). With the defaults this is what
`tf.signal` computes with `stft`, `linear_to_mel_weight_matrix` and `mfccs_from_log_mel_spectrograms`; its window is
periodic for even lengths alone. Everything is computed in float64 and rounded to float32 at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stages.datasets.audio.front_end import RMS_TARGET, FrontEnd
from stages.datasets.audio.mel import mel_matrix

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Steps:
    """What comes about on the way, for some clips.

    Attributes:
        windowed: (clips, frames, window) frames times the window.
        spectrum: (clips, frames, fft / 2 + 1) magnitude to the power of `power`.
        mel: (clips, frames, mel_bins) energies.
        log_mel: (clips, frames, mel_bins) their logarithms.
        feature: (clips, frames, bins) log-mel energies or MFCCs.
    """

    windowed: Floats
    spectrum: Floats
    mel: Floats
    log_mel: Floats
    feature: Floats


def features(waveform: NDArray[Any], settings: FrontEnd) -> NDArray[np.float32]:
    """The feature of one clip, or of several.

    Args:
        waveform: (clip_samples,) or (clips, clip_samples): int16, divided by 32768 here, or floats, nominally -1 to 1.
        settings: the front end.

    Returns:
        (frames, bins, 1) float32, or (clip_samples, 1) for `feature: waveform`; with a first axis for several clips.

    Raises:
        ValueError: a waveform of another length or type.
    """
    if settings.feature == "waveform":
        out = _as_clips(waveform, settings, np.float64)
    else:
        out = analyze(waveform, settings).feature
    rows = out[..., None].astype(np.float32)  # (clips, frames, bins, 1) or (clips, samples, 1)
    return np.asarray(rows if waveform.ndim == 2 else rows[0])


def model_samples(clips: NDArray[Any], settings: FrontEnd) -> NDArray[np.float32]:
    """What the model is given of some clips.

    Args:
        clips: (clips, clip_samples), see `features`.
        settings: the front end.

    Returns:
        (clips * samples_per_clip, *output_shape) float32, a clip's samples one after another.
    """
    rows = features(clips, settings)
    return stack(rows[..., 0], settings.stack_frames) if settings.stack_frames else rows


def stack(frames: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Every run of `count` frames as one flat vector, oldest frame first.

    Args:
        frames: (clips, frames, bins).
        count: frames in a vector; 5 in MLPerf Tiny's anomaly detection (`benchmark/training/anomaly_detection`).

    Returns:
        (clips * (frames - count + 1), count * bins) float32.
    """
    runs = np.lib.stride_tricks.sliding_window_view(frames, count, axis=1)  # (clips, vectors, bins, count)
    return np.ascontiguousarray(runs.swapaxes(2, 3)).reshape(-1, count * frames.shape[2])


def analyze(clips: NDArray[Any], settings: FrontEnd, dtype: DTypeLike = np.float64) -> Steps:
    """Every step for some clips.

    Args:
        clips: (clips, clip_samples) as recorded, see `features`; gain and pre-emphasis come about here.
        settings: the front end; its feature has frames.
        dtype: float64, or float32 to see what a device with single precision gets.
    """
    from scipy import fft

    x = _edged(_as_clips(clips, settings, dtype), settings)  # (clips, padded_samples)
    begin, end = settings.kept
    every = np.lib.stride_tricks.sliding_window_view(x, settings.window_samples, axis=1)[:, ::settings.hop_samples]
    windowed = every[:, begin:end] * window(settings).astype(dtype)  # (clips, frames, window)
    spectrum = np.abs(fft.rfft(windowed, settings.fft_size, axis=-1))  # (clips, frames, fft / 2 + 1)
    if settings.power == 2:
        spectrum = spectrum * spectrum
    mel = spectrum @ mel_matrix(settings).astype(dtype)  # (clips, frames, mel_bins)
    log_mel = _logarithm(mel, settings)
    feature = log_mel @ dct_matrix(settings).astype(dtype) if settings.feature == "mfcc" else log_mel
    return Steps(windowed, spectrum, mel, log_mel, feature)


def window(settings: FrontEnd) -> NDArray[np.float64]:
    """The window, periodic: as if the next sample after the last were the first again.  # (window,)."""
    angle = 2 * np.pi * np.arange(settings.window_samples) / settings.window_samples
    mean = {"hann": 0.5, "hamming": 0.54, "rectangular": 1.0}[settings.window]
    return np.asarray(mean - (1 - mean) * np.cos(angle))


def dct_matrix(settings: FrontEnd) -> NDArray[np.float64]:
    """What log-mel energies are multiplied by to give MFCCs.  # (mel_bins, coefficients)."""
    bins = settings.mel_bins
    m, j = np.arange(bins)[:, None], np.arange(settings.coefficients)[None, :]
    matrix = np.sqrt(2 / bins) * np.cos(np.pi * j * (m + 0.5) / bins)
    if settings.dct == "ortho":
        matrix[:, 0] /= np.sqrt(2)
    return np.asarray(matrix)


def _as_clips(waveform: NDArray[Any], settings: FrontEnd, dtype: DTypeLike) -> Floats:
    """Clips with their gain and pre-emphasis.  # (clips, clip_samples)."""
    if waveform.ndim not in (1, 2) or waveform.shape[-1] != settings.clip_samples:
        raise ValueError(f"a waveform of shape {waveform.shape}; the front end takes {settings.clip_samples} samples")
    if waveform.dtype != np.int16 and waveform.dtype.kind != "f":
        raise ValueError(f"a waveform of {waveform.dtype}; the front end takes int16 or floats")
    clips = np.atleast_2d(waveform).astype(dtype)
    if waveform.dtype == np.int16:
        clips /= 32768
    gain = _gain(clips, settings)
    clips = clips if gain is None else clips * gain
    if settings.pre_emphasis:
        before = clips.dtype.type(settings.pre_emphasis) * clips[:, :-1]
        clips = np.concatenate([clips[:, :1], clips[:, 1:] - before], 1)
    return np.asarray(clips)


def _gain(clips: Floats, settings: FrontEnd) -> Floats | None:
    """What each clip is multiplied by, 1 for a clip of zeros; None where clips keep their level.  # (clips, 1)."""
    if settings.normalize_clip == "none":
        return None
    peak = settings.normalize_clip == "peak"
    level = np.abs(clips).max(1, keepdims=True) if peak else np.sqrt((clips * clips).mean(1, keepdims=True))
    target = level.dtype.type(1.0 if peak else RMS_TARGET)
    return np.asarray(np.divide(target, level, out=np.ones_like(level), where=level > 0))


def _edged(clips: Floats, settings: FrontEnd) -> Floats:
    """Clips with what `edge` adds at both ends.  # (clips, padded_samples)."""
    half = settings.fft_size // 2
    if settings.edge == "none":
        return clips
    return np.pad(clips, ((0, 0), (half, half)), "constant" if settings.edge == "zero" else "reflect")


def _logarithm(mel: Floats, settings: FrontEnd) -> Floats:
    """Logarithms of mel energies.  # the same shape."""
    kind = mel.dtype.type
    raised = np.maximum(mel, kind(settings.log_floor)) + kind(settings.log_offset)
    return np.asarray(np.log(raised) if settings.log == "natural" else kind(20 / settings.power) * np.log10(raised))
