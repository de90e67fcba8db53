"""What is in a tflite model, and which engines accept it: the record behind `litesmith inspect`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from device_profiles.errors import EngineError, UsageError
from device_profiles.microcontrollers import ArenaSplit
from device_profiles.records import Record
from device_profiles.schema import MICRO_ENGINE, Profile
from device_profiles.workload import VECTOR_CHANNELS, OperatorWork, TensorUse, Workload
from pipeline.micro_inspection import MicroInspection, describe_micro, inspect_micro, write_sources
from pipeline.text import columns
from pipeline.tflite_file import TfliteFile, read_file
from stages.records import EngineStatus


class EngineAnswer(Record):
    """What an engine says to the file.

    Attributes:
        status: "ok", or why not; `message` says it in words.
        arena_bytes: as the engine reports it after it has planned its memory; 0 where it has no arena.
        arena_split: of it what stays and what is planned for activations and scratch; None where it has no arena.
    """

    engine: str
    version: str | None
    status: EngineStatus
    message: str = ""
    load_ms: float | None = None
    arena_bytes: int = 0
    arena_split: ArenaSplit | None = None


class Inspection(Record):
    """A tflite model, looked at."""

    path: str
    sha256: str
    workload: Workload
    engines: tuple[EngineAnswer, ...]
    micro: MicroInspection | None = None


def inspect_file(path: Path, engines: bool = True, profile: Profile | None = None) -> Inspection:
    """Read a tflite model and, with `engines`, load it in each one.

    Args:
        path: the file.
        engines: load it in each engine.
        profile: of the microcontroller to look at; None for all kernel families.

    Raises:
        UsageError: there is no such file, or the profile's engine is not TFLM.
        TfliteError: the file is empty, truncated, damaged, or no tflite model at all.
    """
    file = read_file(path)
    answers = _ask_engines(file) if engines else ()
    host = next((answer.arena_split for answer in answers if answer.arena_split), None)
    refused = any(answer.engine == MICRO_ENGINE and answer.status == "refused" for answer in answers)
    micro = None if refused and profile is None else inspect_micro(file.content, file.workload, host, profile)
    return Inspection(path=str(path), sha256=file.sha256, workload=file.workload, engines=answers, micro=micro)


def _ask_engines(file: TfliteFile) -> tuple[EngineAnswer, ...]:
    """One answer an engine."""
    from stages.engines import registry

    return tuple(ask_engine(engine, file) for engine in registry.ENGINES)


def ask_engine(engine: str, file: TfliteFile) -> EngineAnswer:
    """Load a tflite model in an engine."""
    from stages.engines import registry
    from stages.engines.client import EngineWorker

    version = registry.engine_info(engine).version
    try:
        with (tempfile.TemporaryDirectory(prefix="litesmith-") as folder,
              EngineWorker(engine, log=Path(folder) / "log.txt", model=file.path.name) as worker):
            loaded = worker.load(file.content)
    except EngineError as error:
        return EngineAnswer(engine=engine, version=version, status=error.status, message=error.found)
    split = ArenaSplit(persistent_bytes=loaded.arena_persistent_bytes,
                       non_persistent_bytes=loaded.arena_non_persistent_bytes) if loaded.arena_bytes else None
    return EngineAnswer(engine=engine, version=version, status="ok", load_ms=loaded.load_ms,
                        arena_bytes=loaded.arena_bytes, arena_split=split)


def write_firmware(found: Inspection, header: Path, array: Path | None, *, int8: bool) -> list[Path]:
    """Write C++ for the firmware: the op resolver's header, and with `array` the model's bytes.

    Raises:
        UsageError: TFLM does not take the model or lacks an operator, or a file cannot be written.
    """
    if found.micro is None:
        said = next((answer.message for answer in found.engines if answer.engine == MICRO_ENGINE), "")
        raise UsageError(f"TFLM does not take {found.path}: {said}", "a tflite model that TFLM runs",
                         "litesmith inspect without --op-resolver says what it does")
    path = Path(found.path)
    return write_sources(path.read_bytes(), path.stem, found.sha256, found.workload, found.micro, header=header,
                         array=array, int8=int8)


def describe(found: Inspection) -> list[str]:
    """The inspection as lines for a terminal."""
    work = found.workload
    lines = [
        f"{found.path}: {work.tflite_bytes:,} bytes, {work.number_format}, {len(work.operators)} operators",
        f"sha256      {found.sha256}",
        f"MACs        {work.macs:,}",
        f"parameters  {work.parameters:,} in {work.weight_bytes:,} bytes, {work.sparsity:.1%} zeros",
        f"activations {work.activation_peak_bytes:,} bytes at their peak: no arena can be smaller",
        *[f"input       {t.name} {list(t.shape)} {t.dtype}" for t in work.inputs],
        *[f"output      {t.name} {list(t.shape)} {t.dtype}" for t in work.outputs], ""]
    lines += columns(["", "operator", "class", "ver", "computes in", "input", "kernel", "output", "MACs", "weights (B)",
                      "in + out (B)", "zeros", "empty lanes"],
                     [_operator_cells(op) for op in work.operators], right=frozenset({0, 3, 8, 9, 10, 11, 12}))
    lines += ["", *columns(["class", "operators", "MACs", "of all", "weights (B)", "in + out (B)"],
                           _class_rows(work), right=frozenset(range(1, 6)))]
    if any(op.empty_lanes() for op in work.operators):
        lines += ["", f"empty lanes: output channels are no multiple of {VECTOR_CHANNELS}, so that this share of the "
                      "vectors does nothing"]
    micro = describe_micro(found.micro) if found.micro is not None else []
    return [*lines, "", *micro, *[_engine_line(answer) for answer in found.engines]]


def _operator_cells(op: OperatorWork) -> list[object]:
    """One operator's row."""
    zeros = f"{op.zero_weights / op.weights:.0%}" if op.weights else "-"
    return [op.index, op.label, op.kernel, op.version, op.arithmetic, _shape(op.inputs, constant=False),
            _shape(op.inputs, constant=True) if op.weights else "-", _shape(op.outputs, constant=False), f"{op.macs:,}",
            f"{op.weight_bytes:,}", f"{op.input_bytes + op.output_bytes:,}", zeros,
            f"{op.empty_lanes():.0%}" if op.empty_lanes() else "-"]


