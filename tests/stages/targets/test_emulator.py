"""The Arm machine in a folder: what is there, and how it is started."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from device_profiles.errors import TargetError
from stages.engines.targets.emulator import LAYOUT, About, Counts, Emulator, new_counts, read_counts

ABOUT = About(layout=LAYOUT, qemu="7.2.0", python="3.11.2", packages={"ai-edge-litert": "2.0.2"}, counts=True)


def test_what_is_there_is_read_from_its_list(tmp_path: Path) -> None:
    (tmp_path / "about.json").write_text(ABOUT.model_dump_json())
    assert Emulator(tmp_path).about("emulated") == ABOUT


@pytest.mark.parametrize(("text", "found"), [
    (None, "no emulator is installed in"), ("{}", "is damaged"), ("half a li", "is damaged"),
    (ABOUT.model_copy(update={"layout": 99}).model_dump_json(), "is of another litesmith")])
def test_what_cannot_be_used_is_named_with_the_command_that_mends_it(tmp_path: Path, text: str | None,
                                                                     found: str) -> None:
    if text is not None:
        (tmp_path / "about.json").write_text(text)
    with pytest.raises(TargetError, match=found) as caught:
        Emulator(tmp_path).about("emulated")
    assert caught.value.next_step.startswith("litesmith doctor --install arm-emulator")


def test_the_python_is_started_in_its_own_files_without_this_host_s_libraries(tmp_path: Path) -> None:
    (tmp_path / "qemu/usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    words = Emulator(tmp_path).python("max", "3.11", "worker.py", "litert", counting=Path("/tmp/c"))
    assert words[:2] == ["env", f"LD_LIBRARY_PATH={tmp_path}/qemu/usr/lib/x86_64-linux-gnu"]
    assert words[2:5] == [f"{tmp_path}/qemu/usr/bin/qemu-aarch64", "-U", "LD_LIBRARY_PATH"]
    assert words[words.index("-cpu") + 1] == "max"
    assert words[words.index("-L") + 1] == f"{tmp_path}/cores/max"
    assert words[words.index("-plugin") + 1] == f"{tmp_path}/count.so,out=/tmp/c"
    assert words[-3:] == [f"{tmp_path}/root/usr/bin/python3.11", "worker.py", "litert"]
    assert "-plugin" not in Emulator(tmp_path).python("max", "3.11", "worker.py")


def test_a_core_that_cannot_be_emulated_is_named_with_those_that_can(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="there is no core 'cortexa72'; did you mean 'cortex-a72'") as caught:
        Emulator(tmp_path).python("cortexa72", "3.11")
    assert caught.value.allowed.startswith("cortex-a35, cortex-a53, ")


def test_counts_are_two_numbers_in_a_file_and_differ_by_what_came_between(tmp_path: Path) -> None:
    file = new_counts(tmp_path / "counts")
    assert read_counts(file) == Counts(0, 0)
    file.write_bytes(struct.pack("<QQ", 1_000_000_007, 42))
    assert read_counts(file).since(Counts(7, 40)) == Counts(1_000_000_000, 2)
