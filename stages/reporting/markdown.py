"""`report.md`, and the short summary that a CI job shows: the same record, read in a terminal or in a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from stages.records import CheckResult, LimitVerdict
from stages.reporting.record import EngineMetrics, Report, VariantReport
from stages.reporting.text import MISSING, figure_text, kib, printable, quantity

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")
MARKS = {"pass": "✓ pass", "fail": "✕ fail", "undecided": "≈ undecided", "unknown": "? unknown"}


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in a table cell too."""
    return _SPECIAL.sub(r"\\\1", printable(text)).replace("\n", " ")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table; the cells are Markdown already."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def markdown_report(report: Report, pictures: Mapping[str, str]) -> str:
    """The whole report as Markdown.

    Args:
        report: the record.
        pictures: by cost, the file name of the Pareto plot.
    """
    return "\n".join([*_head(report), *_winners(report), *_pictures(pictures), *_remarks(report), *_sizes(report),
                      *_engines(report), *_verdicts(report), *_open_limits(report), *_data(report), *_foot(report)])


def check_summary(check: CheckResult) -> str:
    """A few lines for a CI job's summary: the winners, and every variant against every profile."""
    profiles = check.profiles.values()
    names = list(dict.fromkeys(name for profile in profiles for name in profile.variants))
    lines = [f"### litesmith: {escape(check.summary)}", ""]
    lines += table(["profile", "winner", "reason"], (
        [escape(one.profile), f"**{escape(one.winner)}**" if one.winner else "none", escape(one.reason)]
        for one in profiles))
    lines += table(["variant", *(escape(one.profile) for one in profiles)], (
        [escape(name), *(MARKS[one.variants[name].verdict] if name in one.variants else "not checked"
                         for one in profiles)] for name in names))
    return "\n".join(lines)


def _head(report: Report) -> Iterator[str]:
    yield f"# {escape(report.run)}"
    yield ""
    accuracy = figure_text(report.baseline.accuracy)
    yield (f"{len(report.variants)} variants of a model with {accuracy} accuracy in float on "
           f"{report.baseline.samples:,} test samples of {escape(report.data.source)}. Intervals are 95 %.")
    yield ""


def _winners(report: Report) -> Iterator[str]:
    yield "## Winners"
    yield ""
    rows = []
    for profile in report.profiles.values():
        latency = profile.latency.get(profile.winner or "")
        shown = f"{figure_text(latency)}, {latency.provenance}" if latency else MISSING
        winner = f"**{escape(profile.winner)}**" if profile.winner else "none"
        rows.append([escape(profile.name), escape(profile.device), winner, shown if profile.winner else "",
                     escape(profile.reason)])
    yield from table(["profile", "device", "winner", "median latency", "reason"], rows)


def _pictures(pictures: Mapping[str, str]) -> Iterator[str]:
    words = {"tflite_bytes": "Accuracy against bytes", "latency": "Accuracy against latency"}
    for cost, name in pictures.items():
        yield f"![{words[cost]}, with the Pareto front]({name})"
        yield ""


def _remarks(report: Report) -> Iterator[str]:
    if report.remarks:
        yield "## What the figures say"
        yield ""
        yield from (f"- {escape(remark.text)}" for remark in report.remarks)
        yield ""


def _sizes(report: Report) -> Iterator[str]:
    yield "## Files"
    yield ""
    rows = []
    for variant in report.variants:
        arena = f"{variant.arena_bytes:,} bytes" if variant.arena_bytes is not None else escape(variant.arena_message)
        meaning = "; ".join(token.meaning for token in variant.tokens)
        rows.append([f"[{escape(variant.name)}]({variant.tflite})", f"{variant.tflite_bytes:,} bytes",
                     kib(variant.tflite_bytes), arena, escape(meaning), f"`{variant.sha256[:12]}`"])
    head = ["variant", "tflite model", "KiB = 1024 bytes", "arena in TFLM (measured)", "what it is", "SHA-256"]
    yield from table(head, rows)


def _engines(report: Report) -> Iterator[str]:
    engines = dict.fromkeys(engine for variant in report.variants for engine in variant.metrics)
    for engine in engines:
        yield f"## {escape(engine)}, measured on this host"
        yield ""
        yield from table(["variant", "accuracy", "drop against float", "labels changed", "median latency", "p90"],
                         (_engine_row(variant, engine) for variant in report.variants))


def _engine_row(variant: VariantReport, engine: str) -> list[str]:
    """One variant in one engine; what is missing says why."""
    found = variant.metrics.get(engine, EngineMetrics(status="unavailable", message="not evaluated"))
    run = variant.latency.get(engine)
    if found.accuracy is None:
        shown = [escape(f"{found.status}: {found.message}"), "", ""]
    else:
        changed = MISSING if found.changed is None else f"{found.changed} of {found.samples:,}"
        shown = [figure_text(found.accuracy), figure_text(found.drop), changed]
    if run is None or run.median is None:
        times = [escape(f"{run.status}: {run.message}") if run else "not benchmarked", ""]
    else:
        times = [figure_text(run.median), figure_text(run.p90) if run.p90 else "too few samples"]
    return [escape(variant.name), *shown, *times]


def _verdicts(report: Report) -> Iterator[str]:
    yield "## Verdicts"
    yield ""
    yield from table(["variant", *map(escape, report.profiles)], (
        [escape(variant.name), *(MARKS[variant.verdict[name]] if name in variant.verdict else "not checked"
                                 for name in report.profiles)] for variant in report.variants))


def _open_limits(report: Report) -> Iterator[str]:
    """Every limit that is not passed."""
    rows = [_limit_row(profile, variant.name, limit) for variant in report.variants
            for profile, limits in variant.verdicts.items() for limit in limits.values() if limit.verdict != "pass"]
    if rows:
        yield "### Limits that are not passed"
        yield ""
        yield from table(["profile", "variant", "limit", "found", "allowed", "provenance", "verdict", "why"], rows)


def _limit_row(profile: str, variant: str, limit: LimitVerdict) -> list[str]:
    return [escape(profile), escape(variant), escape(limit.limit), escape(limit.found_text), escape(limit.allowed_text),
            limit.provenance or "no figure", MARKS[limit.verdict], escape(limit.why)]


def _data(report: Report) -> Iterator[str]:
    data = report.data
    yield "## Data"
    yield ""
    shape = " x ".join(map(str, data.input_shape))
    yield (f"{escape(data.source)}: samples of {shape}, {len(data.class_names)} classes; {data.nan_samples} with NaN, "
           f"{data.constant_samples} constant samples, {data.constant_features} inputs that never change.")
    yield ""
    yield from table(["split", "samples", "duplicates inside"], (
        [escape(name), f"{split.samples:,}", str(data.duplicates_within.get(name, MISSING))]
        for name, split in data.splits.items()))
    for pair, count in data.duplicates_across.items():
        yield f"- duplicates across {escape(pair)}: {count}"
    yield ""


def _foot(report: Report) -> Iterator[str]:
    host = report.host
    yield "## Host and versions"
    yield ""
    memory = quantity(host.memory_bytes, "bytes")
    yield (f"{escape(host.cpu)}, {host.architecture}, {host.cores} cores, {memory} of memory, {escape(host.system)}, "
           f"Python {host.python}.")
    yield ""
    yield from table(["distribution", "version"], [["litesmith", report.litesmith], *(
        [escape(name), escape(version)] for name, version in report.versions.items())])
