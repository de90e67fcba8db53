"""What a firmware engineer gets: numbers that agree with each other, bytes that do not change."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stages.datasets.audio.features import features
from stages.datasets.audio.front_end import FrontEnd
from stages.datasets.audio.vectors import FILES, made_clips, write_front_end

SMALL = FrontEnd(sample_rate=8000, clip_s=0.25)
SPEECH = np.round(8000 * np.sin(np.arange(2000) ** 1.3 / 50) * np.hanning(2000)).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("extras")
    write_front_end(found, SMALL, {"zero/a.wav": SPEECH})
    return found


def test_a_device_can_follow_every_step_from_the_files_alone(folder: Path) -> None:
    """Computes the feature of one frame with nothing but what is written, in float32 as a device would."""
    about = json.loads((folder / "front_end.json").read_text("utf-8"))
    vectors, matrix = np.load(folder / "front_end_vectors.npz"), np.load(folder / "mel_matrix.npy")
    sizes, settings = about["resolved"], about["settings"]
    for name, clip in about["vectors"]["clips"].items():
        start = clip["frame"] * sizes["hop_samples"]
        frame = vectors[f"{name}_input"][start:start + sizes["window_samples"]].astype(np.float32) / 32768
        n = np.arange(sizes["window_samples"])
        windowed = frame * (0.5 - 0.5 * np.cos(2 * np.pi * n / len(n)))
        assert np.allclose(windowed, vectors[f"{name}_windowed"], atol=1e-7)
        k = np.arange(sizes["fft"] // 2 + 1)
        spectrum = np.abs(windowed @ np.exp(-2j * np.pi * np.outer(n, k) / sizes["fft"]))
        assert np.allclose(spectrum, vectors[f"{name}_spectrum"], atol=1e-5)
        mel = spectrum.astype(np.float32) @ matrix
        assert np.allclose(mel, vectors[f"{name}_mel"], rtol=1e-4, atol=1e-5)
        log_mel = np.log(mel + np.float32(settings["log_offset"]))
        m = np.arange(settings["mel_bins"])
        scale = np.sqrt(2 / len(m))
        mfcc = [scale * (log_mel * np.cos(np.pi * j * (m + 0.5) / len(m))).sum() for j in range(sizes["bins"])]
        assert np.abs(mfcc - vectors[f"{name}_feature"][clip["frame"], :, 0]).max() <= clip["feature_tolerance"]


def test_the_vectors_features_are_the_pipeline_s(folder: Path) -> None:
    vectors = np.load(folder / "front_end_vectors.npz")
    names = {key.split("_")[0] for key in vectors.files}
    assert names == {"silence", "impulse", "sine", "noise", "recording0"}
    assert np.array_equal(vectors["recording0_input"], SPEECH)
    assert all(np.array_equal(vectors[f"{name}_feature"], features(vectors[f"{name}_input"], SMALL)) for name in names)


def test_single_precision_stays_within_the_tolerance_and_the_tolerance_is_tight(folder: Path) -> None:
    clips = json.loads((folder / "front_end.json").read_text("utf-8"))["vectors"]["clips"]
    assert clips["recording0"]["from"] == "zero/a.wav"
    assert clips["noise"]["feature_tolerance"] <= 1e-3
    assert all(clip["feature_tolerance"] >= 1e-4 for clip in clips.values())


def test_the_parameters_read_back_as_the_same_front_end(folder: Path) -> None:
    about = json.loads((folder / "front_end.json").read_text("utf-8"))
    assert FrontEnd.model_validate(about["settings"] | {"keep_frames": None}) == SMALL
    assert about["version"] == 1
    assert about["resolved"]["output_shape"] == [12, 10, 1]  # 1 + (2000 - 240) // 160
    assert about["resolved"]["high_hz"] == 4000
    assert about["steps"][-1] == "The sample has the shape (12, 10, 1): frames, bins, 1."


def test_the_same_front_end_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_front_end(tmp_path, SMALL, {"zero/a.wav": SPEECH})
    assert [path.name for path in sorted(tmp_path.iterdir())] == sorted(FILES)
    assert all((tmp_path / name).read_bytes() == (folder / name).read_bytes() for name in FILES)


def test_made_clips_can_be_made_again_by_hand() -> None:
    clips = made_clips(SMALL)
    # s1 = 1103515245 + 12345 = 1103527590, q = (s1 >> 15) - 32768; s2 = (1103515245 s1 + 12345) mod 2^31
    first, second = 1103527590, (1103515245 * 1103527590 + 12345) % 2**31
    assert clips["noise"][:2].tolist() == [(first >> 15) - 32768, (second >> 15) - 32768]
    assert clips["noise"].min() < -32000
    assert clips["noise"].max() > 32000
    assert clips["sine"][:5].tolist() == [0, 6270, 11585, 15137, 16384]
    assert (clips["impulse"] != 0).sum() == 1
    assert clips["impulse"][1000] == 32767


def test_a_waveform_has_no_matrix_and_no_tolerance(tmp_path: Path) -> None:
    write_front_end(tmp_path, FrontEnd(feature="waveform", clip_s=0.01), {})
    assert not (tmp_path / "mel_matrix.npy").exists()
    about = json.loads((tmp_path / "front_end.json").read_text("utf-8"))
    assert about["vectors"]["clips"]["sine"] == {"from": "made", "feature_tolerance": 0.0}
    vectors = np.load(tmp_path / "front_end_vectors.npz")
    assert np.array_equal(vectors["sine_feature"][:, 0], vectors["sine_input"] / np.float32(32768))


def test_stacked_front_ends_have_the_features_before_they_are_stacked(tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"stack_frames": 5, "keep_frames": (2, 9)})
    write_front_end(tmp_path, settings, {})
    assert np.load(tmp_path / "front_end_vectors.npz")["noise_feature"].shape == (7, 10, 1)
    about = json.loads((tmp_path / "front_end.json").read_text("utf-8"))
    assert about["resolved"]["output_shape"] == [50]
    assert 2 <= about["vectors"]["clips"]["noise"]["frame"] < 9
