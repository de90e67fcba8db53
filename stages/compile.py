"""Compile a tflite model for a profile's NPU with Vela, and read what Vela says of it: who runs what, SRAM, cycles.

What comes out is a tflite model again, in which one operator stands for all that the NPU runs. It is what is shipped.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from pydantic import Field

from device_profiles.decoding import DECODE
from device_profiles.records import Figure, Record
from device_profiles.schema import Npu
from device_profiles.workload import Workload, read_workload
from stages.artifacts import TFLITE_FILE
from stages.context import StageContext
from stages.converting.source import read_named
from stages.npu.configuration import DISTRIBUTION, INSTALL, vela_version
from stages.npu.naming import with_names
from stages.npu.reading import cycles_of, memory_of, operators_of, summary
from stages.npu.vela import Failure, Said, compile_in
from stages.records.npu import CompileResult, CompileStatus

NAME = "compile"
VERSION = 1
LIBRARIES = (DISTRIBUTION,)

WORDS_FILE = "vela.txt"
_INTEGER = ("int8", "int16x8", "uint8")
_NARROW = ("int4", "int2", "uint4")
_AGAIN: tuple[CompileStatus, ...] = ("crashed", "timeout", "unavailable")
_MS = 1e3


class Settings(Record):
    """What a user may write under `compile:`."""

    timeout_s: float = Field(default=600.0, gt=0, description="seconds that Vela may take for one tflite model")


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        npu: of the profile.
    """

    npu: Npu


def run(*, tflite: Path, options: Options, context: StageContext) -> CompileResult:
    """Write `model.tflite`, compiled, and `vela.txt`, Vela's own words.

    Nothing is written where Vela is missing, fails or has nothing to do: the result says which.

    Args:
        tflite: a convert or pack artifact.
        options: see `Options`.
        context: where to write.

    Raises:
        TfliteError: the file is no whole tflite model.
        StoreError: an artifact without its files.
        StageError: Vela answers in a form that is not known here.
    """
    context.progress(0, 1, f"compiling for {options.npu.accelerator.value}")
    result, said = compile_model(read_named(tflite), options)
    if said is not None:
        (context.out / TFLITE_FILE).write_bytes(said.compiled)
        (context.out / WORDS_FILE).write_text(said.words, encoding="utf-8")
    context.progress(1, 1, result.summary)
    return result


def compile_model(content: bytes, options: Options) -> tuple[CompileResult, Said | None]:
    """Compile a tflite model; what came of it, and the compiled model with Vela's words where there is one."""
    nothing = why_nothing(read_workload(content))
    if nothing:
        return _without("skipped", nothing, options.npu), None
    named = with_names(content)
    with tempfile.TemporaryDirectory(prefix="litesmith-vela-") as folder:
        said = compile_in(Path(folder), named, options.npu, options.timeout_s)
    if isinstance(said, Failure):
        return _without(said.status, said.message, options.npu), None
    return _result(named, said, options.npu), said


def why_nothing(work: Workload) -> str:
    """Why a model has nothing for the NPU, or an empty string."""
    if not any(op.arithmetic in _INTEGER for op in work.operators):
        return f"it computes in {work.number_format}, and the NPU in int8 and int16x8 alone"
    if any(op.custom_code == DECODE for op in work.operators):
        return "its weights are packed for the CPU to decode, and the NPU takes weights as Vela itself compresses them"
    if any(use.constant and use.dtype in _NARROW for op in work.operators for use in op.inputs):
        return "it has weights of 4 bits or fewer, which end Vela 5.2.0 with a division by zero"
    return ""


def next_step(status: CompileStatus) -> str:
    """What a user can do where there is no compiled model."""
    return {"skipped": "compile a variant whose name ends in int8, int8qat or int16x8", "unavailable": INSTALL,
            "timeout": "raise compile.timeout_s",
            "refused": "litesmith inspect shows the operators; another format or layer avoids the one that Vela names",
            "crashed": "report it to the makers of Vela, with the tflite model"}.get(status, "")


def _without(status: CompileStatus, message: str, npu: Npu) -> CompileResult:
    """A result without a compiled model."""
    again = (message,) if status in _AGAIN else ()
    warnings = (f"{message}; next: {next_step(status)}",) if status not in ("skipped", "ok") else ()
    return CompileResult(summary=f"not compiled: {message}", provisional=again, warnings=warnings, status=status,
                         message=message, compiler=_compiler(), accelerator=npu.accelerator.value,
                         system_config=npu.system_config.value, memory_mode=npu.memory_mode.value)


def _result(before: bytes, said: Said, npu: Npu) -> CompileResult:
    """The record of a compiled model."""
    row = summary(said)
    cycles, memory, clock_hz = cycles_of(row), memory_of(row), float(row["core_clock"])
    operators, blocks = operators_of(before, said)
    on_cpu = sum(one.on == "cpu" for one in operators)
    latency = _latency(cycles.total / clock_hz * _MS, npu) if blocks else None
    shown = f"{latency.value:.3g} ms by {_compiler()}" if latency else "nothing runs on the NPU"
    text = f"{len(operators) - on_cpu} of {len(operators)} operators on {npu.accelerator.value}, {shown}"
    return CompileResult(
        summary=f"{text}, {memory.sram:,} bytes of SRAM, {len(said.compiled):,} bytes", status="ok",
        compiler=_compiler(), accelerator=npu.accelerator.value, system_config=npu.system_config.value,
        memory_mode=npu.memory_mode.value, clock_hz=clock_hz, tflite_bytes=len(said.compiled),
        sha256=hashlib.sha256(said.compiled).hexdigest(), blocks=blocks, operators=operators, cycles=cycles,
        memory=memory, macs=round(float(row["nn_macs"])), latency=latency)


def _latency(milliseconds: float, npu: Npu) -> Figure:
    """Vela's estimate and the profile's overhead; the interval is the profile's, since Vela states no error."""
    method = f"{_compiler()} for {npu.accelerator.value}, {npu.system_config.value}, {npu.memory_mode.value}"
    if npu.overhead_s is not None:
        milliseconds += npu.overhead_s.value * _MS
        method += f", and {npu.overhead_s.value * _MS:.3g} ms for each inference"
    if npu.uncertainty_factor is None:
        return Figure(value=milliseconds, unit="ms", provenance="predicted", method=f"{method}; Vela states no error")
    factor = npu.uncertainty_factor.value
    return Figure(value=milliseconds, unit="ms", provenance="predicted", level=npu.level,
                  interval=(milliseconds / factor, milliseconds * factor),
                  method=f"{method}; Vela states no error, the profile's factor is {factor:g}")


def _compiler() -> str:
    return f"Vela {vela_version() or 'missing'}"
