"""Which corruptions fit which data, and the files that baseline and variants share."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import DataError, StoreError
from stages.datasets.audio.front_end import FrontEnd
from stages.datasets.audio.vectors import parameters
from stages.datasets.prepared import Preprocessing
from stages.records import TensorSpec
from stages.safety import stress
from stages.safety.corruptions import shifted
from tests.stages import two_by_two
from tests.stages.handmade_data import classes, write_data


def _data(folder: Path, x: np.ndarray) -> tuple[Path, Preprocessing]:
    names = x.dtype.names
    inputs = {name: TensorSpec(shape=x.dtype[name].shape, dtype=str(x.dtype[name].base)) for name in names or ()}
    preprocessing = classes(x.shape[1:], 3) if not names else Preprocessing(inputs=inputs, class_names=("a", "b", "c"))
    return write_data(folder / "data", x, np.arange(len(x)) % 3, preprocessing), preprocessing


def _write(folder: Path, x: np.ndarray, **settings: object) -> stress.About:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    return stress.write_corrupted(*_data(folder, x), stress.Settings.model_validate(settings), 1, out)


def test_images_get_four_kinds_and_each_file_holds_the_chosen_rows(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3)).astype(np.uint8)
    about = _write(tmp_path, x, samples=4)
    assert list(about.severities) == ["noise", "blur", "brightness", "shift"]
    assert about.rows == (0, 2, 5, 7)
    found = np.load(tmp_path / "out" / "corrupted_shift.npy")
    assert (found.shape, found.dtype) == ((4, 8, 8, 3), np.uint8)
    moves = [shifted(x[5], (down, right)).tolist() for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
    assert found[2].tolist() in moves
    assert stress.read_about(tmp_path / "out") == about


def test_the_same_seed_and_data_give_the_same_bytes(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((6, 5, 5, 1)).astype(np.float32)
    files = []
    for _ in range(2):
        _write(tmp_path, x)
        files.append({path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()})
    assert files[0] == files[1]


def test_vectors_get_noise_alone_and_flags_stay_flags(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(50, 10, 3000), rng.integers(0, 2, 3000)], axis=1).astype(np.float32)
    about = _write(tmp_path, x, severity=2, samples=0)
    assert about.severities == {"noise": "noise of 20 % of the standard deviation"}
    found = np.load(tmp_path / "out" / "corrupted_noise.npy")
    assert (found[:, 0] - x[:, 0]).std() == pytest.approx(0.2 * x[:, 0].std(), rel=0.05)
    assert np.array_equal(found[:, 1], x[:, 1])


def test_audio_features_get_noise_time_shift_and_gain_and_none_where_the_front_end_takes_loudness_away(
        tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(6, 49, 10, 1)).astype(np.float32)
    for clip, wanted in (("none", ["noise", "time_shift", "gain"]), ("peak", ["noise", "time_shift"])):
        front_end = parameters(FrontEnd.model_validate({"normalize_clip": clip}))
        folder = tmp_path / clip
        folder.mkdir()
        data, preprocessing = _data(folder, x)
        (data / "front_end.json").write_text(json.dumps(front_end))
        (folder / "out").mkdir()
        about = stress.write_corrupted(data, preprocessing, stress.Settings(), 1, folder / "out")
        assert list(about.severities) == wanted
    gain = np.load(tmp_path / "none" / "out" / "corrupted_gain.npy") - x
    grown = np.sqrt(80) * np.log(10) * 2 / 20  # 40 mel bins, 2 dB
    assert abs(gain[:, :, 0]) == pytest.approx(np.full((6, 49, 1), grown), rel=1e-4)
    assert (gain[:, :, 1:] == 0).all()


def test_a_corruption_that_does_not_fit_is_refused_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'blur' does not fit the data: samples of shape \(7,\) are vectors") as caught:
        _write(tmp_path, np.ones((4, 7), np.float32), kinds=["blur"])
    assert caught.value.allowed == "noise"
    x = np.ones((4, 20, 3), np.float32)
    with pytest.raises(DataError, match="no front end says what loudness is in them"):
        _write(tmp_path, x, kinds=["gain"])


def test_samples_of_no_known_layout_get_nothing_and_the_reason_is_kept(tmp_path: Path) -> None:
    about = _write(tmp_path, np.ones((3, 2, 2, 2, 2), np.float32))
    assert about.severities == {}
    assert "of no layout that corruptions are known for" in about.left_out


def test_a_layout_can_be_said(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((3, 20, 10, 1)).astype(np.float32)
    assert list(_write(tmp_path, x, layout="features").severities) == ["noise", "time_shift"]


def test_each_of_several_inputs_is_corrupted_by_its_own_layout(tmp_path: Path) -> None:
    x = two_by_two.stored(6)
    about = _write(tmp_path, x, kinds=["noise", "blur"])
    assert about.severities["noise"] == ("image: noise of 4 % of the range; age: noise of 10 % of the standard "
                                         "deviation")
    noise, blur = (np.load(tmp_path / "out" / f"corrupted_{kind}.npy") for kind in ("noise", "blur"))
    assert (noise["age"] != x["age"]).all()
    assert np.array_equal(blur["age"], x["age"])
    assert not np.array_equal(blur["image"], x["image"])


def test_an_unknown_kind_is_refused_with_the_near_miss() -> None:
    with pytest.raises(ValidationError, match=r"no corruption is called 'nois'.*did you mean 'noise'"):
        stress.Settings.model_validate({"kinds": ["nois"]})


@pytest.mark.parametrize(("kinds", "asked", "wanted"), [
    ("auto", False, False), ("auto", True, True), ("none", True, False), (["noise"], False, True), ([], True, False)])
def test_corruptions_are_made_where_a_limit_asks_or_they_are_named(kinds: object, asked: bool, wanted: bool) -> None:
    assert stress.Settings.model_validate({"kinds": kinds}).wanted(asked) == wanted


def test_a_damaged_list_of_corruptions_says_so(tmp_path: Path) -> None:
    assert stress.read_about(tmp_path) is None
    (tmp_path / stress.ABOUT_FILE).write_text("{", "utf-8")
    with pytest.raises(StoreError, match=r"corruptions\.json cannot be read"):
        stress.read_about(tmp_path)
