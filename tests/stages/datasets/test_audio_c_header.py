"""The C header: a program of nothing but its tables gives the pipeline's features."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from stages.datasets.audio.c_header import c_header
from stages.datasets.audio.front_end import FrontEnd
from stages.datasets.audio.vectors import write_front_end

PROGRAM = r"""
#include <math.h>
#include <stdio.h>
#include "front_end.h"

static int16_t clip[FRONT_END_CLIP_SAMPLES];
static float x[FRONT_END_CLIP_SAMPLES];

int main(void) {
    if (fread(clip, 2, FRONT_END_CLIP_SAMPLES, stdin) != FRONT_END_CLIP_SAMPLES) return 1;
    double energy = 0;
    for (int n = 0; n < FRONT_END_CLIP_SAMPLES; n++) { x[n] = clip[n] / 32768.0f; energy += (double)x[n] * x[n]; }
#ifdef FRONT_END_RMS_TARGET
    float gain = energy > 0 ? FRONT_END_RMS_TARGET / (float)sqrt(energy / FRONT_END_CLIP_SAMPLES) : 1.0f;
    for (int n = 0; n < FRONT_END_CLIP_SAMPLES; n++) x[n] *= gain;
#endif
    for (int n = FRONT_END_CLIP_SAMPLES - 1; n > 0; n--) x[n] -= FRONT_END_PRE_EMPHASIS * x[n - 1];
    for (int t = FRONT_END_FIRST_FRAME; t < FRONT_END_FIRST_FRAME + FRONT_END_FRAMES; t++) {
        float lines[FRONT_END_FFT / 2 + 1], logs[FRONT_END_MEL_BINS];
        for (int k = 0; k <= FRONT_END_FFT / 2; k++) {
            double re = 0, im = 0;
            for (int n = 0; n < FRONT_END_WINDOW; n++) {
                double v = front_end_window[n] * x[t * FRONT_END_HOP + n];
                double a = 2 * M_PI * ((long)k * n % FRONT_END_FFT) / FRONT_END_FFT;
                re += v * cos(a); im -= v * sin(a);
            }
            lines[k] = FRONT_END_POWER == 2 ? (float)(re * re + im * im) : (float)sqrt(re * re + im * im);
        }
        const float *weight = front_end_mel_weights;
        for (int m = 0; m < FRONT_END_MEL_BINS; m++) {
            float sum = 0;
            for (int i = 0; i < front_end_mel_count[m]; i++) sum += *weight++ * lines[front_end_mel_first[m] + i];
            logs[m] = FRONT_END_LOG_SCALE * logf(fmaxf(sum, FRONT_END_LOG_FLOOR) + FRONT_END_LOG_OFFSET);
        }
        for (int j = 0; j < FRONT_END_BINS; j++) {
#ifdef MFCC
            float value = 0;
            for (int m = 0; m < FRONT_END_MEL_BINS; m++) value += logs[m] * front_end_dct[m * FRONT_END_BINS + j];
#else
            float value = logs[j];
#endif
            fwrite(&value, 4, 1, stdout);
        }
    }
    return 0;
}
"""

SETTINGS = [
    FrontEnd(sample_rate=8000, clip_s=0.2, normalize_clip="rms", log_offset=0.05),
    FrontEnd(sample_rate=8000, clip_s=0.2, feature="log_mel", mel_bins=20, power=2, log="decibel", log_floor=1e-6,
             log_offset=0, pre_emphasis=0.95, window="hamming", mel_scale="slaney", mel_slopes="hz", mel_norm="slaney",
             keep_frames=(1, 6)),
]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("settings", SETTINGS, ids=["mfcc", "log_mel"])
def test_a_c_program_of_the_header_s_tables_gives_every_vector_s_feature(settings: FrontEnd, tmp_path: Path) -> None:
    write_front_end(tmp_path, settings, {})
    (tmp_path / "main.c").write_text(PROGRAM)
    define = ["-DMFCC"] if settings.feature == "mfcc" else []
    subprocess.run(["gcc", "-Wall", "-Werror", "-O1", *define, "main.c", "-o", "main", "-lm"], cwd=tmp_path, check=True)
    vectors = np.load(tmp_path / "front_end_vectors.npz")
    clips = json.loads((tmp_path / "front_end.json").read_text("utf-8"))["vectors"]["clips"]
    for name, about in clips.items():
        done = subprocess.run([tmp_path / "main"], input=vectors[f"{name}_input"].tobytes(), capture_output=True,
                              check=True)
        found = np.frombuffer(done.stdout, np.float32).reshape(settings.clip_shape)
        assert np.abs(found - vectors[f"{name}_feature"]).max() <= about["feature_tolerance"], name


def test_sizes_and_words_stand_in_the_header() -> None:
    text = c_header(FrontEnd())
    for line in ("#define FRONT_END_CLIP_SAMPLES 16000", "#define FRONT_END_FFT 512", "#define FRONT_END_BINS 10",
                 "#define FRONT_END_LOG_OFFSET 9.99999997e-07f", "#define FRONT_END_PRE_EMPHASIS 0.0f",
                 "static const float front_end_dct[400] = {", " * 4. X[k] = sum over n of w[n] * x[n]"):
        assert line in text
    assert "TARGET" not in text


def test_a_waveform_s_header_has_no_tables() -> None:
    text = c_header(FrontEnd(feature="waveform", normalize_clip="peak"))
    assert "#define FRONT_END_PEAK_TARGET 1.0f" in text
    assert "static const" not in text


def test_empty_bins_sum_nothing() -> None:
    text = c_header(FrontEnd(sample_rate=8000, window_ms=8, fft=64, hop_ms=8, mel_bins=40))
    counts = text.split("front_end_mel_count[40] = {")[1].split("}")[0].replace("\n", " ").split(",")
    assert 0 in [int(count) for count in counts if count.strip()]
