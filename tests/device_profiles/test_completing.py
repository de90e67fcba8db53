"""What a profile's file leaves out is taken from another profile and from its engine; faults keep their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.completing import resource
from device_profiles.errors import ConfigError
from device_profiles.loader import load_profile, names
from device_profiles.schema import Profile
from tests.device_profiles.test_schema import GOOD

SLOW = """\
name: slow-board
like: nucleo-l4r5zi
hardware:
  clock_hz: {value: 80e6, source: set in the firmware's clock tree}
limits: {latency_median_ms: 20, arena_bytes: null}
"""
OTHER_ENGINE = "engine: {name: tflite-runtime, version: 2.14.0, source: the wheel}\n"
KEPT = {"name", "like", "hardware", "limits"}


def read(folder: Path, text: str) -> Profile:
    """A profile's file with this text, read."""
    path = folder / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return load_profile(path)


def test_a_file_that_is_like_another_states_only_what_differs(tmp_path: Path) -> None:
    board, slow = load_profile("nucleo-l4r5zi"), read(tmp_path, SLOW)
    assert (slow.name, slow.like) == ("slow-board", "nucleo-l4r5zi")
    assert slow.model_dump(exclude=KEPT) == board.model_dump(exclude=KEPT)
    assert slow.hardware is not None
    assert board.hardware is not None
    assert slow.hardware.clock_hz.value == 80e6
    assert slow.hardware.model_dump(exclude={"clock_hz"}) == board.hardware.model_dump(exclude={"clock_hz"})


def test_limits_are_replaced_key_by_key_and_null_takes_one_away(tmp_path: Path) -> None:
    board, slow = load_profile("nucleo-l4r5zi").limits, read(tmp_path, SLOW).limits
    assert (slow.latency_median_ms, slow.arena_bytes) == (20, None)
    assert (slow.tflite_bytes, slow.accuracy_drop_points) == (board.tflite_bytes, board.accuracy_drop_points)
    assert board.arena_bytes == 524_288


def test_what_is_like_an_alias_rests_on_the_device_behind_it(tmp_path: Path) -> None:
    mine = read(tmp_path, "name: mine\nlike: mobile\nlimits: {latency_median_ms: 5}\n")
    assert (mine.like, mine.device) == ("mobile", load_profile("pixel-4").device)
    assert (mine.limits.latency_median_ms, mine.limits.tflite_bytes) == (5, 4_194_304)


@pytest.mark.parametrize(("like", "found", "allowed"), [
    ("nucleo-l4r5z", "no shipped profile is called 'nucleo-l4r5z'; did you mean 'nucleo-l4r5zi'?", "cpu, mobile, iot"),
    ("7", "no shipped profile is called '7'", "cpu, mobile, iot"),
    ("[iot]", "no shipped profile is called '['iot']'", "cpu, mobile, iot"),
], ids=["near miss", "number", "list"])
def test_a_profile_that_is_not_shipped_cannot_be_rested_on(tmp_path: Path, like: str, found: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"name: mine\nlike: {like}\n")
    assert caught.value.found.startswith(found)
    assert allowed in caught.value.allowed
    assert (caught.value.line, caught.value.next_step) == (2, "litesmith profiles list")


def test_a_fault_of_the_file_itself_has_its_own_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, SLOW.replace("80e6", "80"))
    assert (caught.value.line, caught.value.next_step) == (4, "if it is in MHz, write 80000000")


def test_a_contradiction_with_what_was_taken_is_found(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="threads 2 is more than the device's 1 cores"):
        read(tmp_path, SLOW + "threads: 2\n")


def test_a_profile_with_npu_files_of_its_own_needs_none_beside_the_new_one() -> None:
    assert "\n" not in resource("data", "engines.yaml")[:4]
    with pytest.raises(FileNotFoundError):
        resource("profiles", "none.ini")


def test_an_engine_brings_its_version_formats_and_operators(tmp_path: Path) -> None:
    text = GOOD.replace("engine: {name: tflm, version: any, source: the repository}\n", "engine: {name: tflm}\n")
    text = text.replace("formats: {value: [int8], source: the repository}\n", "")
    text = text.replace("operators: {value: [CONV_2D], source: the repository}\n", "")
    own, board = read(tmp_path, text), load_profile("nucleo-l4r5zi")
    assert (own.engine, own.formats, own.operators) == (board.engine, board.formats, board.operators)
    assert "TFLM_DECODE" in own.operators.value


def test_what_a_file_states_stands_over_its_engines(tmp_path: Path) -> None:
    own = read(tmp_path, GOOD.replace("version: any, source: the repository", "source: built from main"))
    assert (own.formats.value, own.operators.value) == (("int8",), ("CONV_2D",))
    assert own.engine.version == load_profile("iot").engine.version
    assert own.engine.source == "built from main"


def test_another_version_of_the_engine_has_to_state_what_it_takes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'formats' is missing"):
        read(tmp_path, GOOD.replace("formats: {value: [int8], source: the repository}\n", ""))


def test_another_engine_does_not_take_what_the_first_one_takes(tmp_path: Path) -> None:
    stated = "formats: {value: [int8], source: the repository}\noperators: {value: all, source: the repository}\n"
    with pytest.raises(ConfigError, match="'formats' is missing"):
        read(tmp_path, f"name: mine\nlike: pixel-4\n{OTHER_ENGINE}")
    mine = read(tmp_path, "name: mine\nlike: pixel-4\nengine: {name: litert}\n" + stated)
    assert mine.formats.value == ("int8",)
    other = read(tmp_path, f"name: mine\nlike: pixel-4\n{OTHER_ENGINE}{stated}")
    assert (other.engine.name, other.operators.value) == ("tflite-runtime", "all")


def test_every_shipped_alias_leads_to_a_shipped_device() -> None:
    likes = {name: load_profile(name).like for name in names()}
    assert (likes["mobile"], likes["iot"], likes["cpu"]) == ("pixel-4", "nucleo-l4r5zi", None)
    assert all(likes[other] is None for other in likes.values() if other)
