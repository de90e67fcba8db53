from __future__ import annotations

import sys
import time

import psutil
import pytest

from stages.npu import vela
from stages.npu.vela import Failure, arguments, compile_in
from tests.stages.npu.small import int8_model, npu


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A program that runs in Vela's place: `stand_in("exit 1")`."""

    def make(script: str) -> None:
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))

    return make


def compiled(tmp_path, timeout_s=60.0):
    folder = tmp_path / "work"
    folder.mkdir()
    return compile_in(folder, int8_model(), npu(), timeout_s)


def test_the_command_line_names_everything_of_the_npu():
    words = " ".join(arguments(npu(arena_cache_bytes=65_536)))
    assert words.startswith("model.tflite --accelerator-config ethos-u55-128 --config Arm/vela.ini --system-config "
                            "Ethos_U55_High_End_Embedded --memory-mode Shared_Sram --arena-cache-size 65536")


def test_a_profile_s_own_ini_file_comes_after_arm_s_and_lies_beside_the_model(tmp_path, stand_in):
    own = npu(ini="[System_Config.Mine]\ncore_clock=1e8\n")
    assert arguments(own)[3:7] == ["--config", "Arm/vela.ini", "--config", "own.ini"]
    stand_in("cat own.ini; exit 1")
    found = compile_in(tmp_path, int8_model(), own, 60)
    assert found == Failure(status="refused", message="core_clock=1e8")


def test_a_missing_vela_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(vela, "vela_version", lambda: None)
    assert compiled(tmp_path) == Failure(status="unavailable", message="Vela is not installed: pip install "
                                                                       "ethos-u-vela==5.2.0")


def test_a_crash_of_the_process_is_told_by_its_signal_and_last_words(tmp_path, stand_in):
    stand_in("echo reading; kill -SEGV $$")
    found = compiled(tmp_path)
    assert found == Failure(status="crashed", message="Vela's process was ended by SIGSEGV; its last words: reading")


def test_an_error_of_vela_is_shown_without_its_traceback(tmp_path, stand_in):
    stand_in("""echo 'Traceback (most recent call last):'; echo '  File "vela.py", line 1'
echo 'ethosu.vela.errors.CliOptionError: "Error: Incorrect argument"'; exit 1""")
    assert compiled(tmp_path) == Failure(status="refused", message="Error: Incorrect argument")


def test_the_end_of_vela_without_a_model_is_a_refusal_in_its_last_words(tmp_path, stand_in):
    stand_in("echo 'Failed to load TfLite model.'; exit 0")
    assert compiled(tmp_path) == Failure(status="refused", message="Failed to load TfLite model.")


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path, stand_in):
    stand_in("sleep 60 & echo $! > child; wait")
    found = compiled(tmp_path, timeout_s=1.0)
    assert found == Failure(status="timeout", message="Vela took longer than 1 s and was ended")
    child = int((tmp_path / "work" / "child").read_text())
    for _ in range(100):
        if not runs(child):
            return
        time.sleep(0.05)
    pytest.fail("the process that Vela had started still runs")


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