def _shape(tensors: tuple[TensorUse, ...], constant: bool) -> str:
    """The shape of the first activation or constant; "-" where there is none."""
    found = next((use.shape for use in tensors if use.constant == constant), None)
    return "-" if found is None else "x".join(map(str, found)) or "1"


def _class_rows(work: Workload) -> list[list[object]]:
    """A row a kernel class, the one with most MACs first."""
    rows = []
    for kernel in {op.kernel for op in work.operators}:
        ops = [op for op in work.operators if op.kernel == kernel]
        macs = sum(op.macs for op in ops)
        rows.append((macs, kernel, len(ops), sum(op.weight_bytes for op in ops),
                     sum(op.input_bytes + op.output_bytes for op in ops)))
    rows.sort(key=lambda row: (-row[0], row[1]))
    return [[kernel, count, f"{macs:,}", f"{macs / work.macs:.1%}" if work.macs else "-", f"{weights:,}", f"{moved:,}"]
            for macs, kernel, count, weights, moved in rows]


def _engine_line(answer: EngineAnswer) -> str:
    name = f"{answer.engine} {answer.version or ''}".strip()
    if answer.status != "ok":
        return f"{name}: {answer.status}: {answer.message}"
    arena = f", arena {answer.arena_bytes:,} bytes" if answer.arena_bytes else ""
    split = answer.arena_split
    parts = (f": {split.persistent_bytes:,} stay, {split.non_persistent_bytes:,} for activations and scratch"
             if split else "")
    return f"{name}: accepts it, loads in {answer.load_ms:.2f} ms{arena}{parts}"
