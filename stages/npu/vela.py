"""Run Vela in a process of its own: a crash takes nothing else down, and a time limit holds."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from device_profiles.records import Record
from device_profiles.schema import Npu
from stages.npu.configuration import ARM_INI, INSTALL, OWN_INI, vela_version
from stages.records.base import EngineStatus

GIVEN = "model.tflite"
COMPILED = "model_vela.tflite"
PER_OPERATOR = "model_per-layer.csv"
_SUMMARY = "model_summary_*.csv"
_WORDS = "vela.txt"
_LAST_WORDS = 3
_ERROR = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception): (.+)$")


class Failure(Record):
    """Why there is no compiled model: `crashed` is of the process, `refused` Vela's own words on model or options."""

    status: EngineStatus
    message: str


@dataclass(frozen=True)
class Said:
    """What Vela left.

    Attributes:
        compiled: the tflite model.
        words: what it printed.
        summary: the CSV file with cycles and memory.
        per_operator: the CSV file with cycles by operator; empty where it wrote none.
    """

    compiled: bytes
    words: str
    summary: str
    per_operator: str


def compile_in(folder: Path, content: bytes, npu: Npu, timeout_s: float) -> Said | Failure:
    """Have Vela compile a tflite model.

    Args:
        folder: an empty folder to work in. Vela is given names without a path, so that its words do not depend on it.
        content: the tflite model.
        npu: what to compile for.
        timeout_s: seconds until the process is ended.
    """
    if vela_version() is None:
        return Failure(status="unavailable", message=f"Vela is not installed: {INSTALL}")
    (folder / GIVEN).write_bytes(content)
    if npu.ini is not None:
        (folder / OWN_INI).write_text(npu.ini.value, encoding="utf-8")
    words = folder / _WORDS
    try:
        status = _run(arguments(npu), folder, words, timeout_s)
    except subprocess.TimeoutExpired:
        return Failure(status="timeout", message=f"Vela took longer than {timeout_s:g} s and was ended")
    text = words.read_text(encoding="utf-8", errors="replace")
    summaries, compiled = list(folder.glob(_SUMMARY)), folder / COMPILED
    if status or not compiled.is_file() or not summaries:
        return _failure(status, text)
    rows = folder / PER_OPERATOR
    return Said(compiled=compiled.read_bytes(), words=text, summary=summaries[0].read_text(encoding="utf-8"),
                per_operator=rows.read_text(encoding="utf-8") if rows.is_file() else "")


def arguments(npu: Npu) -> list[str]:
    """Vela's command line without the program."""
    config = ["--config", ARM_INI] + (["--config", OWN_INI] if npu.ini is not None else [])
    cache = ["--arena-cache-size", str(npu.arena_cache_bytes.value)] if npu.arena_cache_bytes is not None else []
    return [GIVEN, "--accelerator-config", npu.accelerator.value, *config, "--system-config", npu.system_config.value,
            "--memory-mode", npu.memory_mode.value, *cache, "--output-dir", ".", "--verbose-performance",
            "--show-cpu-operations"]


def _run(words: list[str], folder: Path, log: Path, timeout_s: float) -> int:
    """Run it to its end, or to the limit's; its exit status."""
    # `-P` keeps the working folder off the module path, so that nothing there can stand in for Vela.
    command = [sys.executable, "-P", "-m", "ethosu.vela", *words]
    with log.open("wb") as out, subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                                 start_new_session=True) as child:
        try:
            return child.wait(timeout_s)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)


def _failure(status: int, text: str) -> Failure:
    """What stood in the way, in Vela's own words without its traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if status < 0:
        last = " | ".join(lines[-_LAST_WORDS:])
        return Failure(status="crashed", message=f"Vela's process was ended by {signal.Signals(-status).name}"
                       + (f"; its last words: {last}" if last else ""))
    said = next((match[1] for line in reversed(lines) if (match := _ERROR.match(line))), "")
    return Failure(status="refused", message=said.strip('"') or (lines[-1] if lines else f"Vela ended with {status}"))
