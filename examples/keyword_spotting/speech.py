"""Spoken digits as MLPerf Tiny's keyword spotting model hears them, labelled with what that model says of each.

None of the model's words is a digit. So a clip's label here is the float model's own answer, and "accuracy" reads:
the share of clips on which a variant gives the answer that the float model gives. Of digits as they were spoken the
model rightly says "Unknown", nearly always; backwards, slowed down or with noise they give it more to decide.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stages.datasets.audio.clips import cut, resample
from stages.datasets.audio.features import features
from stages.datasets.audio.front_end import FrontEnd
from stages.datasets.audio.wav import read_wav

FRONT_END = FrontEnd(sample_rate=16000, clip_s=1.0, align="start", window_ms=30, hop_ms=20, mel_bins=40, low_hz=20,
                     high_hz=4000, coefficients=10)
"""A clip of one second at 16 kHz gives 49 frames of 10 MFCCs."""
SLOWER = 4 / 3
NOISE = 0.05
"""Deviation of the noise that is added, as a share of the recording's largest magnitude."""
TEST_TAKES = range(5)
"""Takes 0 to 4 of each digit and speaker are the data set's own test split."""


def load(recordings: str = "data/recordings", model: str = "data/kws_ref_model"):
    """Train and test split: MFCCs (clips, 49, 10, 1) float32, and the float model's answers (clips,) 0 to 11.

    Args:
        recordings: folder of `<digit>_<speaker>_<take>.wav`; each gives four clips.
        model: the reference's SavedModel.
    """
    paths = sorted(Path(recordings).glob("*.wav"))
    if not paths:
        raise FileNotFoundError(f"no WAV files in {recordings}; README.md says where they are from")
    heard = [features(clips(path, seed), FRONT_END) for seed, path in enumerate(paths)]
    x = np.concatenate(heard)  # (clips, 49, 10, 1)
    y = answers(x, model)
    tests = np.repeat([int(path.stem.rsplit("_", 1)[1]) in TEST_TAKES for path in paths], len(x) // len(paths))
    return {"train": (x[~tests], y[~tests]), "test": (x[tests], y[tests])}


def clips(path: Path, seed: int) -> np.ndarray:
    """A recording as it is, backwards, slowed down, and with white noise.  # (4, 16000) float32."""
    rate, recorded = read_wav(path)
    waveform = resample(recorded, rate, FRONT_END.sample_rate)
    slower = np.interp(np.arange(0, len(waveform) - 1, 1 / SLOWER), np.arange(len(waveform)), waveform)
    noise = np.random.default_rng(seed).normal(0, NOISE * np.abs(waveform).max(), FRONT_END.clip_samples)
    noisy = cut(waveform, len(noise), FRONT_END.align)[0] + noise
    return np.concatenate([clip(each) for each in (waveform, waveform[::-1], slower, noisy)])


def clip(waveform: np.ndarray) -> np.ndarray:
    """The first second, zeros behind, divided by its largest value as the reference does.  # (1, 16000) float32."""
    first = cut(waveform.astype(np.float32), FRONT_END.clip_samples, FRONT_END.align)
    largest = first.max()
    return first / largest if largest > 0 else first


def answers(x: np.ndarray, model: str) -> np.ndarray:
    """The class to which the SavedModel gives the highest probability.  # (clips,) int64."""
    import tensorflow as tf

    predict = tf.saved_model.load(model).signatures["serving_default"]
    outputs = [next(iter(predict(tf.constant(x[start:start + 256])).values())) for start in range(0, len(x), 256)]
    return np.concatenate(outputs).argmax(axis=1)
