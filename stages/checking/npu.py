"""A variant on a profile with an NPU: held against it is what is shipped, the model that Vela compiled."""

from __future__ import annotations

from collections.abc import Iterator

from device_profiles.records import Figure
from device_profiles.schema import Profile
from stages.checking.judge import accept, judge, refuse, unknown
from stages.npu.latency import left_to_cpu
from stages.records import LimitVerdict
from stages.records.npu import CompileResult, NpuMemory

_WORDS = {"refused": "refuses it", "unavailable": "is not installed", "crashed": "crashed on it",
          "timeout": "did not come to an end in time"}


def runs_on_npu(compiled: CompileResult | None) -> bool:
    """Whether anything of the model is on the NPU; else it runs on the CPU as on a device without one."""
    return compiled is not None and compiled.status == "ok" and compiled.blocks > 0


def is_open(compiled: CompileResult | None) -> bool:
    """Whether it is not known what the NPU would run: nothing was compiled, or Vela did not come to an end."""
    return compiled is None or compiled.status not in ("ok", "skipped")


def judge_npu(compiled: CompileResult | None) -> LimitVerdict:
    """Whether Vela compiles the model, and how much of it the NPU runs."""
    allowed = "Vela compiles it"
    if compiled is None:
        return unknown("npu", allowed, "it was not compiled: litesmith compile")
    if compiled.status == "skipped":
        return accept("npu", f"the CPU runs it alone: {compiled.message}", allowed)
    if compiled.status != "ok":
        said = f"{compiled.compiler} {_WORDS[compiled.status]}"
        why = f"{said}: {compiled.message}"
        return refuse("npu", said, allowed, why) if compiled.status == "refused" else unknown("npu", allowed, why)
    left = len(compiled.left_on_cpu)
    where = f"{len(compiled.operators) - left} of {len(compiled.operators)} operators on {compiled.accelerator}"
    return accept("npu", f"{compiled.compiler}: {where}", allowed, "measured")


def judge_memory(memory: NpuMemory, profile: Profile) -> Iterator[LimitVerdict]:
    """The NPU's SRAM, and the RAM that the device has for the arena."""
    if profile.npu is not None:
        yield judge("npu_sram_bytes", sram_figure(memory), profile.npu.sram_bytes.value, "bytes")
    if profile.hardware is not None:
        found = _laid_out(memory.dram, "DRAM, weights included") if memory.dram else sram_figure(memory)
        yield judge("ram_bytes", found, profile.hardware.arena_bytes.value, "bytes")


def sram_figure(memory: NpuMemory) -> Figure:
    """Bytes of SRAM in the compiled model's memory plan; exact."""
    return _laid_out(memory.sram, "SRAM")


def shipped_bytes(compiled: CompileResult | None, plain: int) -> int:
    """Bytes of the file that the device gets: the compiled one where the NPU runs anything."""
    return compiled.tflite_bytes if compiled is not None and runs_on_npu(compiled) and compiled.tflite_bytes else plain


def _laid_out(count: int, where: str) -> Figure:
    return Figure(value=count, unit="bytes", provenance="measured",
                  method=f"{where}, as Vela laid it out in the compiled model; the interpreter's own is not in it")


__all__ = ["judge_memory", "judge_npu", "left_to_cpu", "runs_on_npu", "shipped_bytes", "sram_figure"]
