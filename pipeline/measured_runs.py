"""A run's benchmark as measurements to calibrate a profile with: "benchmark on the Pi, then calibrate"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from device_profiles.errors import UsageError
from device_profiles.prediction.cores import find_core
from device_profiles.prediction.measurements import Measurement, check_doubles, read_measurements
from device_profiles.records import Figure
from device_profiles.schema import Profile
from pipeline.store import file_digest
from pipeline.tflite_file import read_file
from stages.records import BenchmarkResult

FIGURES = Path("figures") / "benchmark" / "benchmark.json"
_NORMAL_95 = 1.96
_HALVES = 2.0


@dataclass(frozen=True)
class Measured:
    """Measurements, and what to know of them.

    Attributes:
        source: the file, its digest and what measured.
        left_out: what the file has and cannot be used, with the reason.
        warnings: what throttled, and the like.
    """

    rows: tuple[Measurement, ...]
    source: str
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def load_measurements(path: Path, profile: Profile, on_device: bool) -> Measured:
    """Read a table, a run folder or the benchmark.json of one.

    Args:
        path: of it.
        profile: whose engine's figures are taken.
        on_device: the run was made on the device itself, where it is `host`.

    Raises:
        ConfigError: a table with a fault.
        UsageError: no such file, or a benchmark that says nothing of this device.
    """
    figures = _figures_of(path, profile) if path.is_dir() else path
    if figures.suffix != ".json":
        rows = read_measurements(path)
        return Measured(tuple(rows), f"{path.name}, sha256 {file_digest(path)[:16]}")
    if not figures.is_file():
        raise UsageError(f"{path} has no {FIGURES}" if path.is_dir() else f"{path}: no such file",
                         "a .csv file, a run folder with a benchmark, or the benchmark.json in it",
                         "litesmith benchmark --target ssh:user@host")
    return _from_run(figures, profile, on_device)


def _figures_of(folder: Path, profile: Profile) -> Path:
    """The profile's own benchmark in a run folder, else the run's."""
    own = folder / FIGURES.with_name(f"{profile.name}.json")
    return own if own.is_file() else folder / FIGURES


def _from_run(figures: Path, profile: Profile, on_device: bool) -> Measured:
    """The medians of the profile's engine."""
    try:
        result = BenchmarkResult.model_validate_json(figures.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise UsageError(f"{figures} is no benchmark of a run", "figures/benchmark/benchmark.json of a run folder",
                         "a table of measurements ends in .csv") from error
    _check_place(result, profile, on_device)
    models, engine = figures.parents[2] / "models", profile.engine.name
    rows: list[Measurement] = []
    left_out: list[str] = []
    for variant, engines in sorted(result.variants.items()):
        run, file = engines.get(engine), models / f"{variant}.tflite"
        if run is None or run.median is None:
            why = f" ({run.message})" if run and run.message else ""
            left_out.append(f"{variant}: not measured in {engine}{why}")
        elif not file.is_file():
            left_out.append(f"{variant}: {file} is not there")
        else:
            rows.append(_measurement(file, run.median, run.threads, f"{engine} {run.engine_version}"))
    if not rows:
        raise UsageError(f"{figures} has no latency in {engine}, which '{profile.name}' runs: {'; '.join(left_out)}",
                         f"a benchmark with {engine}", f"litesmith benchmark --set benchmark.engines=[{engine}]")
    rows = list(_once(rows, left_out))
    check_doubles(rows)
    throttling = result.conditions.throttling if result.conditions else ()
    source = f"{figures}, sha256 {file_digest(figures)[:16]}, {engine} on {result.target}"
    return Measured(tuple(rows), source, tuple(left_out), throttling)


def _once(rows: Sequence[Measurement], left_out: list[str]) -> Iterator[Measurement]:
    """Each file once: two variants may come to the same bytes."""
    seen: dict[str, str] = {}
    for row in rows:
        if row.sha256 in seen:
            left_out.append(f"{row.model}: the same bytes as {seen[row.sha256]}")
        else:
            seen[row.sha256] = row.model
            yield row


def _measurement(file: Path, median: Figure, threads: int, runtime: str) -> Measurement:
    """One variant; the variance of its log latency is that of the interval, taken as normal."""
    model = read_file(file)
    half = 0.0 if median.interval is None else (median.interval[1] - median.interval[0]) / _HALVES
    return Measurement(model=file.name, sha256=model.sha256, workload=model.workload, threads=threads,
                       latency_ms=median.value, variance=(half / _NORMAL_95 / median.value) ** 2, runtime=runtime)


def _check_place(result: BenchmarkResult, profile: Profile, on_device: bool) -> None:
    """The benchmark must have run on the profile's device.

    Raises:
        UsageError: it ran elsewhere, or under an emulator.
    """
    if result.target.startswith("emulated"):
        raise UsageError(f"the benchmark ran on '{result.target}', whose times are the emulator's", "a real device",
                         "litesmith benchmark --target ssh:user@host")
    if profile.target not in (None, "host", result.target):
        raise UsageError(f"the benchmark ran on '{result.target}'; '{profile.name}' is '{profile.target}'",
                         f"a benchmark on {profile.target}", f"litesmith benchmark --target {profile.target}")
    if result.target == "host" and not on_device and not _same_core(result, profile):
        raise UsageError(f"the benchmark ran on the machine that runs litesmith ({result.host.cpu}); nothing says that "
                         f"it is {profile.device}", "a benchmark on the device",
                         "litesmith benchmark --target ssh:user@host; or add --on-device if it was this machine")


def _same_core(result: BenchmarkResult, profile: Profile) -> bool:
    """Whether the machine's own words name the profile's core."""
    if profile.hardware is None or result.conditions is None:
        return False
    try:
        known = find_core(profile.hardware.core.value).name
        return any(find_core(name).name == known for name in result.conditions.device.core_names)
    except UsageError:
        return False
