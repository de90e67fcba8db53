"""What a tflite model takes on microcontrollers: the part of `litesmith inspect` that is about TFLM.

The arena for each kernel family or for one device, its flash, the operators that TFLM lacks, and C++ for the firmware.
"""

from __future__ import annotations

import os
from pathlib import Path

from device_profiles.errors import UsageError
from device_profiles.microcontrollers import (
    ArenaSplit,
    DeviceArena,
    Family,
    device_arena,
    family_of,
    host_arena,
    why_not,
)
from device_profiles.microcontrollers.families import NAMES
from device_profiles.microcontrollers.flash import Flash, flash
from device_profiles.microcontrollers.operators import instead, registrations
from device_profiles.microcontrollers.sources import array_source, resolver_header
from device_profiles.records import Figure, Record
from device_profiles.schema import MICRO_ENGINE, Profile
from device_profiles.tflite import Model, read_tflite
from device_profiles.workload import Workload
from pipeline.text import columns

_SHOWN: tuple[Family, ...] = ("reference", "cmsis-nn", "cmsis-nn-dsp", "cmsis-nn-mve", "esp-nn", "esp-nn-s3",
                              "esp-nn-p4")
_LARGEST_ARENA = 64 << 20
"""No microcontroller has more; a model above it is not one for them."""


class MicroDevice(Record):
    """One kernel family, or one device with its own.

    Attributes:
        profile: name of the device's profile; "" for a family alone.
        flash: None where the code's size is not known.
    """

    profile: str = ""
    arena: DeviceArena
    flash: Flash | None


class MicroInspection(Record):
    """A tflite model on microcontrollers.

    Attributes:
        host: what TFLM reports on this host; None where it was not asked or does not take the model.
        foreseen: what should be reported there, by the same formulas; None with a reason.
        devices: the families, or the device that was asked for.
        missing: operators that TFLM lacks, each with what to change.
        reason: why there is no arena; "" where there is one.
    """

    host: ArenaSplit | None
    foreseen: ArenaSplit | None
    devices: tuple[MicroDevice, ...]
    missing: tuple[str, ...]
    reason: str = ""


def inspect_micro(content: bytes, workload: Workload, host: ArenaSplit | None,
                  profile: Profile | None = None) -> MicroInspection:
    """Look at a tflite model as a microcontroller would.

    Args:
        content: the tflite model's bytes.
        workload: of the same.
        host: as TFLM reports it here.
        profile: of one device; None for all kernel families.

    Raises:
        UsageError: the profile's engine is not TFLM.
    """
    if profile is not None and profile.engine.name != MICRO_ENGINE:
        raise UsageError(f"profile '{profile.name}' runs {profile.engine.name}",
                         f"a profile whose engine is {MICRO_ENGINE}",
                         "litesmith profiles list")
    model = read_tflite(content)
    lacking = tuple(f"{op.label} version {op.version} (operator {op.index}): {instead(op.name)}"
                    for op in registrations(workload)[1])
    families = (family_of(profile),) if profile else _SHOWN
    devices = [_device(model, workload, family, host, profile) for family in families]  # None where `why_not`
    reason = why_not(model)
    return MicroInspection(host=host, foreseen=None if reason else host_arena(model.graphs[0]), missing=lacking,
                           reason=reason,
                           devices=tuple(device for device in devices if device is not None))


def _device(model: Model, workload: Workload, family: Family, host: ArenaSplit | None,
            profile: Profile | None) -> MicroDevice | None:
    arena = device_arena(model, family, host)
    names = [op.custom_code or op.name for op in workload.operators]
    return MicroDevice(profile=profile.name if profile else "", arena=arena,
                       flash=flash(workload.tflite_bytes, names, family)) if arena else None


def describe_micro(found: MicroInspection) -> list[str]:
    """The inspection as lines for a terminal; none for a model that is too large for any microcontroller."""
    lines = [f"TFLM lacks  {text}" for text in found.missing]
    if found.reason:
        return [*lines, f"no arena on a microcontroller: {found.reason}", ""]
    if not found.devices or min(device.arena.least_bytes for device in found.devices) > _LARGEST_ARENA:
        return [*lines, ""] if lines else []
    lines += columns(["on a 32-bit core with", "arena at least (B)", "stays", "activations", "scratch", "flash (B)"],
                     [_cells(device) for device in found.devices], right=frozenset(range(1, 6)))
    lines += _scratch_lines(found.devices[0]) if len(found.devices) == 1 else []
    first = found.devices[0].arena
    behind = "the arena measured here" if first.anchored else "the graph alone"
    lines.append(f"predicted from {behind}; docs/microcontrollers.md has the errors. Flash: with TFLM's code at -O3, "
                 "without the application")
    return [*lines, *(f"not known: {text}" for text in first.unknown), ""]


def _cells(device: MicroDevice) -> list[object]:
    arena = device.arena
    name = NAMES[arena.family] + (f" ({device.profile})" if device.profile else "")
    code = "-" if device.flash is None else f"{device.flash.figure.value:,.0f}"
    return [name, f"{arena.least_bytes:,}", f"{arena.persistent_bytes:,}", f"{arena.activation_bytes:,}",
            f"{arena.scratch_bytes:,}", code]


def _scratch_lines(device: MicroDevice) -> list[str]:
    """Of one device, the operators that ask for scratch memory, and the intervals."""
    figures: list[tuple[str, Figure]] = [("arena", device.arena.figure)]
    figures += [("flash", device.flash.figure)] if device.flash else []
    lines = [f"{name:11s} {_interval(figure)}" for name, figure in figures]
    lines += [f"scratch     operator {one.operator} {one.name}: {one.size_bytes:,} bytes"
              for one in sorted(device.arena.scratch, key=lambda one: -one.size_bytes)[:5]]
    return [*lines, f"kernels     {device.arena.source}"]


def _interval(figure: Figure) -> str:
    low, high = figure.interval or (figure.value, figure.value)
    return f"{figure.value:,.0f} bytes, {low:,.0f} to {high:,.0f}: {figure.method}"


def needed_arena(found: MicroInspection) -> Figure | None:
    """The arena to reserve: the device's, or without one that of the family that takes most."""
    figures = [device.arena.figure for device in found.devices]
    return max(figures, key=lambda figure: figure.value) if figures else None


def write_sources(content: bytes, name: str, sha256: str, workload: Workload, found: MicroInspection, *,
                  header: Path, array: Path | None, int8: bool) -> list[Path]:
    """Write the op resolver's header, and with `array` the model's bytes; each file whole or not at all.

    Args:
        content: the tflite model's bytes.
        name: what to call the model in C++.
        sha256: of the bytes.
        workload: of the model.
        found: for the arena's size.
        header: where the header goes.
        array: where the source file goes; None leaves it out.
        int8: take registrations of int8 kernels alone.

    Raises:
        UsageError: TFLM lacks an operator, or a file cannot be written.
    """
    text = resolver_header(name, workload, sha256, needed_arena(found), int8=int8, array=array is not None)
    files = {header: text} | ({array: array_source(name, content, header.name)} if array else {})
    for path, written in files.items():
        _write(path, written)
    return list(files)


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}", "a folder that exists and can be written to",
                         "give another path") from error
