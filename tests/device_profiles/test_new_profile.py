"""A profile from a few facts: answers, sources, and what stands where nothing is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.errors import UsageError
from device_profiles.loader import load_profile
from device_profiles.new_profile import QUESTIONS, Draft, Missing, changed
from device_profiles.schema import Calibrated, Profile
from device_profiles.writing import checked, data_yaml

MCU = {"name": "mine", "core": "Cortex-M7", "clock": "480 MHz", "ram": "1 MiB", "flash": "2 MiB"}
PI = {"name": "mine", "core": "Cortex-A72", "cores": "4", "clock": "1.5 GHz", "ram": "4 GiB", "threads": "4"}
SOURCE = {"": "ST datasheet DS12110"}


def settled(given: dict[str, str], sources: dict[str, str] | None = None, like: str = "") -> Draft:
    draft = Draft(dict(given), SOURCE if sources is None else sources, load_profile(like) if like else None)
    for question in QUESTIONS:
        draft.settle(question)
    return draft


def made(given: dict[str, str], sources: dict[str, str] | None = None, like: str = "") -> Profile:
    return checked(data_yaml(settled(given, sources, like).profile()), Path("mine.yaml"))


def test_a_microcontroller_needs_five_facts() -> None:
    profile = made(MCU)
    assert profile.hardware is not None
    assert (profile.device_class, profile.engine.name, profile.threads) == ("iot", "tflm", 1)
    assert (profile.hardware.clock_hz.value, profile.hardware.cores.value) == (480e6, 1)
    assert profile.hardware.arena_bytes.value == 786_432  # three quarters of 1 MiB
    assert profile.hardware.flash_bytes is not None
    assert profile.hardware.flash_bytes.value == 2_097_152
    assert profile.hardware.core.source == "ST datasheet DS12110"
    assert profile.hardware.arena_bytes.source.startswith("a default: ")
    assert profile.formats == load_profile("iot").formats
    assert profile.latency == Calibrated(kind="calibrated")


def test_an_application_processor_runs_litert_and_needs_its_cores() -> None:
    profile = made(PI)
    assert profile.hardware is not None
    assert (profile.device_class, profile.engine.name, profile.threads) == ("cpu", "litert", 4)
    assert profile.hardware.flash_bytes is None
    assert profile.hardware.arena_bytes.value == 1 << 30
    with pytest.raises(Missing):
        settled({key: text for key, text in PI.items() if key != "cores"})


def test_a_fact_without_a_source_is_missing_and_each_may_have_its_own() -> None:
    with pytest.raises(Missing):
        settled(MCU, {"clock": "measured with a scope"})
    profile = made(MCU, {"": "ST datasheet DS12110", "clock": "measured with a scope"})
    assert profile.hardware is not None
    assert profile.hardware.clock_hz.source == "measured with a scope"
    with pytest.raises(UsageError, match="the source 'x' is too short"):
        settled(MCU, {"": "x"})


def test_another_profile_stands_in_with_its_own_sources_where_they_still_hold() -> None:
    profile = made({"name": "mine", "clock": "80 MHz"}, {"": "measured with a scope"}, like="nucleo-l4r5zi")
    other = load_profile("nucleo-l4r5zi")
    assert profile.hardware is not None
    assert other.hardware is not None
    assert profile.hardware.ram_bytes == other.hardware.ram_bytes
    assert profile.hardware.clock_hz.value == 80e6
    assert profile.latency == Calibrated(kind="calibrated")  # what was published ran at another clock
    same = made({"name": "mine"}, {}, like="nucleo-l4r5zi")
    assert isinstance(same.latency, Calibrated)
    assert same.latency.device == "nucleo-l4r5zi"
    smaller = made({"name": "mine", "ram": "64 KiB"}, like="nucleo-l4r5zi")
    assert smaller.hardware is not None
    assert smaller.hardware.arena_bytes.value == 49_152  # not that of the larger one


def test_a_device_of_a_published_name_is_that_device() -> None:
    found = settled(MCU | {"name": "stm32h743"})
    assert found.value("published") == "stm32h743"
    assert "published" in found.defaulted
    assert settled(MCU | {"published": "none", "name": "stm32h743"}).value("published") == ""
    assert "stm32h743" in found.published_alike()
    assert "nrf5340-dk" not in found.published_alike()


def test_a_core_that_nobody_knows_is_taken_with_a_mark_and_then_the_rest_must_be_said() -> None:
    with pytest.raises(UsageError) as raised:
        settled(MCU | {"core": "Cortex-M8"})
    assert "did you mean 'cortex-m" in raised.value.found
    assert "'Cortex-M8!' takes it as it is" in raised.value.next_step
    with pytest.raises(Missing):
        settled(MCU | {"core": "HiFi 4!"})
    profile = made(MCU | {"core": "HiFi 4!", "class": "iot", "cores": "1", "engine": "tflm"})
    assert profile.hardware is not None
    assert profile.hardware.core.value == "HiFi 4"


@pytest.mark.parametrize(("key", "text", "found"), [
    ("name", "My Board", "is no name of a profile"), ("name", "iot", "is the name of a shipped profile"),
    ("name", "", "is no name of a profile"), ("device", " ", "nothing was written"),
    ("class", "phone", "'phone' is no class"), ("engine", "tflite", "'tflite' is no engine"),
    ("clock", "480", "no device has that clock"), ("ram", "much", "no number with a unit"),
    ("cores", "two", "no whole number"), ("published", "stm32h74", "is no device of the published measurements")])
def test_an_answer_that_cannot_be_is_refused(key: str, text: str, found: str) -> None:
    with pytest.raises(UsageError, match=found):
        settled(MCU | {key: text})


def test_words_and_none_are_read_as_lists_and_nothing() -> None:
    found = settled(MCU | {"instruction-set": "dsp, fpv5", "power": "none", "flash": "none"})
    assert [found.value(key) for key in ("instruction-set", "power", "flash")] == [["dsp", "fpv5"], None, None]
    profile = made(MCU | {"power": "250 mW"})
    assert profile.active_power_w is not None
    assert profile.active_power_w.value == 0.25


def test_anything_else_is_set_by_its_key() -> None:
    data = changed({"name": "mine", "threads": 1}, {"limits.latency_median_ms": "20", "target": "ssh:pi@pi"})
    assert data == {"name": "mine", "threads": 1, "limits": {"latency_median_ms": 20}, "target": "ssh:pi@pi"}
    with pytest.raises(UsageError, match="'threads' is a value, not a mapping"):
        changed({"threads": 1}, {"threads.more": "2"})
