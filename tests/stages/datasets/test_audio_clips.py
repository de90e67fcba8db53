"""Clips: which part is kept, where zeros go, what another sample rate makes of a tone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.datasets.audio.clips import as_int16, cut, resample


def ramp(count: int) -> np.ndarray:
    return np.arange(1, count + 1, dtype=np.float32)


@pytest.mark.parametrize(("align", "clip"), [
    ("start", [1, 2, 3, 0, 0, 0]), ("center", [0, 1, 2, 3, 0, 0]), ("loudest", [0, 1, 2, 3, 0, 0])])
def test_a_short_recording_is_filled_with_zeros(align: str, clip: list[float]) -> None:
    assert cut(ramp(3), 6, align).tolist() == [clip]


@pytest.mark.parametrize(("align", "clip"), [
    ("start", [1, 2, 3, 4]), ("center", [2, 3, 4, 5]), ("loudest", [4, 5, 6, 7])])
def test_a_long_recording_keeps_the_part_that_was_asked_for(align: str, clip: list[float]) -> None:
    assert cut(ramp(7), 4, align).tolist() == [clip]


def test_the_loudest_part_is_by_energy_and_the_first_of_equals() -> None:
    assert cut(np.array([1, 1, 0, -3, 0, 3, 0, 0], np.float32), 2, "loudest").tolist() == [[0, -3]]


def test_a_recording_of_just_one_clip_is_that_clip() -> None:
    for align in ("start", "center", "loudest"):
        assert cut(ramp(4), 4, align, hop=2).tolist() == [[1, 2, 3, 4]]


def test_a_hop_gives_every_whole_clip_and_no_part_of_one() -> None:
    assert cut(ramp(9), 4, "center", hop=2).tolist() == [[1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 8]]


def test_a_recording_shorter_than_a_clip_gives_one_even_with_a_hop() -> None:
    assert cut(ramp(2), 4, "start", hop=1).tolist() == [[1, 2, 0, 0]]


@pytest.mark.parametrize(("rate", "wanted"), [
    (16000, 8000), (8000, 16000), (44100, 16000), (11025, 16000), (48000, 16000)])
def test_a_tone_keeps_its_frequency_and_height_at_another_rate(rate: int, wanted: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 500 * np.arange(rate) / rate).astype(np.float32)
    found = resample(tone, rate, wanted)
    assert found.dtype == np.float32
    assert len(found) == wanted
    middle = slice(wanted // 10, -wanted // 10)  # away from the ends, where the filter sees zeros
    assert np.abs(found - 0.5 * np.sin(2 * np.pi * 500 * np.arange(wanted) / wanted))[middle].max() < 2e-3


def test_what_the_lower_rate_cannot_hold_is_filtered_out() -> None:
    tone = np.sin(2 * np.pi * 6000 * np.arange(16000) / 16000).astype(np.float32)
    assert np.abs(resample(tone, 16000, 8000))[100:-100].max() < 5e-3


def test_the_same_rate_leaves_every_sample() -> None:
    assert np.array_equal(resample(ramp(5), 16000, 16000), ramp(5))


@pytest.mark.parametrize(("value", "quantized"), [(-1.0, -32768), (1.0, 32767), (2.0, 32767), (-3.0, -32768),
                                                  (0.5 / 32768, 0), (1.5 / 32768, 2), (-0.25, -8192)])
def test_waveforms_become_16_bit_samples_with_halves_to_even(value: Any, quantized: int) -> None:
    assert as_int16(np.array([value])).tolist() == [quantized]
