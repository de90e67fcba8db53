"""The keyword spotting example: what its data function makes of recordings."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parent.parent / "examples" / "keyword_spotting"


@pytest.fixture
def speech(monkeypatch):
    """The module, with a model that answers the number of the clip."""
    monkeypatch.syspath_prepend(EXAMPLE)
    import speech

    monkeypatch.setattr(speech, "answers", lambda x, model: np.arange(len(x)))
    return speech


def write(path, values, rate=8000):
    """A 16-bit WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(values, "<i2").tobytes())


def test_takes_0_to_4_test_and_each_recording_gives_four_clips(speech, tmp_path):
    for take in (0, 4, 5, 40):
        write(tmp_path / f"3_theo_{take}.wav", 1000 * np.sin(np.arange(4000) / (take + 2)))
    splits = speech.load(str(tmp_path))
    assert {name: x.shape for name, (x, _) in splits.items()} == {"train": (8, 49, 10, 1), "test": (8, 49, 10, 1)}
    # in the order of the names: takes 0, 4, 40, 5
    assert splits["test"][1].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert splits["test"][0].dtype == np.float32


def test_a_clip_is_a_second_at_16_khz_from_the_start_on_and_its_largest_value_is_1(speech, tmp_path):
    values = np.zeros(4000)
    values[1000], values[3000] = 2000, -8000  # at 8 kHz
    write(tmp_path / "1_theo_0.wav", values)
    whole, backwards, slower, noisy = speech.clips(tmp_path / "1_theo_0.wav", 0)
    assert whole.shape == (16000,)
    assert [whole.argmin(), backwards.argmin(), slower.argmin()] == [6000, 8000 - 6001, 8000]
    assert whole.max() == slower.max() == noisy.max() == 1
    assert whole.min() < -3  # the reference divides by the largest value, not by the largest magnitude
    assert (whole[8200:] == 0).all()
    assert (noisy[8200:] != 0).all()


def test_silence_stays_silence(speech):
    assert (speech.clip(np.zeros(100)) == 0).all()


def test_a_folder_without_recordings_says_where_to_get_them(speech, tmp_path):
    with pytest.raises(FileNotFoundError, match="README"):
        speech.load(str(tmp_path))
