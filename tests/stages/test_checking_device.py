"""Is the machine at a target the one that a profile describes?"""

from __future__ import annotations

import pytest

from device_profiles.loader import load_profile
from stages.checking.device import why_another_device
from stages.records import BenchmarkResult, Host
from stages.records.targets import Conditions, Device, DeviceState


def measured(*core_names: str, architecture: str = "aarch64", said: bool = True) -> BenchmarkResult:
    """A benchmark on a machine that names these cores."""
    machine = Host(cpu="a processor", architecture=architecture, cores=4, memory_bytes=2**30, system="Linux",
                   python="3.11")
    device = Device(target="ssh:pi@pi,python=/opt/python", core_names=core_names, host=machine)
    conditions = Conditions(device=device, before=DeviceState(), after=DeviceState()) if said else None
    return BenchmarkResult(summary="", host=machine, target=device.target, conditions=conditions, variants={})


@pytest.mark.parametrize(("found", "why"), [
    (measured("4 Cortex-A72"), ""),
    (measured("4 Cortex-A76", "4 Cortex-A72"), ""),
    (measured("4 Cortex-A53"), "4 Cortex-A53 stands at ssh:pi@pi"),
    (measured(architecture="x86_64"), "x86_64 (a processor) stands at ssh:pi@pi"),
    (measured(), ""),
    (measured("a core of tomorrow"), ""),
    (measured(said=False), "")], ids=["same", "one of two", "other", "x86", "silent", "unknown", "no conditions"])
def test_a_core_that_the_machine_names_is_held_against_the_profile_s(found: BenchmarkResult, why: str) -> None:
    assert why_another_device(load_profile("raspberry-pi-4"), found) == why


def test_a_profile_without_hardware_is_whatever_stands_there() -> None:
    assert why_another_device(load_profile("cpu"), measured("4 Cortex-A53")) == ""
