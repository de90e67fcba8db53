"""The front end's parameters: sizes by hand, contradictions refused in words, the feature said in words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stages.datasets.audio.front_end import FrontEnd, describe


def test_the_default_is_mlperf_tiny_s_keyword_spotting() -> None:
    settings = FrontEnd()
    assert (settings.clip_samples, settings.window_samples) == (16000, 480)
    assert (settings.hop_samples, settings.fft_size) == (320, 512)
    assert settings.output_shape == (49, 10, 1)  # 1 + (16000 - 480) // 320
    assert settings.top_hz == 4000


@pytest.mark.parametrize(("given", "shape", "samples"), [
    ({"feature": "log_mel"}, (49, 40, 1), 1),
    ({"feature": "waveform"}, (16000, 1), 1),
    ({"sample_rate": 8000, "clip_s": 0.5}, (24, 10, 1), 1),  # 1 + (4000 - 240) // 160 = 24.5 whole
    ({"edge": "zero"}, (51, 10, 1), 1),  # 1 + (16512 - 480) // 320
    ({"keep_frames": [4, 14], "feature": "log_mel", "stack_frames": 5}, (200,), 6),
    ({"window_ms": 25, "hop_ms": 10}, (98, 10, 1), 1),
])
def test_shapes_follow_from_times(given: dict[str, Any], shape: tuple[int, ...], samples: int) -> None:
    settings = FrontEnd(**given)
    assert settings.output_shape == shape
    assert settings.samples_per_clip == samples


@pytest.mark.parametrize(("window_ms", "fft"), [(16, 256), (16.0625, 512), (32, 512), (0.0625, 2), (0.125, 2)])
def test_the_transform_is_the_next_power_of_two(window_ms: float, fft: int) -> None:
    assert FrontEnd(window_ms=window_ms, hop_ms=10).fft_size == fft


@pytest.mark.parametrize(("given", "message"), [
    ({"fft": 500}, "fft is 500; it must be a power of two"),
    ({"fft": 256}, "fft is 256, a window has 480 samples"),
    ({"clip_s": 0.02}, "a clip has 320 samples, less than one window of 480"),
    ({"hop_ms": 0.01}, "shorter than one sample"),
    ({"clip_s": 0.00001}, "clip_s is shorter than one sample"),
    ({"sample_rate": 8000, "high_hz": 8000}, "high_hz is 8000; half of the sample rate is 4000"),
    ({"low_hz": 5000}, "low_hz is 5000, high_hz 4000"),
    ({"log_offset": 0}, "silence has no logarithm"),
    ({"coefficients": 41}, "coefficients is 41; there are 40 mel_bins"),
    ({"keep_frames": [40, 50]}, "keep_frames is 40 to 50; a clip has 49 frames"),
    ({"keep_frames": [5, 5]}, "keep_frames is 5 to 5"),
    ({"stack_frames": 50}, "stack_frames is 50; a clip has 49 frames"),
    ({"stack_frames": 2, "feature": "waveform"}, "a waveform has none"),
    ({"edge": "reflect", "clip_s": 0.015}, "to reflect them takes more than 256"),
    ({"window": "hanning"}, "hann"),
    ({"melbins": 3}, "melbins"),
])
def test_what_does_not_fit_together_is_refused_in_words(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FrontEnd(**given)
    assert message in str(caught.value)


def test_the_description_has_every_number_of_the_default() -> None:
    text = "\n".join(describe(FrontEnd(pre_emphasis=0.97, normalize_clip="rms")))
    for piece in ("16000 samples at 16000 Hz", "divided by 32768", "x[n] - 0.97 * x[n-1]", "0.1 / sqrt(mean(x[n]^2))",
                  "the 480 samples from 320 * t on; t = 0 to 48", "0.5 - 0.5 * cos(2 * pi * n / 480)",
                  "exp(-2 * pi * i * k * n / 512), k = 0 to 256", "S[k] = |X[k]|.", "htk mel from 20 to 4000 Hz",
                  "ln(max(E[m], 0) + 1e-06)", "cos(pi * j * (m + 0.5) / 40), j = 0 to 9, scaled by sqrt(2 / 40).",
                  "(49, 10, 1)"):
        assert piece in text


@pytest.mark.parametrize(("given", "piece"), [
    ({"window": "hamming"}, "0.54 - 0.46 * cos"), ({"window": "rectangular"}, "w[n] = 1"), ({"power": 2}, "|X[k]|^2"),
    ({"log": "decibel"}, "20 * log10"), ({"log": "decibel", "power": 2}, "10 * log10"), ({"edge": "zero"}, "zeros"),
    ({"edge": "reflect"}, "mirrored"), ({"dct": "ortho"}, "c[0] by sqrt(1 / 40)"),
    ({"feature": "waveform"}, "The clip is"),
    ({"normalize_clip": "peak"}, "largest magnitude"), ({"stack_frames": 5}, "50 values; 45 samples a clip"),
    ({"keep_frames": [3, 7]}, "t = 3 to 6"),
])
def test_the_description_follows_the_setting(given: dict[str, Any], piece: str) -> None:
    assert piece in "\n".join(describe(FrontEnd(**given)))
