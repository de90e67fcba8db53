"""Features: by hand, against scipy and `tf.signal`, against what librosa gave for MLPerf Tiny's anomaly detection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.datasets.audio.features import analyze, dct_matrix, features, model_samples, stack, window
from stages.datasets.audio.front_end import FrontEnd
from stages.datasets.audio.mel import mel_edges, mel_to_hz

EIGHT: dict[str, Any] = {"sample_rate": 1000, "clip_s": 0.016, "window_ms": 8, "hop_ms": 4, "window": "rectangular",
                         "feature": "log_mel", "mel_bins": 2, "low_hz": 0, "high_hz": 500}
MLPERF_ANOMALY = FrontEnd(
    sample_rate=16000, clip_s=10, window_ms=64, hop_ms=32, fft=1024, edge="reflect", power=2, feature="log_mel",
    mel_bins=128, low_hz=0, high_hz=8000, mel_scale="slaney", mel_slopes="hz", mel_norm="slaney", log="decibel",
    log_offset=0, log_floor=float(np.finfo(float).eps), keep_frames=(50, 250), stack_frames=5)


def pseudo_random(count: int) -> np.ndarray:
    """A linear congruential generator, the same in every language; -1 to 1."""
    found, state = np.empty(count), 1
    for place in range(count):
        state = (1103515245 * state + 12345) % 2**31
        found[place] = ((state >> 15) - 32768) / 32768
    return found


def test_frames_begin_a_hop_apart_and_are_whole() -> None:
    steps = analyze(np.arange(16.0)[None], FrontEnd(**EIGHT))
    assert steps.windowed[0].tolist() == [[*range(8)], [*range(4, 12)], [*range(8, 16)]]


def test_the_energy_of_a_frame_is_that_of_its_spectrum() -> None:
    steps = analyze(np.random.default_rng(0).normal(size=(1, 16)), FrontEnd(**EIGHT, power=2))
    both_sides = steps.spectrum[0] * np.array([1, 2, 2, 2, 1])  # (frames, 5): lines 1 to 3 stand for two each
    assert both_sides.sum(axis=1).tolist() == pytest.approx((8 * (steps.windowed[0] ** 2).sum(axis=1)).tolist())


def test_a_tone_on_a_spectral_line_gives_half_its_amplitude_a_sample() -> None:
    tone = 0.25 * np.cos(2 * np.pi * 2 * np.arange(16) / 8)
    spectrum = analyze(tone[None], FrontEnd(**EIGHT)).spectrum[0, 0]
    assert spectrum.tolist() == pytest.approx([0, 0, 0.25 * 8 / 2, 0, 0], abs=1e-12)


def test_a_hann_window_halves_the_line_and_leaks_half_of_that_to_each_side() -> None:
    tone = np.cos(2 * np.pi * 2 * np.arange(16) / 8)
    spectrum = analyze(tone[None], FrontEnd(**EIGHT | {"window": "hann"})).spectrum[0, 0]
    assert spectrum.tolist() == pytest.approx([0, 1, 2, 1, 0], abs=1e-12)


def test_an_impulse_has_the_window_s_height_on_every_line() -> None:
    clip = np.zeros((1, 16))
    clip[0, 2] = 1
    spectrum = analyze(clip, FrontEnd(**EIGHT | {"window": "hamming"})).spectrum[0, 0]
    assert spectrum.tolist() == pytest.approx([0.54 - 0.46 * np.cos(np.pi / 2)] * 5)


@pytest.mark.parametrize(("name", "theirs"), [("hann", "hann"), ("hamming", "hamming"), ("rectangular", "boxcar")])
def test_windows_are_scipy_s_periodic_ones(name: Any, theirs: str) -> None:
    from scipy.signal import get_window

    settings = FrontEnd(window=name, window_ms=25.0625, hop_ms=10)  # 401 samples
    assert settings.window_samples == 401
    assert np.abs(window(settings) - get_window(theirs, 401, fftbins=True)).max() < 1e-12


@pytest.mark.parametrize("hz", [100, 440, 1000, 3500])
def test_a_sine_is_loudest_in_the_mel_bin_whose_peak_is_nearest(hz: int) -> None:
    settings = FrontEnd(feature="log_mel", mel_bins=20)
    clip = 0.5 * np.sin(2 * np.pi * hz * np.arange(16000) / 16000)
    peaks = mel_to_hz(mel_edges(settings), "htk")[1:-1]
    assert features(clip, settings)[..., 0].mean(axis=0).argmax() == np.abs(peaks - hz).argmin()


def test_silence_is_the_logarithm_of_the_offset() -> None:
    found = features(np.zeros(16000), FrontEnd(feature="log_mel"))
    assert found.shape == (49, 40, 1)
    assert found.dtype == np.float32
    assert np.unique(found).tolist() == pytest.approx([np.log(1e-6)])


def test_the_floor_raises_and_the_offset_adds() -> None:
    found = features(np.zeros(16000), FrontEnd(feature="log_mel", log_floor=0.5, log_offset=0.25))
    assert np.unique(found).tolist() == pytest.approx([np.log(0.75)])


@pytest.mark.parametrize("power", [1, 2])
def test_decibels_are_those_of_the_amplitude_whatever_is_summed(power: Any) -> None:
    clip = pseudo_random(16000)
    settings = FrontEnd(feature="log_mel", log="decibel", log_offset=0, log_floor=1e-30, power=power)
    change = [features(gain * clip, settings) for gain in (0.1, 1.0)]
    assert np.allclose(change[1] - change[0], 20, atol=1e-3)


def test_a_flat_spectrum_has_only_the_first_coefficient() -> None:
    flat = np.full((1, 40), 3.0)
    assert (flat @ dct_matrix(FrontEnd()))[0].tolist() == pytest.approx([3 * np.sqrt(2 / 40) * 40, *[0] * 9], abs=1e-12)
    assert (flat @ dct_matrix(FrontEnd(dct="ortho")))[0, 0] == pytest.approx(3 * np.sqrt(40))


def test_the_orthonormal_dct_is_scipy_s() -> None:
    from scipy.fft import dct

    rows = np.random.default_rng(1).normal(size=(5, 40))
    assert np.abs(rows @ dct_matrix(FrontEnd(dct="ortho")) - dct(rows, norm="ortho")[:, :10]).max() < 1e-12


def test_the_default_is_what_tf_signal_computes_for_mlperf_tiny_s_keyword_spotting() -> None:
    import tensorflow as tf

    clip = 0.3 * pseudo_random(16000)
    spectrum = tf.abs(tf.signal.stft(clip, 480, 320, window_fn=tf.signal.hann_window))
    matrix = tf.signal.linear_to_mel_weight_matrix(40, 257, 16000, 20.0, 4000.0, dtype=tf.float64)
    log_mel = tf.math.log(tf.matmul(spectrum, matrix) + 1e-6)
    theirs = tf.signal.mfccs_from_log_mel_spectrograms(log_mel)[:, :10].numpy()
    found = features(clip, FrontEnd())
    assert found.shape == (49, 10, 1)
    assert np.abs(found[..., 0] - theirs).max() < 1e-5


def test_mlperf_tiny_s_anomaly_features_are_what_librosa_computes() -> None:
    # librosa 0.11.0, melspectrogram(sr=16000, n_fft=1024, hop_length=512, n_mels=128, power=2, pad_mode="reflect") of
    # the same clip, then 10 log10(max(S, eps)): its frame 100 of 313, bins 0 and 60
    clip = 0.1 * pseudo_random(160000) + 0.3 * np.sin(2 * np.pi * 700 * np.arange(160000) / 16000)
    found = model_samples(clip[None], MLPERF_ANOMALY)
    assert found.shape == (196, 640)
    frame = found[50, :128]  # vector 50 begins with the kept frame 50, which is frame 100 of the clip
    assert frame[60] == pytest.approx(-11.006820065166202, abs=1e-4)


def test_stacked_frames_are_flat_oldest_first() -> None:
    frames = np.arange(8, dtype=np.float32).reshape(1, 4, 2)
    assert stack(frames, 3).tolist() == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7]]


def test_clips_that_are_stacked_together_do_not_mix() -> None:
    settings = FrontEnd(**EIGHT, stack_frames=2)
    clips = np.random.default_rng(2).normal(size=(3, 16))
    one_by_one = np.concatenate([model_samples(clip[None], settings) for clip in clips])
    assert model_samples(clips, settings).shape == (6, 4)
    assert np.array_equal(model_samples(clips, settings), one_by_one)


def test_int16_is_divided_by_32768() -> None:
    quantized = np.round(pseudo_random(16000) * 30000).astype(np.int16)
    assert np.array_equal(features(quantized, FrontEnd()), features(quantized / 32768, FrontEnd()))
    wave = FrontEnd(feature="waveform", clip_s=2 / 16000)
    assert features(np.array([-32768, 16384], np.int16), wave).tolist() == [[-1.0], [0.5]]


def test_pre_emphasis_subtracts_the_sample_before_and_keeps_the_first() -> None:
    settings = FrontEnd(feature="waveform", clip_s=3 / 16000, pre_emphasis=0.5)
    assert features(np.array([1.0, 1.0, -1.0]), settings)[:, 0].tolist() == [1.0, 0.5, -1.5]


@pytest.mark.parametrize("given", [{"pre_emphasis": 0.9}, {"normalize_clip": "peak"}, {"normalize_clip": "rms"}])
def test_what_is_done_to_a_clip_is_done_once(given: dict[str, Any]) -> None:
    clip = pseudo_random(16000) * np.linspace(0, 0.5, 16000)
    done = features(clip, FrontEnd(feature="waveform", **given))[:, 0].astype(np.float64)
    assert np.allclose(features(clip, FrontEnd(**given)), features(done, FrontEnd()), atol=1e-4)


def test_each_clip_gets_its_own_gain_and_silence_stays() -> None:
    clips = np.array([[0.0, 0.25, -0.5], [0, 0, 0], [0.1, 0, 0]])
    peak = features(clips, FrontEnd(feature="waveform", clip_s=3 / 16000, normalize_clip="peak"))[..., 0]
    assert np.allclose(peak, [[0, 0.5, -1], [0, 0, 0], [1, 0, 0]])
    rms = features(clips, FrontEnd(feature="waveform", clip_s=3 / 16000, normalize_clip="rms"))[..., 0]
    assert np.sqrt((rms ** 2).mean(axis=1)).tolist() == pytest.approx([0.1, 0, 0.1])


def test_reflection_leaves_out_the_end_sample_itself() -> None:
    clip = np.arange(16.0)[None]
    reflected = analyze(clip, FrontEnd(**EIGHT, edge="reflect")).windowed[0]
    assert reflected[0].tolist() == [4, 3, 2, 1, 0, 1, 2, 3]
    assert reflected[-1].tolist() == [12, 13, 14, 15, 14, 13, 12, 11]
    assert analyze(clip, FrontEnd(**EIGHT, edge="zero")).windowed[0, 0].tolist() == [0, 0, 0, 0, 0, 1, 2, 3]


def test_kept_frames_are_those_of_all_frames() -> None:
    clip = pseudo_random(16000)
    assert np.array_equal(features(clip, FrontEnd(keep_frames=(10, 12))), features(clip, FrontEnd())[10:12])


@pytest.mark.parametrize(("clip", "message"), [
    (np.zeros(15999), "shape \\(15999,\\)"), (np.zeros(16000, np.int32), "int32"), (np.zeros((1, 1, 16000)), "shape")])
def test_a_clip_of_another_length_or_type_is_refused(clip: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        features(clip, FrontEnd())
