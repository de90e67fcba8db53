"""Profiles by name and by path; the shipped ones are whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from device_profiles.errors import ConfigError, UsageError
from device_profiles.loader import load_profile, names, validate, with_limits
from device_profiles.support import rules
from tests.device_profiles.test_schema import GOOD

REPOSITORY = Path(__file__).parents[2]


def test_the_three_names_come_first_and_the_devices_follow_by_name() -> None:
    assert names()[:3] == ("cpu", "mobile", "iot")
    assert list(names()[3:]) == sorted(names()[3:])


def test_an_unknown_name_has_a_near_miss_and_the_list() -> None:
    with pytest.raises(UsageError) as caught:
        load_profile("mobil")
    assert "no profile is called 'mobil'; did you mean 'mobile'?" in str(caught.value)
    assert "cpu, mobile, iot" in caught.value.allowed
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("word", "meant"), [
    ("rp2040", "raspberry-pi-pico"), ("rk3588s", "firefly-rk3588s"), ("Snapdragon 8 Gen 3", "oneplus-12"),
    ("stm32f746g-disco", "stm32f746-disco")])
def test_a_profile_is_found_by_the_chip_behind_it(word: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean '{meant}'"):
        load_profile(word)


def test_a_path_is_read_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(GOOD)
    assert load_profile(str(path)) == load_profile(path) == validate(path)
    assert load_profile(path).name == "board"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file") as caught:
        load_profile(str(tmp_path / "none.yaml"))
    assert caught.value.path.endswith("none.yaml")


def test_limits_of_a_run_stand_over_the_profiles_own_and_none_takes_one_away() -> None:
    profile = load_profile("iot")
    changed = with_limits(profile, {"latency_median_ms": 7, "tflite_bytes": None})
    assert (changed.limits.latency_median_ms, changed.limits.tflite_bytes) == (7.0, None)
    assert changed.limits.accuracy_drop_points == profile.limits.accuracy_drop_points
    assert changed.model_copy(update={"limits": profile.limits}) == profile


@pytest.mark.parametrize(("limits", "words"), [
    ({"latency_median": 7}, "unknown limit 'latency_median'; did you mean 'latency_median_ms'?"),
    ({"latency_median_ms": -1}, "latency_median_ms: Input should be greater than 0"),
    ({"latency_median_ms": 5, "latency_p90_ms": 2}, "latency_p90_ms 2 is below"),
])
def test_a_limit_that_cannot_be_is_refused_with_the_profiles_name(limits: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        with_limits(load_profile("cpu"), limits)
    assert "profile 'cpu'" in caught.value.found
    assert words in caught.value.found


def test_loading_profiles_imports_no_framework_no_engine_and_no_numpy() -> None:
    code = ("import sys; from device_profiles.loader import load_profile; load_profile('iot');"
            "import device_profiles.predictor, device_profiles.support;"
            "print([m for m in sys.modules if m.split('.')[0] in "
            "('tensorflow', 'tf_keras', 'numpy', 'scipy', 'ai_edge_litert', 'tflite_runtime', 'tflite_micro')])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout.strip() == "[]"


def test_every_support_rule_is_a_sentence_for_the_user() -> None:
    assert len(rules()) == 9
    assert all(text.endswith(".") and len(text) > 30 for _, text in rules())
