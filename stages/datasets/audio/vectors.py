"""What a firmware engineer gets: the front end's parameters, its matrices, and numbers to hold an own version against.

| file | what |
|---|---|
| `front_end.json` | every parameter, resolved to samples and bins; the feature in words; where the vectors are from |
| `mel_matrix.npy` | (fft / 2 + 1, mel_bins) float32, for a feature of mel bins |
| `front_end_vectors.npz` | numbers by vector and step, `<vector>_<step>` |
| `front_end.h` | sizes and tables for C |

The steps of a vector: `input` (clip_samples,) int16; of one frame `windowed` (window,), `spectrum` (fft / 2 + 1,),
`mel` and `log_mel` (mel_bins,); and `feature`, the whole clip's, (frames, bins, 1).

The same parameters and recordings give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.datasets.audio.c_header import HEADER_FILE, c_header
from stages.datasets.audio.features import Steps, analyze, features
from stages.datasets.audio.front_end import VERSION, FrontEnd, describe
from stages.datasets.audio.mel import empty_bins, mel_matrix

PARAMETERS_FILE, MATRIX_FILE, VECTORS_FILE = "front_end.json", "mel_matrix.npy", "front_end_vectors.npz"
FILES = (PARAMETERS_FILE, MATRIX_FILE, VECTORS_FILE, HEADER_FILE)
_STEPS = ("windowed", "spectrum", "mel", "log_mel")
_MARGIN = 4
"""A device's arithmetic may differ from the exact numbers by so much more than float32 on this host does."""
_LEAST_TOLERANCE = 1e-4

Int16s = NDArray[np.int16]


def write_front_end(folder: Path, settings: FrontEnd, recordings: Mapping[str, Int16s]) -> None:
    """Write the files.

    Args:
        folder: where to.
        settings: the front end.
        recordings: clips of the data by name, (clip_samples,) int16; made ones are added.
    """
    clips = {**made_clips(settings), **{f"recording{i}": clip for i, clip in enumerate(recordings.values())}}
    arrays = {f"{name}_{step}": array for name, clip in clips.items()
              for step, array in vector(clip, settings).items()}
    np.savez(folder / VECTORS_FILE, **arrays)
    if settings.feature != "waveform":
        np.save(folder / MATRIX_FILE, mel_matrix(settings).astype(np.float32))
    (folder / HEADER_FILE).write_text(c_header(settings), "utf-8")
    origins = {f"recording{i}": name for i, name in enumerate(recordings)}
    content = parameters(settings) | {"vectors": about_vectors(clips, settings, origins)}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (folder / PARAMETERS_FILE).write_text(text + "\n", "utf-8")


def parameters(settings: FrontEnd) -> dict[str, Any]:
    """What `front_end.json` says of the front end itself."""
    resolved: dict[str, Any] = {
        "clip_samples": settings.clip_samples, "output_shape": settings.output_shape,
        "samples_per_clip": settings.samples_per_clip}
    if settings.feature != "waveform":
        resolved |= {"window_samples": settings.window_samples, "hop_samples": settings.hop_samples,
                     "fft": settings.fft_size, "frames": settings.frames, "bins": settings.bins,
                     "high_hz": settings.top_hz, "empty_mel_bins": empty_bins(settings)}
    return {"version": VERSION, "steps": describe(settings), "resolved": resolved,
            "settings": settings.model_dump(mode="json")}


def made_clips(settings: FrontEnd) -> dict[str, Int16s]:
    """Clips that anybody can make again.

    `silence`: zeros. `impulse`: 32767 in the middle. `sine`: a tone of a 16th of the sample rate at half of full scale,
    `q[n] = round(16384 sin(2 pi n / 16))`. `noise`: the generator `s = (1103515245 s + 12345) mod 2^31` from `s = 1`,
    `q[n] = (s >> 15) - 32768` of each new `s`, full scale.
    """
    samples = settings.clip_samples
    impulse, noise = np.zeros(samples, np.int16), np.empty(samples, np.int16)
    impulse[samples // 2] = 32767
    state = 1
    for place in range(samples):
        state = (1103515245 * state + 12345) % 2**31
        noise[place] = (state >> 15) - 32768
    sine = np.round(16384 * np.sin(2 * np.pi * np.arange(samples) / 16)).astype(np.int16)
    return {"silence": np.zeros(samples, np.int16), "impulse": impulse, "sine": sine, "noise": noise}


def vector(clip: Int16s, settings: FrontEnd) -> dict[str, NDArray[Any]]:
    """One clip's numbers on the way, those of one frame for all steps but the last.

    Args:
        clip: (clip_samples,) int16.
        settings: the front end.
    """
    if settings.feature == "waveform":
        return {"input": clip, "feature": features(clip, settings)}
    steps = analyze(clip[None], settings)
    frame = _frame(steps)
    one = {step: getattr(steps, step)[0, frame].astype(np.float32) for step in _STEPS}
    return {"input": clip, **one, "feature": features(clip, settings)}


def about_vectors(clips: Mapping[str, Int16s], settings: FrontEnd, origins: Mapping[str, str]) -> dict[str, Any]:
    """Where each vector is from, which frame its single-frame numbers are of, and how far off its feature may be."""
    about: dict[str, Any] = {}
    for name, clip in clips.items():
        about[name] = {"from": origins.get(name, "made"), "feature_tolerance": 0.0}
        if settings.feature != "waveform":
            exact, single = (analyze(clip[None], settings, dtype) for dtype in (np.float64, np.float32))
            off = float(np.abs(exact.feature - single.feature).max())
            about[name] |= {"frame": _frame(exact) + settings.kept[0], "feature_tolerance": _tolerance(off)}
    return {"file": VECTORS_FILE, "clips": about}


def _tolerance(difference: float) -> float:
    """`_MARGIN` times what float32 makes of it here, rounded up to one digit."""
    wanted = max(_LEAST_TOLERANCE, _MARGIN * difference)
    digit = 10.0 ** np.floor(np.log10(wanted))
    return float(f"{np.ceil(wanted / digit - 1e-9) * digit:.0e}")


def _frame(steps: Steps) -> int:
    """The frame with the most energy, the first of equals; counted from the first that is kept."""
    return int(np.argmax((steps.windowed[0] ** 2).sum(axis=-1)))
