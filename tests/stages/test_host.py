"""The host record and its fingerprint."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stages.engines.host import cores, cpu_name, fingerprint, host

X86 = "processor\t: 0\nmodel name\t: AMD EPYC 7R13\nflags\t\t: avx2\n\nprocessor\t: 1\nmodel name\t: AMD EPYC 7R13\n"
PI = ("processor\t: 0\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n"
      "Revision\t: c03114\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n")


def test_cpu_name_is_the_model_name_on_x86() -> None:
    assert cpu_name(X86) == "AMD EPYC 7R13"


def test_cpu_name_on_arm_is_the_board_and_the_cores_part_number() -> None:
    assert cpu_name(PI) == "Raspberry Pi 4 Model B Rev 1.4, Arm implementer 0x41 part 0xd08"
    assert cpu_name(PI.replace("Model\t", "Other\t")) == "Arm implementer 0x41 part 0xd08"


def test_cpu_name_is_empty_where_nothing_is_said() -> None:
    assert cpu_name("") == ""


def test_host_says_what_the_system_says() -> None:
    found = host()
    assert found.architecture == os.uname().machine
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.memory_bytes == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert found.cpu


def test_cores_are_those_that_this_process_may_use() -> None:
    last = max(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{last}]); from stages.engines.host import cores; print(cores())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == f"({last},)"
    assert last in cores()


@pytest.mark.parametrize(("change", "same"), [
    ({"cpu": "another"}, False), ({"architecture": "aarch64"}, False), ({"cores": 64}, False),
    ({"memory_bytes": 1 << 30}, False), ({"system": "Linux 7"}, False), ({"python": "3.13.0"}, True)])
def test_fingerprint_changes_with_what_a_latency_depends_on(change: dict[str, object], same: bool) -> None:
    found = host()
    assert (fingerprint(found.model_copy(update=change)) == fingerprint(found)) is same


def test_fingerprint_is_twelve_hexadecimal_digits() -> None:
    assert len(fingerprint(host())) == 12
    int(fingerprint(host()), 16)
