"""Profiles as files: written whole or not at all, never over another one unasked; and what is said of a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from device_profiles import quantities
from device_profiles.errors import UsageError
from device_profiles.networks import network_workload
from device_profiles.networks.builder import BuildFormat
from device_profiles.predictor import predict_latency
from device_profiles.records import Figure, Record
from device_profiles.schema import MICRO_ENGINE, Profile
from device_profiles.writing import checked, data_yaml, profile_yaml
from pipeline.store import write_text
from stages.reporting.text import figure_text, listing

_SMALL: tuple[tuple[str, BuildFormat], ...] = (("ds_cnn", "int8"), ("mobilenet_v1 size=96 width=0.25", "int8"))
_LARGE: tuple[tuple[str, BuildFormat], ...] = (("mobilenet_v1", "float32"), ("mobilenet_v1", "int8"))


class Sanity(Record):
    """What a profile predicts of a network that people know.

    Attributes:
        latency: None where there is a `reason`.
    """

    network: str
    format: str
    latency: Figure | None
    reason: str


def refuse_existing(path: Path, force: bool) -> None:
    """A file that is there stays, unless the user says otherwise.

    Raises:
        UsageError: it would be written over, or cannot be.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "a .yaml file")
    if path.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{path} would not be read as a profile", "a file that ends in .yaml",
                         f"--output {path.with_suffix('.yaml')}")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already, and was not written over", "a file that is not there",
                         "--output another file, or --force")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", "a folder that is there", f"mkdir -p {path.parent}")


def write_profile(data: Mapping[str, Any], path: Path, force: bool, head: Sequence[str]) -> Profile:
    """Check a profile's data, and write it as commented YAML.

    Args:
        data: as in the file.
        path: of the file.
        force: write over one that is there.
        head: comment lines that stand first.

    Raises:
        UsageError: the file is there.
        ConfigError: a key or a value that cannot be; nothing is written.
    """
    refuse_existing(path, force)
    profile = checked(data_yaml(data, head), path)
    return write_checked(profile_yaml(profile, head), path)


def write_checked(text: str, path: Path) -> Profile:
    """Write a profile's text that the strict loader takes.

    Raises:
        ConfigError: it would not take it; nothing is written.
        StoreError: the file cannot be written.
    """
    profile = checked(text, path)
    write_text(path, text)
    return profile


def sanity(profile: Profile) -> list[Sanity]:
    """What the profile predicts of two networks that people know, to see whether it can be right."""
    found = []
    for network, number_format in _SMALL if profile.engine.name == MICRO_ENGINE else _LARGE:
        prediction = predict_latency(network_workload(network, number_format), profile)
        found.append(Sanity(network=network, format=number_format, latency=prediction.figure, reason=prediction.reason))
    return found


def summary(profile: Profile, path: Path, defaulted: Sequence[str], checks: Sequence[Sanity]) -> list[str]:
    """What was written, what it predicts, what to do next."""
    lines = [f"{path}: {profile.device}, {profile.device_class}, {profile.engine.name} with {profile.threads} "
             f"thread{'s' if profile.threads > 1 else ''}"]
    if profile.hardware is not None:
        hardware = profile.hardware
        ram, free = (quantities.bytes_text(each.value) for each in (hardware.ram_bytes, hardware.arena_bytes))
        flash = "" if hardware.flash_bytes is None else f", {quantities.bytes_text(hardware.flash_bytes.value)} flash"
        clock = quantities.hertz_text(hardware.clock_hz.value)
        lines.append(f"  {hardware.cores.value} x {hardware.core.value} at {clock}, {ram} RAM of which {free} are free"
                     f"{flash}")
    if defaulted:
        lines.append(f"  by default: {listing(defaulted)}")
    lines += ["", "it predicts, to see whether it can be right:"]
    for each in checks:
        said = f"{figure_text(each.latency)}, 80 % interval" if each.latency else f"unknown: {each.reason}"
        lines.append(f"  {each.network} {each.format}: {said}")
    return [*lines, "", "next:",
            f"  litesmith profiles compare MODEL.tflite --profiles {path},iot    beside another device",
            f"  litesmith profiles calibrate {path} --measurements FILE.csv      with your own measurements",
            f"  profiles: [{path}]                                               in the run file"]
