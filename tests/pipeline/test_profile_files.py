"""Profiles as files: never over another one unasked, nothing written where there is a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.errors import ConfigError, UsageError
from device_profiles.loader import load_profile
from pipeline.profile_files import refuse_existing, sanity, summary, write_profile

DATA = {"name": "mine", "like": "nucleo-l4r5zi"}


def test_a_profile_is_written_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    profile = write_profile(DATA, path, False, ["Mine."])
    assert path.read_text().startswith("# Mine.\nname: mine\n")
    assert load_profile(path).hardware == profile.hardware == load_profile("nucleo-l4r5zi").hardware


def test_a_file_that_is_there_stays_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("precious")
    with pytest.raises(UsageError, match="is there already, and was not written over"):
        write_profile(DATA, path, False, [])
    assert path.read_text() == "precious"
    write_profile(DATA, path, True, [])
    assert load_profile(path).name == "mine"


def test_a_fault_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key 'thread'"):
        write_profile(DATA | {"thread": 1}, tmp_path / "mine.yaml", False, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "found"), [("", "is a folder"), ("mine.txt", "would not be read as a profile"),
                                             ("none/mine.yaml", "there is no folder")])
def test_a_place_that_cannot_be_is_refused(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(UsageError, match=found):
        refuse_existing(tmp_path / name, force=True)


def test_a_profile_says_what_it_predicts_of_networks_that_people_know() -> None:
    profile = load_profile("nucleo-l4r5zi")
    found = sanity(profile)
    assert [each.network for each in found] == ["ds_cnn", "mobilenet_v1 size=96 width=0.25"]
    assert all(each.latency is not None and each.latency.interval is not None for each in found)
    lines = summary(profile, Path("x.yaml"), ["arena"], found)
    assert lines[0] == f"x.yaml: {profile.device}, iot, tflm with 1 thread"
    assert lines[1] == "  1 x Cortex-M4F at 120 MHz, 640 KiB RAM of which 512 KiB are free, 2 MiB flash"
    assert "  by default: arena" in lines
    assert any(line.startswith("  ds_cnn int8: ") and line.endswith(", 80 % interval") for line in lines)
    assert [each.network for each in sanity(load_profile("pixel-4"))] == ["mobilenet_v1", "mobilenet_v1"]
