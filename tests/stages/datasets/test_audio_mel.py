"""Mel bins: against the published points of both scales, TensorFlow's matrix, and librosa's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.datasets.audio.front_end import FrontEnd
from stages.datasets.audio.mel import empty_bins, hz_to_mel, mel_edges, mel_matrix, mel_to_hz


def test_slaney_s_scale_is_linear_to_1_khz_and_then_27_mels_reach_6_4_khz() -> None:
    assert hz_to_mel(np.array([0, 200, 1000, 6400.0]), "slaney").tolist() == pytest.approx([0, 3, 15, 42])


def test_htk_s_scale_has_its_published_points() -> None:
    # 2595 log10(1 + 700 / 700) = 2595 log10 2; and 6300 Hz is 2595 log10 10
    assert hz_to_mel(np.array([0, 700, 6300.0]), "htk").tolist() == pytest.approx([0, 2595 * 0.30102999566, 2595])


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_a_frequency_comes_back_from_its_mel(scale: Any) -> None:
    hz = np.array([0, 3, 440, 999.9, 1000, 1000.1, 7999])
    assert mel_to_hz(hz_to_mel(hz, scale), scale).tolist() == pytest.approx(hz.tolist(), abs=1e-9)


def test_the_default_matrix_is_tensorflow_s() -> None:
    import tensorflow as tf

    settings = FrontEnd()
    theirs = tf.signal.linear_to_mel_weight_matrix(40, 257, 16000, 20.0, 4000.0, dtype=tf.float64).numpy()
    assert mel_matrix(settings).shape == (257, 40)
    assert np.abs(mel_matrix(settings) - theirs).max() < 1e-12


def test_slaney_s_matrix_is_librosa_s() -> None:
    # librosa 0.11.0: librosa.filters.mel(sr=16000, n_fft=1024, n_mels=128, dtype=np.float64)
    matrix = mel_matrix(FrontEnd(fft=1024, window_ms=64, feature="log_mel", mel_bins=128, low_hz=0, high_hz=8000,
                                 mel_scale="slaney", mel_slopes="hz", mel_norm="slaney"))
    assert matrix.sum() == pytest.approx(8.18838044060668, abs=1e-12)
    assert matrix[:, 3].max() == pytest.approx(0.04236607771836546, abs=1e-14)
    assert matrix[:, 127].max() == pytest.approx(0.005223188431655863, abs=1e-14)


def test_neighbouring_triangles_sum_to_1_between_the_first_and_the_last_peak() -> None:
    settings = FrontEnd(mel_bins=20)
    peaks = mel_to_hz(mel_edges(settings), "htk")[[1, -2]]
    hz = np.arange(257) * 16000 / 512
    inside = (hz > peaks[0]) & (hz < peaks[1])
    assert inside.sum() > 50
    assert mel_matrix(settings)[inside].sum(axis=1).tolist() == pytest.approx([1.0] * int(inside.sum()))


def test_the_mean_of_a_frame_is_in_no_bin() -> None:
    assert not mel_matrix(FrontEnd(low_hz=0, mel_bins=128, feature="log_mel"))[0].any()


def test_a_triangle_by_hand() -> None:
    # 1 bin from 0 to 12.5 Hz: slaney's scale is linear there, so the peak is at 6.25 Hz
    settings = FrontEnd(sample_rate=100, clip_s=1, window_ms=1000, fft=128, feature="log_mel", mel_bins=1, low_hz=0,
                        high_hz=12.5, mel_scale="slaney", mel_slopes="hz")
    step = 100 / 128  # 0.78125 Hz; the bin rises to 6.25 Hz, which is 8 steps, and falls to 12.5 Hz
    assert mel_matrix(settings)[:17, 0].tolist() == pytest.approx([min(k, 16 - k) / 8 for k in range(17)])
    assert step * 16 == 12.5
    area = mel_matrix(settings.model_copy(update={"mel_norm": "slaney"})).sum() * step
    assert area == pytest.approx(1.0)


def test_bins_between_two_spectral_lines_are_named() -> None:
    crowded = FrontEnd(sample_rate=8000, window_ms=8, fft=64, hop_ms=8, mel_bins=40)
    assert empty_bins(FrontEnd()) == ()
    found = empty_bins(crowded)
    assert found
    assert all(mel_matrix(crowded)[:, place].sum() == 0 for place in found)
