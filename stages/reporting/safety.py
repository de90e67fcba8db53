"""The safety gate in a report: a row for each variant and engine, with columns for what was measured alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from device_profiles.records import Figure, Record
from stages.records import Calibration, Member, Safety, Worst
from stages.reporting.record import EngineMetrics, Report
from stages.reporting.text import figure_text, quantity

_NAMED = 3
INTRODUCTION = (
    "Each variant against the float model on the same test samples. Each end of an interval here is a one-sided 95 % "
    "bound: a limit looks at one end alone. Lost and gained are samples that the float model alone, or the variant "
    "alone, decides rightly; p is McNemar's exact test of whether they are equally many.")


class SafetyTable(Record):
    """Column names, and a row of cells for each variant and engine."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class SafetyPart(Record):
    """One class, slice or corruption of one variant in one engine."""

    variant: str
    engine: str
    kind: str
    name: str
    samples: int
    text: str
    note: str


def safety_table(report: Report) -> SafetyTable:
    """What was measured beside the mean; without rows where nothing was."""
    found = [(variant.name, engine, metrics, metrics.safety) for variant in report.variants
             for engine, metrics in variant.metrics.items() if metrics.safety is not None]
    shown = [(name, cell) for name, there, cell in _COLUMNS if any(there(safety) for *_, safety in found)]
    if not shown:
        return SafetyTable(head=(), rows=())
    head = ("variant", "engine", "drop", *(name for name, _ in shown))
    rows = ((name, engine, _drop(metrics), *(cell(safety) for _, cell in shown))
            for name, engine, metrics, safety in found)
    return SafetyTable(head=head, rows=tuple(rows))


def safety_parts(report: Report) -> tuple[SafetyPart, ...]:
    """Of each variant and engine the worst class, and every slice and corruption."""
    parts: list[SafetyPart] = []
    for variant in report.variants:
        for engine, metrics in variant.metrics.items():
            if metrics.safety is not None:
                parts += [SafetyPart(variant=variant.name, engine=engine, kind=kind, name=member.name,
                                     samples=member.samples, text=_member_text(member, unit), note=member.note)
                          for kind, unit, member in _members(metrics.safety)]
    return tuple(parts)


def _members(safety: Safety) -> Iterable[tuple[str, str, Member]]:
    """(kind, unit, member): every slice and corruption, and the classes that lost most."""
    if safety.classes is not None:
        worst = sorted((one for one in safety.classes.members if one.value), key=lambda one: -(one.value or 0))
        yield from (("class", "points", one) for one in worst[:_NAMED] if (one.value or 0) > 0)
    if safety.slices is not None:
        yield from (("slice", "points", one) for one in safety.slices.members)
    if safety.corrupted is not None:
        yield from ((f"corruption, {safety.corrupted.severities.get(one.name, '')}", "fraction", one)
                    for one in safety.corrupted.changed.members)


def _member_text(member: Member, unit: str) -> str:
    """The value with its interval."""
    if member.value is None:
        return "no figure"
    return figure_text(Figure(value=member.value, unit=unit, provenance="measured", interval=member.interval))


def _drop(metrics: EngineMetrics) -> str:
    return figure_text(metrics.drop)


def _tests(safety: Safety) -> str:
    """`12 / 4, p = 0.077`; of several outputs each."""
    return "; ".join(f"{f'{name}: ' if len(safety.tests) > 1 else ''}{one.lost:,} / {one.gained:,}, p = "
                     f"{one.p_value:.2g}" for name, one in safety.tests.items())


def _changed(safety: Safety) -> str:
    return figure_text(safety.changed) if safety.changed else ""


def _worst(found: Worst | None) -> str:
    """`cat: 3.20 points [0.10 to 8.40]`."""
    return f"{found.name}: {figure_text(found.figure)}" if found is not None else ""


def _calibration(safety: Safety, of: Callable[[Calibration], Figure]) -> str:
    """The error or its rise, of several outputs each."""
    return "; ".join(f"{f'{name}: ' if len(safety.calibration) > 1 else ''}{figure_text(of(one))}"
                     for name, one in safety.calibration.items())


def _agreement(safety: Safety) -> str:
    """The lowest agreement with the float model on corrupted samples: one less the share changed."""
    found = safety.corrupted.changed if safety.corrupted is not None else None
    if found is None:
        return ""
    low, high = found.figure.interval or (found.figure.value, found.figure.value)
    return (f"{found.name}: {quantity(1 - found.figure.value, 'fraction')} [{100 * (1 - high):.1f} to "
            f"{100 * (1 - low):.1f}]")


_COLUMNS: tuple[tuple[str, Callable[[Safety], bool], Callable[[Safety], str]], ...] = (
    ("lost / gained", lambda safety: bool(safety.tests), _tests),
    ("predictions changed", lambda safety: safety.changed is not None, _changed),
    ("worst class", lambda safety: safety.classes is not None, lambda safety: _worst(safety.classes)),
    ("worst slice", lambda safety: safety.slices is not None, lambda safety: _worst(safety.slices)),
    ("calibration error", lambda safety: bool(safety.calibration),
     lambda safety: _calibration(safety, lambda one: one.error)),
    ("its rise over float", lambda safety: bool(safety.calibration),
     lambda safety: _calibration(safety, lambda one: one.rise)),
    ("agreement when corrupted", lambda safety: safety.corrupted is not None, _agreement))
"""Column, whether a variant has something for it, and its text."""
