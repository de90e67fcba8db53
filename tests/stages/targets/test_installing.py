"""Installing the Arm emulator, with stand-ins for apt-get, dpkg, pip and QEMU that note what they are asked."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from device_profiles.errors import TargetError
from stages.engines.targets import installing
from stages.engines.targets.emulator import LAYOUT, Emulator
from stages.engines.targets.installing import WHEELS, compile_counter, install_arm_emulator
from tests.stages.targets.test_emulator import ABOUT


class Tools:
    """What the installation calls, answered from here."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.broken = ""

    def __call__(self, command: Sequence[str]) -> str:
        words = list(command)
        self.asked.append(words)
        if self.broken and self.broken in words:
            raise TargetError("arm-emulator", f"{words[0]} failed: no network")
        if words[0] == "apt-get" and "install" in words:
            state = next(word for word in words if word.startswith("Dir::Cache=")).partition("=")[2]
            (Path(state) / "archives" / "one.deb").write_bytes(b"deb")
        if words[:2] == ["dpkg", "-x"]:
            Path(words[3]).mkdir(parents=True, exist_ok=True)
            (Path(words[3]) / "unpacked").touch()
        if "--print-architecture" in words:
            return "amd64\n"
        if words[-1] == "--version":
            return "qemu-aarch64 version 7.2.22 (Debian 1:7.2)\n"
        if words[-2:-1] == ["-c"]:
            return '{"numpy": "1.26.4"}' if "metadata" in words[-1] else "3.11.2\n"
        return ""

    def programs(self) -> list[str]:
        return [Path(words[0]).name for words in self.asked]


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Tools:
    found = Tools()
    monkeypatch.setattr(installing, "_said", found)
    monkeypatch.setattr(installing.shutil, "which", lambda name: f"/usr/bin/{name}")
    return found


def ignore(step: str) -> None:
    """Nobody is told."""


def test_everything_goes_into_one_folder_by_name_and_without_root(tools: Tools, tmp_path: Path) -> None:
    folder, steps = tmp_path / "arm", list[str]()
    about = install_arm_emulator(folder, steps.append)
    assert (about.qemu, about.python, about.packages, about.counts) == ("7.2.22", "3.11.2", {"numpy": "1.26.4"}, True)
    assert Emulator(folder).about("emulated") == about
    assert len(steps) == 5
    assert sorted(path.name for path in folder.iterdir()) == ["about.json", "cores", "qemu", "root"]
    assert [path.name for path in tmp_path.iterdir()] == ["arm"]
    assert set(tools.programs()) == {"dpkg", "apt-get", "python", "gcc", "env"}
    for words in tools.asked:
        if words[0] == "apt-get":
            assert all(any(word.startswith(f"{option}={tmp_path}") for word in words)
                       for option in ("Dir::State", "Dir::Cache"))
            assert "--download-only" in words or words[-1] == "update"
    pip = next(words for words in tools.asked if "pip" in words)
    assert {f"{name}=={version}" for name, version in WHEELS.items()} < set(pip)
    assert "--only-binary" in pip


def test_what_is_whole_is_kept_unless_it_is_forced(tools: Tools, tmp_path: Path) -> None:
    first = install_arm_emulator(tmp_path / "arm", ignore)
    tools.asked.clear()
    assert install_arm_emulator(tmp_path / "arm", ignore) == first
    assert tools.asked == []
    install_arm_emulator(tmp_path / "arm", ignore, force=True)
    assert "apt-get" in tools.programs()


def test_an_installation_of_another_litesmith_or_a_damaged_one_is_made_anew(tools: Tools, tmp_path: Path) -> None:
    install_arm_emulator(tmp_path / "arm", ignore)
    for text in ('{"layout": 1}', ABOUT.model_copy(update={"layout": 1}).model_dump_json()):
        (tmp_path / "arm" / "about.json").write_text(text)
        assert install_arm_emulator(tmp_path / "arm", ignore).layout == LAYOUT


@pytest.mark.parametrize("broken", ["update", "pip", "-x", "--version"])
def test_nothing_is_left_where_a_step_fails_and_a_second_try_succeeds(tools: Tools, tmp_path: Path,
                                                                      broken: str) -> None:
    tools.broken = broken
    with pytest.raises(TargetError, match="no network"):
        install_arm_emulator(tmp_path / "arm", ignore)
    assert list(tmp_path.iterdir()) == []
    tools.broken = ""
    assert install_arm_emulator(tmp_path / "arm", ignore).python == "3.11.2"


def test_an_installation_that_works_survives_a_forced_one_that_fails(tools: Tools, tmp_path: Path) -> None:
    install_arm_emulator(tmp_path / "arm", ignore)
    tools.broken = "pip"
    with pytest.raises(TargetError):
        install_arm_emulator(tmp_path / "arm", ignore, force=True)
    assert Emulator(tmp_path / "arm").about("emulated").python == "3.11.2"


def test_without_apt_it_says_what_system_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installing.shutil, "which", lambda name: None)
    with pytest.raises(TargetError, match="there is no apt-get here") as caught:
        install_arm_emulator(tmp_path / "arm", ignore)
    assert "Debian or Ubuntu" in caught.value.allowed


def test_a_command_that_fails_is_quoted_and_one_that_is_not_there_named() -> None:
    with pytest.raises(TargetError, match="sh failed: no such package; try another"):
        installing._said(["sh", "-c", "echo no such package >&2; echo try another >&2; exit 100"])
    with pytest.raises(TargetError, match="/nowhere/apt-get could not be run"):
        installing._said(["/nowhere/apt-get"])


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler here: apt-get install gcc")
def test_the_counter_compiles_without_a_warning_and_exports_what_qemu_asks_for(tmp_path: Path) -> None:
    assert compile_counter(tmp_path / "count.so")
    done = subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o", tmp_path / "w.so",
                           installing.COUNTER], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    names = (tmp_path / "count.so").read_bytes()
    assert b"qemu_plugin_install" in names
    assert b"qemu_plugin_version" in names


def test_without_a_compiler_there_is_no_counter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installing.shutil, "which", lambda name: None)
    assert compile_counter(tmp_path / "count.so") is False
