"""What an emulated core says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.engines.targets.core_names import core_name
from stages.engines.targets.names import DEFAULT_CPU
from stages.engines.targets.views import CORES, CoreFacts, view_of, write_views


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """An installation whose emulated file system has one file."""
    (tmp_path / "root" / "usr").mkdir(parents=True)
    (tmp_path / "root" / "usr" / "python").write_text("there")
    write_views(tmp_path)
    return tmp_path


def test_every_core_has_all_files_and_a_cpuinfo_of_its_own(installed: Path) -> None:
    texts = set()
    for cpu in CORES:
        view = view_of(installed, cpu)
        assert (view / "usr" / "python").read_text() == "there"
        assert (view / "sys/devices/system/cpu/possible").read_text() == "0-3\n"
        texts.add((view / "proc/cpuinfo").read_text())
    assert len(texts) == len(CORES)
    assert DEFAULT_CPU in CORES


def test_an_installation_that_is_moved_keeps_its_views(installed: Path, tmp_path: Path) -> None:
    moved = installed.rename(tmp_path.parent / f"{tmp_path.name}-moved")
    assert (view_of(moved, "cortex-a53") / "usr" / "python").read_text() == "there"


def test_cpuinfo_is_as_linux_prints_it(installed: Path) -> None:
    lines = (view_of(installed, "cortex-a72") / "proc/cpuinfo").read_text().splitlines()
    assert lines[:2] == ["processor\t: 0", "BogoMIPS\t: 100.00"]
    assert lines[3:8] == ["CPU implementer\t: 0x41", "CPU architecture: 8", "CPU variant\t: 0x0", "CPU part\t: 0xd08",
                          "CPU revision\t: 3"]
    assert sum(line.startswith("processor") for line in lines) == 4


def test_the_part_numbers_are_those_by_which_boards_are_named() -> None:
    for cpu, facts in CORES.items():
        name = core_name(facts.implementer, facts.part)
        assert name.lower() == cpu if cpu != "max" else name == "core 0x00:0x051"


def test_only_cores_with_dot_products_say_that_they_have_them() -> None:
    assert [cpu for cpu, facts in CORES.items() if "asimddp" in facts.features.split()] == [
        "cortex-a76", "neoverse-n1", "max"]
    assert CoreFacts(1, "fp").text().count("Features\t: fp\n") == 4
