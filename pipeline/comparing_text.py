"""A comparison and a baseline as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from device_profiles.records import Figure
from stages.comparing.baseline import Baseline, KeptModel
from stages.comparing.instructions import Core, CountedModel, CountedPair, CountedResult, InstructionBaseline
from stages.comparing.records import (
    ComparisonResult,
    LatencyComparison,
    OutputDifference,
    PairComparison,
    Predictions,
    StaticDifference,
)
from stages.reporting.text import figure_text, plural, significant

_LABEL = 12
_MOST_OPERATORS = 8


def result_lines(result: ComparisonResult | CountedResult) -> list[str]:
    """Every pair, then what one side alone has, then where it was counted."""
    lines = [line for pair in result.pairs for line in (*_lines_of(pair), "")]
    for side, names in (("A", result.only_reference), ("B", result.only_candidate)):
        if names:
            lines.append(f"only in {side}: {', '.join(names)}")
    place = [_core(result.core)] if isinstance(result, CountedResult) else []
    return [*lines, *place, *(f"note: {note}" for note in result.notes)]


def _lines_of(pair: PairComparison | CountedPair) -> Iterator[str]:
    """One pair, of either kind."""
    return _counted_pair(pair) if isinstance(pair, CountedPair) else _timed_pair(pair)


def _core(core: Core) -> str:
    """An emulated core."""
    return f"{core.engine} {core.engine_version} on an emulated {core.cpu} (QEMU {core.qemu})"


def _timed_pair(pair: PairComparison) -> Iterator[str]:
    """One pair: the claim first."""
    if pair.latency is None:
        yield f"{pair.name}: not measured: {pair.reason}"
    else:
        yield f"{pair.name}: {pair.latency.claim}, {pair.latency.why}"
    yield _line("A", pair.reference)
    yield _line("B", pair.candidate)
    if pair.latency is not None:
        yield from _latency(pair.latency)
    if pair.differences is not None:
        yield from _static(pair.differences)
    yield from _predictions(pair.predictions)
    if pair.latency is not None:
        yield from (f"  ! {finding}" for finding in pair.latency.findings)


def _line(label: str, text: str) -> str:
    return f"  {label:<{_LABEL}}{text}"


def _latency(found: LatencyComparison) -> Iterator[str]:
    """Medians, ratio, and what they rest on."""
    cores = f", core {', '.join(map(str, found.cpus))}" if found.cpus else ""
    yield _line("median", f"{figure_text(found.reference)} -> {figure_text(found.candidate)}")
    if found.ratio is not None:
        yield _line("ratio", _ratio(found.ratio))
    if found.medians_ratio is not None:
        yield _line("", _ratio(found.medians_ratio))
    yield _line("measured", f"in {found.launches:,} launches of both, {found.inferences:,} inferences, "
                            f"{found.seconds:,.0f} s")
    yield _line("", f"{found.engine} {found.engine_version}, {plural(found.threads, 'thread')}{cores}")
    if found.floor is not None:
        shown = "" if found.floor.detectable is None else (
            f"; the budget shows slow-downs from {100 * found.floor.detectable:.1f} % on")
        yield _line("noise floor", f"A against itself {_ratio(found.floor.ratio)}{shown}")


def _ratio(figure: Figure) -> str:
    """`1.051 [1.042 to 1.060], 99 %: geometric mean over ...`."""
    ends = "" if figure.interval is None else (
        f" [{figure.interval[0]:.3f} to {figure.interval[1]:.3f}] at {100 * figure.level:.0f} %")
    return f"{figure.value:.3f}{ends}: {figure.method}"


def _static(found: StaticDifference) -> Iterator[str]:
    """Bytes, operators, arena."""
    if found.identical:
        yield _line("files", "the same bytes")
        return
    yield _line("bytes", _counts(found.tflite_bytes))
    if found.number_format[0] != found.number_format[1]:
        yield _line("format", " -> ".join(found.number_format))
    yield _line("MACs", _counts(found.macs))
    yield _line("operators", _operators(found))
    if None not in found.arena_bytes:
        arena = (found.arena_bytes[0] or 0, found.arena_bytes[1] or 0)
        yield _line("arena", f"{_counts(arena)}, bytes in tflm")
    else:
        yield _line("activations", f"{_counts(found.activation_peak_bytes)}, bytes at their peak (no arena: tflm does "
                                   "not take both)")


def _counts(pair: tuple[int, int]) -> str:
    """`95,568 -> 98,496 (+3.1 %)`."""
    first, second = pair
    if first == second:
        return f"{first:,} each"
    change = f" ({100 * (second / first - 1):+.1f} %)" if first else ""
    return f"{first:,} -> {second:,}{change}"


def _operators(found: StaticDifference) -> str:
    """How many, and which kinds differ."""
    listed = [f"{each.operator} {each.reference} -> {each.candidate}" for each in found.operators]
    more = f" and {len(listed) - _MOST_OPERATORS} kinds more" if len(listed) > _MOST_OPERATORS else ""
    kinds = f": {', '.join(listed[:_MOST_OPERATORS])}{more}" if listed else ", of the same kinds"
    return f"{_counts(found.operator_count)}{kinds}"


def _predictions(found: Predictions) -> Iterator[str]:
    """Outputs on the same inputs."""
    if found.reason:
        yield _line("outputs", f"not compared: {found.reason}")
        return
    yield from (_line("outputs", _output(each)) for each in found.outputs)
    yield _line("", f"on {plural(found.samples, 'sample')} ({found.inputs})")


def _output(each: OutputDifference) -> str:
    """One output."""
    if each.largest == 0:
        return f"{each.name}: equal to the last bit"
    decided = "" if each.decisions_changed is None else (
        f"; the largest is another one in {figure_text(each.decisions_changed)}")
    return (f"{each.name}: differ by {significant(each.mean)} on average and {significant(each.largest)} at most, "
            f"range {significant(each.range)}{decided}")


def _counted_pair(pair: CountedPair) -> Iterator[str]:
    """The claim, then the figures."""
    found = pair.instructions
    if found is None:
        yield f"{pair.name}: not counted: {pair.reason}"
    else:
        claim = f"{found.claim} instructions" if found.claim in ("more", "fewer") else found.claim
        yield f"{pair.name}: {claim}, {found.why.removesuffix(' instructions')}"
    yield _line("A", pair.reference)
    yield _line("B", pair.candidate)
    if found is not None:
        yield _line("executes", f"{_change(*found.instructions)} instructions")
        yield _line("memory", f"{_change(*found.accesses)} accesses")


def _change(one: Figure, other: Figure) -> str:
    """`3,641,022 -> 4,012,345 (+10.2 %)`."""
    return f"{one.value:,.0f} -> {other.value:,.0f} ({100 * (other.value / one.value - 1):+.2f} %)"


def baseline_lines(baseline: Baseline | InstructionBaseline, path: Path) -> list[str]:
    """What was written."""
    if isinstance(baseline, Baseline):
        where = (f"{baseline.engine} {baseline.engine_version}, {plural(baseline.threads, 'thread')}, on "
                 f"{baseline.host.cpu} ({baseline.host.system})")
    else:
        where = _core(baseline.core)
    return [f"{path}: {where}", *(_line(name, _kept(model)) for name, model in baseline.models.items())]


def _kept(model: KeptModel | CountedModel) -> str:
    """A model's figures, and where it is kept."""
    if isinstance(model, KeptModel):
        figures, elsewhere = figure_text(model.median), "on this machine"
    else:
        figures = (f"{model.instructions.value:,.0f} instructions and {model.accesses.value:,.0f} memory accesses an "
                   "inference")
        elsewhere = "with the same emulator"
    where = f"kept as {model.file}" if model.file else f"not kept: comparable {elsewhere} alone"
    return f"{figures}, {model.tflite_bytes:,} bytes, {where}"
