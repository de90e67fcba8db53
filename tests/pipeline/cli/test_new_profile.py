"""`litesmith profiles new`, typed: with options, at a terminal, and with what cannot be."""

from __future__ import annotations

import json

import click
import pytest

from device_profiles.loader import load_profile
from pipeline.cli import new_profile

FACTS = ("--core", "Cortex-M7", "--clock", "480 MHz", "--ram", "1 MiB", "--flash", "2 MiB", "--source",
         "ST datasheet DS12110")


@pytest.fixture
def answers(monkeypatch):
    """Somebody at a terminal who types these, one after another; an empty one takes what is proposed."""
    def type_them(*words):
        left = iter(words)

        def prompt(text, default=None, err=False):
            word = next(left, "")
            return default if word == "" and default is not None else word

        monkeypatch.setattr(new_profile, "_at_terminal", lambda: True)
        monkeypatch.setattr(click, "prompt", prompt)

    return type_them


def test_a_profile_is_written_from_options_and_never_over_another(typed, tmp_path):
    done = typed("profiles", "new", "mine", *FACTS)
    assert done.code == 0, done.err
    profile = load_profile(tmp_path / "mine.yaml")
    assert (profile.hardware.clock_hz.value, profile.engine.name) == (480e6, "tflm")
    assert done.out.startswith("mine.yaml: mine, iot, tflm with 1 thread\n")
    assert "litesmith profiles calibrate mine.yaml" in done.out
    again = typed("profiles", "new", "mine", *FACTS)
    assert again.code == 2
    assert "is there already, and was not written over" in again.err
    assert typed("profiles", "new", "mine", *FACTS, "--force").code == 0


def test_without_a_terminal_every_missing_option_is_named_at_once(typed, tmp_path):
    done = typed("profiles", "new")
    assert done.code == 2
    assert "not given: NAME, --core, --clock, --ram, --source (where the facts are from)" in done.err
    assert "--cores" in typed("profiles", "new", "mine", "--core", "Cortex-A72", *FACTS[2:6], *FACTS[8:]).err
    assert list(tmp_path.iterdir()) == []


def test_like_another_profile_with_changes_and_json(typed, tmp_path):
    done = typed("profiles", "new", "mine", "--like", "nucleo-l4r5zi", "--clock", "80 MHz", "--source",
                 "clock=measured with a scope", "--set", "limits.latency_median_ms=20", "-o", "board.yaml", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["path"] == "board.yaml"
    assert told["profile"]["limits"]["latency_median_ms"] == 20
    assert [each["network"] for each in told["predicts"]] == ["ds_cnn", "mobilenet_v1 size=96 width=0.25"]
    assert "ram" in told["by_default"]
    profile = load_profile(tmp_path / "board.yaml")
    assert profile.hardware.clock_hz.source == "measured with a scope"


@pytest.mark.parametrize(("words", "found"), [
    (("--clock", "480"), "write '480 MHz' if that is meant"), (("--core", "Cortex-M8"), "did you mean 'cortex-m"),
    (("--set", "limits.latncy_median_ms=20"), "did you mean 'latency_median_ms'?"), (("--set", "threads"), "no '='"),
    (("--source", "clok=a datasheet of it"), "did you mean 'clock'?"), (("--like", "iott"), "did you mean 'iot'?"),
    (("--arena", "2 MiB"), "ram_bytes"), (("-o", "mine.txt"), "a file that ends in .yaml"),
    (("--engine", "tflight"), "is no engine")])
def test_what_cannot_be_is_one_clean_error_and_writes_nothing(typed, tmp_path, words, found):
    done = typed("profiles", "new", "mine", *FACTS, *words)
    assert done.code == 2
    assert found in done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_at_a_terminal_what_was_not_given_is_asked_for_until_it_can_be_read(typed, tmp_path, answers):
    answers("mine", "A board", "cortex-m77", "Cortex-M33", "short", "nRF5340 PS v1.2", "", "", "128", "128 MHz", "",
            "512 KiB", "", "", "1 MiB", "")
    done = typed("profiles", "new")
    assert done.code == 0, done.err
    profile = load_profile(tmp_path / "mine.yaml")
    assert (profile.device, profile.hardware.core.value) == ("A board", "Cortex-M33")
    assert profile.hardware.flash_bytes.value == 1 << 20
    assert profile.hardware.ram_bytes.source == "nRF5340 PS v1.2"
    assert "did you mean 'cortex-m7'" in done.err
    assert "a source of at least 8 characters" in done.err
    assert "'128' is 128 Hz, and no device has that clock" in done.err
    assert "published devices with this core: " in done.err
