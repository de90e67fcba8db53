"""Whether what stands at a target is the device that a profile describes."""

from __future__ import annotations

from device_profiles.errors import UsageError
from device_profiles.prediction.cores import find_core
from device_profiles.schema import Profile
from stages.records import BenchmarkResult
from stages.records.targets import Device


def why_another_device(profile: Profile, measured: BenchmarkResult) -> str:
    """What the machine says of itself, where that is another core than the profile's; empty where it fits.

    Arm processors name their core; of others the architecture alone is held against a profile whose core is known here
    (those are Arm's, Espressif's and the like, none of x86). A machine that says nothing fits.
    """
    device = measured.conditions.device if measured.conditions else None
    wanted = _known(profile.hardware.core.value) if profile.hardware else None
    if device is None or wanted is None:
        return ""
    there = {name for said in device.core_names if (name := _known(said)) is not None}
    if there and wanted not in there:
        return f"{', '.join(device.core_names)} {_stands(device)}"
    return f"{device.host.architecture} ({device.host.cpu}) {_stands(device)}" if _is_x86(device) else ""


def _stands(device: Device) -> str:
    return f"stands at {device.target.partition(',')[0]}"


def _is_x86(device: Device) -> bool:
    return device.host.architecture in ("x86_64", "i686", "AMD64")


def _known(name: str) -> str | None:
    """A core's key; None where it is not known."""
    try:
        return find_core(name).name
    except UsageError:
        return None
