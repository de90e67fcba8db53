"""What Vela made of each variant for each NPU, in rows of words for page and Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from device_profiles.records import Record
from stages.records.npu import CompileResult, NpuOperator
from stages.reporting.record import Report
from stages.reporting.text import MISSING, figure_text, plural

HEAD = ("variant", "operators on the NPU", "SRAM (exact)", "weights and commands",
        "cycles: NPU busy, SRAM, DRAM, flash", "cycles in all", "latency", "compiled file")
LEFT_HEAD = ("variant", "operators on the CPU", "what Vela says against them")
CAVEAT = ("Cycles and the latency of the NPU are Vela's own estimate (predicted). Vela states no error; where the "
          "profile has no factor of its own, they decide no limit. The time of driver and interpreter is not in them. "
          "SRAM is what Vela laid out in the compiled file; TFLM's own structures come on top.")


class NpuPart(Record):
    """One profile's NPU in words.

    Attributes:
        rows: of all variants, below `HEAD`; one that was not compiled says why in its second cell.
        left: what stays on the CPU, below `LEFT_HEAD`.
    """

    profile: str
    text: str
    rows: tuple[tuple[str, ...], ...]
    left: tuple[tuple[str, ...], ...]


def npu_parts(report: Report) -> tuple[NpuPart, ...]:
    """A part for each profile with an NPU."""
    return tuple(_part(report, profile, compiled) for profile, compiled in report.compilations.items())


def _part(report: Report, profile: str, compiled: dict[str, CompileResult]) -> NpuPart:
    """One profile."""
    one = next(iter(compiled.values()))
    device = report.profiles[profile].device if profile in report.profiles else profile
    clock = next((each.clock_hz for each in compiled.values() if each.clock_hz), None)
    text = f"{device}: {one.compiler} for {one.accelerator}, {one.system_config}, {one.memory_mode}"
    if clock is not None:
        text += f", {clock / 1e6:,.0f} MHz"
    return NpuPart(profile=profile, text=f"{text}.",
                   rows=tuple(_row(report, profile, variant, each) for variant, each in compiled.items()),
                   left=tuple(row for variant, each in compiled.items() for row in _left(variant, each)))


def _row(report: Report, profile: str, variant: str, found: CompileResult) -> tuple[str, ...]:
    """One variant."""
    if found.memory is None or found.cycles is None:
        return (variant, f"{found.status}: {found.message}", *[""] * (len(HEAD) - 2))
    memory, cycles, count = found.memory, found.cycles, len(found.operators)
    flash = memory.off_chip_flash + memory.on_chip_flash
    stored = f"{flash:,} bytes of flash" if flash else f"{memory.dram:,} bytes of DRAM, arena included"
    bound = _sram_bound(report, profile, variant)
    limit = f" of {bound:,.0f}" if bound else ""
    kinds = ", ".join(f"{each:,}" for each in (cycles.npu, cycles.sram, cycles.dram,
                                               cycles.on_chip_flash + cycles.off_chip_flash))
    latency = report.profiles[profile].latency.get(variant) if profile in report.profiles else None
    shown = f"{figure_text(latency)}, {latency.provenance} ({latency.method})" if latency else MISSING
    return (variant, f"{count - len(found.left_on_cpu)} of {count}",
            f"{memory.sram:,}{limit} bytes", stored, kinds, f"{cycles.total:,}", shown, f"{found.tflite_bytes:,} bytes")


def _sram_bound(report: Report, profile: str, variant: str) -> float | None:
    """The SRAM that the profile gives its NPU."""
    limit = report.variant(variant).verdicts.get(profile, {}).get("npu_sram_bytes")
    return limit.allowed if limit else None


def _left(variant: str, found: CompileResult) -> Iterator[tuple[str, ...]]:
    """Operators on the CPU, those of one reason together."""
    reasons: dict[str, list[NpuOperator]] = {}
    for one in found.left_on_cpu:
        reasons.setdefault(one.why, []).append(one)
    for why, operators in reasons.items():
        names = ", ".join(f"{one.index} {one.operator}" for one in operators)
        yield variant, f"{plural(len(operators), 'operator')}: {names}", why
