"""The machine that measures: what it is, and a short hash that changes when its latencies may."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path

from stages.records import Host

_CPUINFO = Path("/proc/cpuinfo")


def host() -> Host:
    """This machine, without starting a process or importing anything heavy."""
    return Host(cpu=cpu_name(_read(_CPUINFO)) or platform.machine(), architecture=platform.machine(),
                cores=len(cores()), memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
                system=f"{platform.system()} {platform.release()}", python=platform.python_version())


def cores() -> tuple[int, ...]:
    """The cores that this process may use, ascending; a container or `taskset` may leave fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def fingerprint(host: Host) -> str:
    """12 hexadecimal digits of what a latency depends on: CPU, architecture, cores, memory in GiB, system.

    Python is left out: the clock runs around the engine's own call.
    """
    memory_gib = round(host.memory_bytes / 2**30)
    text = "|".join([host.cpu, host.architecture, str(host.cores), str(memory_gib), host.system])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def cpu_name(cpuinfo: str) -> str:
    """The CPU's name in the text of `/proc/cpuinfo`, or "".

    x86 has `model name`; 64-bit Arm has none, but the boards' kernels add `Model`, and each core its implementer and
    part number (Arm's Main ID Register).
    """
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    if "CPU part" in fields and "model name" not in fields:
        part = f"Arm implementer {fields.get('CPU implementer', '?')} part {fields['CPU part']}"
        return f"{fields['Model']}, {part}" if "Model" in fields else part
    return fields.get("model name", "")


def _read(path: Path) -> str:
    """The file's text, or "" where the system has no such file."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
