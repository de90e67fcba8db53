"""One tflite model on every device: the record behind `litesmith profiles compare`.

Verdicts are those of `check` (`stages.checking.fit`), as far as the file alone can tell: what needs data (accuracy and
what the safety gate measures) or a run on the device itself is not judged here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from device_profiles.errors import UsageError
from device_profiles.prediction.calibrated import setup_of
from device_profiles.prediction.fit_file import load_fit
from device_profiles.predictor import predict_energy, predict_latency
from device_profiles.records import Figure, Record
from device_profiles.schema import MICRO_ENGINE, SAFETY_LIMITS, Calibrated, Predicted, Profile
from device_profiles.workload import Workload
from pipeline.inspection import ask_engine
from pipeline.tflite_file import TfliteFile, read_file
from stages.checking.fit import ABILITIES, Subject, fit
from stages.checking.judge import WORST_FIRST, worst
from stages.records import EngineBenchmark, LimitVerdict, Verdict

Basis = Literal["own", "board", "core", "rates", "none"]
BASES: dict[Basis, str] = {
    "own": "your own measurements of it, and published ones", "board": "published measurements of this device",
    "core": "its core and clock: nobody published this device with this runtime", "rates": "rates of the profile's own",
    "none": "it would have to be measured"}
Sort = Literal["latency", "verdict", "energy", "ram", "name", "class"]
SORTS: tuple[Sort, ...] = ("latency", "verdict", "energy", "ram", "name", "class")
_CLASSES = ("cpu", "mobile", "iot")
_NEEDS_MORE = ("engine", "accuracy_drop_points", "peak_memory_bytes", *SAFETY_LIMITS)
"""Limits that a file alone says nothing about."""


class DeviceRow(Record):
    """One device.

    Attributes:
        latency: of one inference, median; None with a `latency_reason`.
        latency_basis: what it rests on: a key of `BASES`.
        throughput: inferences a second, one after another.
        energy: of one inference, where the device's power is known.
        ram: the arena as TFLM reports it, or what no arena can be smaller than (`ram_exact` tells them apart).
        ram_free_bytes, flash_free_bytes: what the device has for it; None where the profile states none.
        flash: what is kept on the device.
        runs: whether the device can run it at all.
        verdict: the worst of `limits`.
        limits: what the device and the profile set and the file can tell.
        open: limits of the profile that need data or the device.
    """

    profile: str
    device: str
    device_class: str
    engine: str
    threads: int
    latency: Figure | None
    latency_reason: str
    latency_basis: Basis
    throughput: Figure | None
    energy: Figure | None
    ram: Figure | None
    ram_exact: bool
    ram_free_bytes: int | None
    flash: Figure
    flash_free_bytes: int | None
    runs: bool
    verdict: Verdict
    limits: tuple[LimitVerdict, ...]
    open: tuple[str, ...]


class SideBySide(Record):
    """One tflite model on several devices.

    Attributes:
        tflm: what TFLM said of it; empty where it was not asked or accepts it.
    """

    path: str
    sha256: str
    number_format: str
    macs: int
    tflite_bytes: int
    tflm: str
    devices: tuple[DeviceRow, ...]


def side_by_side(path: Path, profiles: Sequence[Profile], sort: Sort, tflm: bool) -> SideBySide:
    """Hold one tflite model against every profile.

    Args:
        path: of the tflite model.
        profiles: devices.
        sort: what the rows are ordered by; what is not known comes last.
        tflm: load the model in TFLM, where a profile runs it, for its arena.

    Raises:
        UsageError: there is no such file.
        TfliteError: it is no whole tflite model.
    """
    file = read_file(path)
    asked = tflm and any(profile.engine.name == MICRO_ENGINE for profile in profiles)
    measured = {MICRO_ENGINE: _ask_tflm(file)} if asked else {}
    subject = Subject(name=path.name, tflite_bytes=file.workload.tflite_bytes, workload=file.workload, evaluated={},
                      measured=measured)
    rows = [_row(subject, profile) for profile in profiles]
    said = measured[MICRO_ENGINE].message if measured and measured[MICRO_ENGINE].status != "ok" else ""
    return SideBySide(path=str(path), sha256=file.sha256, number_format=file.workload.number_format,
                      macs=file.workload.macs, tflite_bytes=file.workload.tflite_bytes, tflm=said,
                      devices=tuple(ordered(rows, sort)))


def chosen_profiles(wanted: Iterable[str], everything: bool) -> list[Profile]:
    """Profiles by name or path, each once; all shipped ones besides, where asked for or where none was named.

    Raises:
        UsageError: an unknown name, or two profiles with one name.
    """
    from device_profiles.loader import load_profile, names

    words = list(dict.fromkeys(wanted))
    loaded = [load_profile(word) for word in words]
    if everything or not words:
        loaded += [load_profile(name) for name in names() if name not in words]
    seen: dict[str, Profile] = {}
    for profile in loaded:
        if profile.name in seen:
            raise UsageError(f"two profiles are called '{profile.name}'", "each name once",
                             "give one of the files another 'name:'")
        seen[profile.name] = profile
    return loaded


def ordered(rows: Iterable[DeviceRow], sort: Sort) -> list[DeviceRow]:
    """The rows in order; what is not known comes last, and names decide among equals."""
    def value(figure: Figure | None) -> float:
        """For sorting."""
        return math.inf if figure is None else figure.value

    keys: dict[str, Callable[[DeviceRow], float]] = {
        "latency": lambda row: value(row.latency), "energy": lambda row: value(row.energy),
        "ram": lambda row: value(row.ram), "verdict": lambda row: -WORST_FIRST.index(row.verdict),
        "class": lambda row: _CLASSES.index(row.device_class)}
    return sorted(rows, key=lambda row: (keys[sort](row) if sort in keys else 0, row.profile))


def _row(subject: Subject, profile: Profile) -> DeviceRow:
    """One device."""
    found = fit(subject, profile)
    limits = {limit.limit: limit for limit in found.check.limits}
    left = tuple(limit for name, limit in limits.items() if not (name in _NEEDS_MORE and limit.verdict == "unknown"))
    runs = not any(limits[name].verdict == "fail" for name in ABILITIES if name in limits)
    ram, latency = limits["ram_bytes"].found if "ram_bytes" in limits else None, found.latency
    return DeviceRow(
        profile=profile.name, device=profile.device, device_class=profile.device_class, engine=profile.engine.name,
        threads=profile.threads, latency=latency, latency_reason=_reason(subject.workload, profile, latency, runs),
        latency_basis=_basis(profile, latency), throughput=_throughput(latency),
        energy=predict_energy(profile, latency), ram=ram or _least_ram(subject.workload),
        ram_exact=ram is not None and ram.provenance == "measured", ram_free_bytes=_free(profile, "arena_bytes"),
        flash=_flash(limits, subject), flash_free_bytes=_free(profile, "flash_bytes"), runs=runs,
        verdict=worst(limit.verdict for limit in left), limits=left,
        open=tuple(name for name in limits if limits[name] not in left and name != "engine"))


def _reason(workload: Workload, profile: Profile, latency: Figure | None, runs: bool) -> str:
    """Why there is no latency."""
    if latency is not None:
        return ""
    if profile.npu is not None and runs:
        return f"it has an NPU: litesmith compile FILE.tflite --profile {profile.name} says what that runs, how long"
    return predict_latency(workload, profile).reason if runs else "the device cannot run it"


def _basis(profile: Profile, latency: Figure | None) -> Basis:
    """What the latency rests on."""
    model = profile.latency
    if latency is None:
        return "none"
    if isinstance(model, Predicted):
        return "rates"
    if not isinstance(model, Calibrated):
        return "none"
    if model.own is not None:
        return "own"
    setup = setup_of(profile, model)
    known = any((each.device, each.kernels) == (setup.device, setup.kernels) for each in load_fit().setups.values())
    return "board" if known else "core"


def _throughput(latency: Figure | None) -> Figure | None:
    """Inferences a second at batch 1, one after another."""
    if latency is None:
        return None
    ends = latency.interval
    return Figure(value=1e3 / latency.value, unit="1/s", provenance=latency.provenance, level=latency.level,
                  interval=None if ends is None else (1e3 / ends[1], 1e3 / ends[0]), method="one over the latency")


def _least_ram(workload: Workload) -> Figure:
    return Figure(value=workload.activation_peak_bytes, unit="bytes", provenance="predicted",
                  method="activations that live at the same time, from the graph: no arena can be smaller")


def _flash(limits: dict[str, LimitVerdict], subject: Subject) -> Figure:
    """What is kept on the device: as `check` counts it, else the file."""
    found = limits["flash_bytes"].found if "flash_bytes" in limits else None
    return found or Figure(value=subject.tflite_bytes, unit="bytes", provenance="measured", method="size of the file")


def _free(profile: Profile, memory: str) -> int | None:
    """Bytes that a memory of the device has; None where the profile states none."""
    fact = getattr(profile.hardware, memory, None)
    return None if fact is None else int(fact.value)


def _ask_tflm(file: TfliteFile) -> EngineBenchmark:
    """TFLM's answer, with its arena."""
    said = ask_engine(MICRO_ENGINE, file)
    arena = Figure(value=said.arena_bytes, unit="bytes", provenance="measured", method="arena as TFLM reports it")
    return EngineBenchmark(engine=MICRO_ENGINE, engine_version=said.version or "", status=said.status,
                           message=said.message, arena=arena if said.status == "ok" else None)
