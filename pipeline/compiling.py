"""One tflite model compiled for one NPU outside a run: the record behind `litesmith compile FILE`."""

from __future__ import annotations

from pathlib import Path

from device_profiles.errors import StageError, UsageError
from device_profiles.loader import load_profile, names
from device_profiles.records import Figure, Record
from device_profiles.schema import Npu, Profile
from pipeline.store import explained
from pipeline.text import columns
from pipeline.tflite_file import read_file
from stages.compile import Options, compile_model, next_step
from stages.npu import compiled_name
from stages.npu.configuration import check_names
from stages.npu.latency import left_to_cpu, whole_latency
from stages.records.npu import CompileResult
from stages.reporting.text import figure_text

_MOST_WORDS = 110


class Compilation(Record):
    """What came of one file on one profile.

    Attributes:
        path: the tflite model.
        profile: its name.
        output: the compiled file.
        sram_limit_bytes: SRAM that the profile gives the NPU.
        result: as of the stage.
        latency: NPU and CPU together; None where it is not known, then `missing` says why.
    """

    path: str
    profile: str
    output: str
    sram_limit_bytes: int
    result: CompileResult
    latency: Figure | None
    missing: str = ""


def npu_of(name: str) -> tuple[Profile, Npu]:
    """A profile, and its NPU in a form that Vela knows.

    Raises:
        UsageError: no such profile, one without an NPU, or names that Vela does not know.
        ConfigError: the profile's file breaks the schema.
    """
    profile = load_profile(name)
    if profile.npu is None:
        having = [each for each in names() if load_profile(each).npu is not None]
        raise UsageError(f"profile '{profile.name}' has no NPU", ", ".join(having) or "a profile with a section npu",
                         f"--profile {having[0]}" if having else "docs/npu.md shows how to write one")
    check_names(profile.npu, profile.name)
    return profile, profile.npu


def compile_file(path: Path, name: str, output: Path | None) -> Compilation:
    """Compile a tflite model and write what comes out.

    Args:
        path: the tflite model.
        name: of the profile, or its file.
        output: the file to write; None: `<model>@<profile>.tflite` in the working folder.

    Raises:
        UsageError: there is no such file, or it would be written over; see `npu_of`.
        TfliteError: it is no whole tflite model.
        StageError: Vela is missing, refuses the model, crashes, or takes too long; or the NPU has nothing to do.
        StoreError: the output cannot be written.
    """
    profile, npu = npu_of(name)
    file = read_file(path)
    target = output or Path(f"{compiled_name(path.stem, profile.name)}.tflite")
    if target.resolve() == path.resolve():
        raise UsageError(f"--output {target} is the tflite model itself", "another file")
    result, said = compile_model(file.content, Options(npu=npu))
    if said is None:
        raise StageError(f"{path} was not compiled for {profile.name}: {result.message}", "",
                         next_step(result.status))
    with explained(target):
        target.write_bytes(said.compiled)
    latency, missing = whole_latency(left_to_cpu(file.workload, result), profile, result)
    return Compilation(path=str(path), profile=profile.name, output=str(target), result=result, latency=latency,
                       missing=missing, sram_limit_bytes=npu.sram_bytes.value)


def describe(found: Compilation) -> list[str]:
    """The compilation as lines for a terminal."""
    result = found.result
    lines = [f"{found.path} for {found.profile}: {result.summary}",
             f"compiled    {found.output}, {result.tflite_bytes:,} bytes: what is shipped",
             f"sha256      {result.sha256}",
             f"compiler    {result.compiler}, {result.accelerator}, {result.system_config}, {result.memory_mode}"]
    if result.memory is not None:
        used = result.memory.model_dump()
        lines += [f"{area.replace('_', ' '):<19} {count:>12,} bytes{_limit(area, found)}"
                  for area, count in used.items() if count or area == "sram"]
    if result.cycles is not None:
        cycles = result.cycles.model_dump()
        lines += [f"cycles {kind.replace('_', ' '):<15} {count:>9,}" for kind, count in cycles.items() if count]
    lines += [_latency_line(found), ""]
    rows = [[one.index, one.operator, one.on, f"{one.cycles:,}", f"{one.macs:,}", _short(one.why)]
            for one in result.operators]
    return lines + columns(["", "operator", "on", "cycles", "MACs", "why on the CPU"], rows, right=frozenset({0, 3, 4}))


def _limit(area: str, found: Compilation) -> str:
    """The bound beside the SRAM."""
    return f" of {found.sram_limit_bytes:,}" if area == "sram" else ""


def _latency_line(found: Compilation) -> str:
    """The latency with its provenance, or why there is none."""
    if found.latency is None:
        return f"latency     not known: {found.missing}"
    return f"latency     {figure_text(found.latency)}, predicted: {found.latency.method}"


def _short(text: str) -> str:
    return text if len(text) <= _MOST_WORDS else f"{text[:_MOST_WORDS]}..."
