"""The front end's sizes and tables as a C header without any code: what firmware would otherwise copy by hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.datasets.audio.features import dct_matrix, window
from stages.datasets.audio.front_end import RMS_TARGET, VERSION, FrontEnd, describe
from stages.datasets.audio.mel import mel_matrix

HEADER_FILE = "front_end.h"
_NUMBERS_A_LINE = 8


def c_header(settings: FrontEnd) -> str:
    """The header's text.

    The mel matrix is sparse: bin `m` sums `front_end_mel_count[m]` lines from `front_end_mel_first[m]` on; the weights
    of all bins follow one another. The DCT is (mel_bins, coefficients), row by row.
    """
    lines = [f"/* litesmith front end, version {VERSION}. What is to be computed:", " *"]
    lines += [f" * {number}. {step}" for number, step in enumerate(describe(settings), 1)]
    lines += [" */", "#ifndef LITESMITH_FRONT_END_H", "#define LITESMITH_FRONT_END_H", "", "#include <stdint.h>", ""]
    lines += [f"#define FRONT_END_{name} {value}" for name, value in _sizes(settings).items()]
    if settings.feature != "waveform":
        lines += _tables(settings)
    return "\n".join([*lines, "", "#endif", ""])


def _sizes(settings: FrontEnd) -> dict[str, str]:
    """Constants by name, as C writes them."""
    sizes = {"SAMPLE_RATE": settings.sample_rate, "CLIP_SAMPLES": settings.clip_samples}
    numbers = {"PRE_EMPHASIS": settings.pre_emphasis}
    if settings.normalize_clip != "none":
        target = 1.0 if settings.normalize_clip == "peak" else RMS_TARGET
        numbers |= {f"{settings.normalize_clip.upper()}_TARGET": target}
    if settings.feature != "waveform":
        begin, end = settings.kept
        sizes |= {"WINDOW": settings.window_samples, "HOP": settings.hop_samples, "FFT": settings.fft_size,
                  "FIRST_FRAME": begin, "FRAMES": end - begin, "BINS": settings.bins, "MEL_BINS": settings.mel_bins,
                  "POWER": settings.power, "STACK_FRAMES": settings.stack_frames}
        numbers |= {"LOG_FLOOR": settings.log_floor, "LOG_OFFSET": settings.log_offset,
                    "LOG_SCALE": 1.0 if settings.log == "natural" else 20 / settings.power / np.log(10)}
    return {name: str(value) for name, value in sizes.items()} | {
        name: _number(value) for name, value in numbers.items()}


def _tables(settings: FrontEnd) -> list[str]:
    """Window, sparse mel matrix, and DCT where there is one."""
    matrix = mel_matrix(settings).astype(np.float32)  # (fft / 2 + 1, mel_bins)
    spans = [(int(lines[0]), int(lines[-1]) + 1) if len(lines) else (0, 0)
             for lines in (np.flatnonzero(column) for column in matrix.T)]
    weights = np.concatenate([matrix[first:end, m] for m, (first, end) in enumerate(spans)])
    tables = [*_table("float", "window", window(settings)),
              *_table("uint16_t", "mel_first", np.array([first for first, _ in spans])),
              *_table("uint16_t", "mel_count", np.array([end - first for first, end in spans])),
              *_table("float", "mel_weights", weights if len(weights) else np.zeros(1))]
    return tables + (_table("float", "dct", dct_matrix(settings).ravel()) if settings.feature == "mfcc" else [])


def _table(kind: str, name: str, values: NDArray[np.generic]) -> list[str]:
    """One constant array."""
    texts = [_number(value) if kind == "float" else str(value) for value in values.tolist()]
    rows = [", ".join(texts[start:start + _NUMBERS_A_LINE]) for start in range(0, len(texts), _NUMBERS_A_LINE)]
    return ["", f"static const {kind} front_end_{name}[{len(texts)}] = {{", *(f"    {row}," for row in rows), "};"]


def _number(value: float) -> str:
    """A float literal that reads back as the same single-precision number."""
    text = f"{np.float32(value):.9g}"
    return f"{text}f" if set(text) & set(".e") else f"{text}.0f"
