"""`report.md`, and the short summary that a CI job shows: the same record, read in a terminal or in a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from device_profiles.schema import MICRO_ENGINE
from stages.records import CheckResult, LimitVerdict
from stages.reporting.calibration import HEAD as STUDY_HEAD
from stages.reporting.calibration import calibration_rows, calibration_text
from stages.reporting.examination import examination_rows, model_rows, sample_place
from stages.reporting.figures import capitalized
from stages.reporting.mixed import ROUND_HEAD, mixed_parts
from stages.reporting.npu import CAVEAT, LEFT_HEAD, npu_parts
from stages.reporting.npu import HEAD as NPU_HEAD
from stages.reporting.packed import HEAD as PACKED_HEAD
from stages.reporting.packed import packed_rows
from stages.reporting.places import obtained, untimed
from stages.reporting.record import EngineMetrics, Report, VariantReport
from stages.reporting.safety import INTRODUCTION, safety_parts, safety_table
from stages.reporting.slimmed import AUDITION_HEAD, slimmed_parts
from stages.reporting.slimmed import HEAD as SLIMMED_HEAD
from stages.reporting.text import MISSING, VERDICT_MARKS, figure_name, figure_text, kib, printable, quantity

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")
MARKS = {verdict: f"{mark} {verdict}" for verdict, mark in VERDICT_MARKS.items()}


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


def paragraphs(*texts: str) -> Iterator[str]:
    """Headings or text, Markdown already, each with an empty line after it."""
    for text in texts:
        yield from (text, "")


def words_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table whose cells are plain words."""
    yield from table(head, (list(map(escape, row)) for row in rows))


def markdown_report(report: Report, pictures: Mapping[str, str]) -> str:
    """The whole report as Markdown.

    Args:
        report: the record.
        pictures: by cost, the file name of the Pareto plot.
    """
    parts = (_head, _winners, lambda _: _pictures(report, pictures), _remarks, _sizes, _mixed, _engines, _outputs,
             _safety, _trainings, _slimmed, _npus, _verdicts, _open_limits, _model, _data, _suspects, _study, _foot)
    return "\n".join(line for part in parts for line in part(report))


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
    score = f"{escape(report.score)} {figure_text(report.baseline.headline)}"
    yield from paragraphs(
        f"# {escape(report.run)}",
        f"{len(report.variants)} variants of a model with {score} in float on {report.baseline.samples:,} test samples "
        f"of {escape(report.data.source)}. Intervals are 95 %; each end of a drop's is a one-sided bound.")


def _winners(report: Report) -> Iterator[str]:
    yield from paragraphs("## Winners")
    rows = []
    for profile in report.profiles.values():
        latency = profile.latency.get(profile.winner or "")
        shown = f"{figure_text(latency)}, {latency.provenance}" if latency else MISSING
        if profile.name in report.devices and latency and latency.provenance == "measured":
            shown += f" on {escape(report.devices[profile.name].place.words)}"
        winner = f"**{escape(profile.winner)}**" if profile.winner else "none"
        rows.append([escape(profile.name), escape(profile.device), winner, shown if profile.winner else "",
                     escape(profile.reason)])
    yield from table(["profile", "device", "winner", "median latency", "reason"], rows)


def _pictures(report: Report, pictures: Mapping[str, str]) -> Iterator[str]:
    words = {"tflite_bytes": "against bytes", "latency": "against latency"}
    for cost, name in pictures.items():
        yield from paragraphs(f"![{escape(capitalized(report.score))} {words[cost]}, with the Pareto front]({name})")


def _remarks(report: Report) -> Iterator[str]:
    if report.remarks:
        yield from paragraphs("## What the figures say")
        yield from (f"- {escape(remark.text)}" for remark in report.remarks)
        yield ""


def _arena(variant: VariantReport) -> str:
    """The arena and what of it stays, or why there is none."""
    if variant.arena_bytes is None:
        return escape(variant.arena_message)
    run = variant.latency.get(MICRO_ENGINE)
    stays = run.arena_persistent if run else None
    return f"{variant.arena_bytes:,} bytes" + (f", of which {stays.value:,.0f} stay" if stays else "")


def _sizes(report: Report) -> Iterator[str]:
    yield from paragraphs("## Files")
    rows = []
    for variant in report.variants:
        arena = _arena(variant)
        meaning = "; ".join(token.meaning for token in variant.tokens)
        rows.append([f"[{escape(variant.name)}]({variant.tflite})", f"{variant.tflite_bytes:,} bytes",
                     kib(variant.tflite_bytes), arena, escape(meaning), f"`{variant.sha256[:12]}`"])
    head = ["variant", "tflite model", "KiB = 1024 bytes", "arena in TFLM (measured)", "what it is", "SHA-256"]
    yield from table(head, rows)
    if packed := packed_rows(report):
        yield from paragraphs("### Packed files")
        yield from words_table(PACKED_HEAD, packed)


def _mixed(report: Report) -> Iterator[str]:
    """The format of each layer of each mixed variant, and the rounds."""
    for part in mixed_parts(report):
        yield from paragraphs(f"### Formats in {escape(part.variant)}", escape(part.text))
        yield from table(part.head, ([escape(row.layer), *_bold(row.cells, row.chosen)] for row in part.layers))
        yield from words_table(ROUND_HEAD, part.rounds)


def _bold(cells: Sequence[str], place: int) -> list[str]:
    """The cells, the one at a place in bold."""
    return [f"**{escape(cell)}**" if number == place else escape(cell) for number, cell in enumerate(cells)]


def _engines(report: Report) -> Iterator[str]:
    engines = dict.fromkeys(engine for variant in report.variants for engine in variant.metrics)
    head = ["variant", report.score, "drop against float", *(["predictions changed"] if report.decides else []),
            *map(figure_name, report.further_figures), "median latency", "p90"]
    for engine in engines:
        yield from paragraphs(f"## {escape(engine)}, {escape(obtained(report.evaluated_on, report.benchmarked_on))}")
        yield from table([escape(name) for name in head],
                         [_float_row(report, len(head)), *(_engine_row(report, variant, engine)
                                                           for variant in report.variants)])


def _float_row(report: Report, cells: int) -> list[str]:
    """The float model, for comparison; it has no latency here."""
    further = [figure_text(report.baseline.figures.get(name)) for name in report.further_figures]
    row = ["float model", figure_text(report.baseline.headline), "", *([""] if report.decides else []), *further]
    return [*row, *[""] * (cells - len(row))]


def _engine_row(report: Report, variant: VariantReport, engine: str) -> list[str]:
    """One variant in one engine; what is missing says why."""
    found = variant.metrics.get(engine, EngineMetrics(status="unavailable", message="not evaluated"))
    run = variant.latency.get(engine)
    if run is None or run.median is None:
        times = [escape(untimed(run)) if run else "not benchmarked", ""]
    else:
        times = [figure_text(run.median), figure_text(run.p90) if run.p90 else "too few samples"]
    return [escape(variant.name), *_score_cells(report, found), *times]


def _score_cells(report: Report, found: EngineMetrics) -> list[str]:
    """Score, drop, changed predictions and further figures; or the reason, and empty cells."""
    width = 2 + report.decides + len(report.further_figures)
    if found.headline is None:
        return [escape(f"{found.status}: {found.message}"), *[""] * (width - 1)]
    changed = MISSING if found.changed is None else f"{found.changed} of {found.samples:,}"
    return [figure_text(found.headline), figure_text(found.drop), *([changed] if report.decides else []),
            *(figure_text(found.figures.get(name)) for name in report.further_figures)]


def _safety(report: Report) -> Iterator[str]:
    """What the mean hides; nothing where nothing was measured."""
    found = safety_table(report)
    if not found.rows:
        return
    yield from paragraphs("## Safety", INTRODUCTION)
    yield from words_table([escape(name) for name in found.head], found.rows)
    parts = [one for one in safety_parts(report) if one.kind != "class"]
    if parts:
        head = ["variant", "engine", "slice or corruption", "samples", "drop or share changed", "not judged"]
        yield from table(head, (
            [escape(one.variant), escape(one.engine), escape(f"{one.name} ({one.kind})"), f"{one.samples:,}",
             escape(one.text), escape(one.note)] for one in parts))


def _outputs(report: Report) -> Iterator[str]:
    """Every output of a model that has several."""
    found = [("float model", "", report.baseline), *((variant.name, engine, metrics) for variant in report.variants
                                                     for engine, metrics in variant.metrics.items())]
    rows = [[escape(name), escape(engine), escape(output), one.task, "; ".join(
        f"{escape(figure_name(key))} {figure_text(figure)}" for key, figure in one.figures.items())]
        for name, engine, metrics in found for output, one in metrics.outputs.items()]
    if rows:
        yield from paragraphs("## Outputs")
        yield from table(["variant", "engine", "output", "task", "figures"], rows)


def _trainings(report: Report) -> Iterator[str]:
    """Every training in a line."""
    if report.trainings:
        yield from paragraphs("## Trainings")
        yield from table(["training", "epoch kept", "what came of it", "layers left alone"], (
            [escape(label), f"{one.best_epoch} of {len(one.loss)}", escape(one.summary),
             escape(", ".join(one.left_alone))] for label, one in report.trainings.items()))


def _slimmed(report: Report) -> Iterator[str]:
    """Channels before and after, of each training that removed some."""
    for part in slimmed_parts(report):
        yield from paragraphs(f"### Channels of {escape(part.training)}", escape(part.text))
        yield from words_table(SLIMMED_HEAD, part.rows)
        if part.auditions:
            yield from words_table(AUDITION_HEAD, part.auditions)


def _npus(report: Report) -> Iterator[str]:
    """What Vela made of the variants, for each profile with an NPU."""
    for part in npu_parts(report):
        yield from paragraphs(f"## NPU of {escape(part.profile)}", escape(f"{part.text} {CAVEAT}"))
        yield from words_table(NPU_HEAD, part.rows)
        if part.left:
            yield from words_table(LEFT_HEAD, part.left)


def _verdicts(report: Report) -> Iterator[str]:
    yield from paragraphs("## Verdicts")
    yield from table(["variant", *map(escape, report.profiles)], (
        [escape(variant.name), *(MARKS[variant.verdict[name]] if name in variant.verdict else "not checked"
                                 for name in report.profiles)] for variant in report.variants))


def _open_limits(report: Report) -> Iterator[str]:
    """Every limit that is not passed."""
    rows = [_limit_row(profile, variant.name, limit) for variant in report.variants
            for profile, limits in variant.verdicts.items() for limit in limits.values() if limit.verdict != "pass"]
    if rows:
        yield from paragraphs("### Limits that are not passed")
        yield from table(["profile", "variant", "limit", "found", "allowed", "provenance", "verdict", "why"], rows)


def _limit_row(profile: str, variant: str, limit: LimitVerdict) -> list[str]:
    return [escape(profile), escape(variant), escape(limit.limit), escape(limit.found_text), escape(limit.allowed_text),
            limit.provenance or "no figure", MARKS[limit.verdict], escape(limit.why)]


def _model(report: Report) -> Iterator[str]:
    """Where the model came from."""
    if report.model is not None:
        yield from paragraphs("## Model")
        yield from words_table(["", ""], model_rows(report.model))


def _data(report: Report) -> Iterator[str]:
    data = report.data
    shapes = ", ".join(f"{name} {' x '.join(map(str, spec.shape))}" for name, spec in data.inputs.items())
    classes = f"{len(data.class_names)} classes" if data.class_names else "values to predict"
    yield from paragraphs(
        "## Data", f"{escape(data.source)}: {escape(shapes)}, {classes}; {data.nan_samples} with NaN, "
        f"{data.constant_samples} constant samples, {data.constant_features} inputs that never change, "
        f"{data.skipped_samples} samples skipped because they cannot be read.")
    yield from table(["split", "samples", "exact duplicates inside"], (
        [escape(name), f"{split.samples:,}", str(data.duplicates_within.get(name, MISSING))]
        for name, split in data.splits.items()))
    for pair, count in data.duplicates_across.items():
        yield f"- exact duplicates across {escape(pair)}: {count}"
    yield ""
    if report.examination is not None:
        yield from paragraphs("### A closer look")
        yield from words_table(["", ""], examination_rows(report.examination))


def _suspects(report: Report) -> Iterator[str]:
    """Near-duplicate pairs and suspected labels, by name."""
    found = report.examination
    if found is not None and found.near_duplicates.pairs:
        yield from paragraphs("### Near-duplicates, worst first")
        yield from table(["one", "other", "similarity"], (
            [escape(sample_place(pair.first)), escape(sample_place(pair.second)), f"{pair.similarity:.4f}"]
            for pair in found.near_duplicates.pairs))
    if found is not None and found.label_errors.listed:
        yield from paragraphs("### Suspected label errors, strongest first")
        yield from table(["sample", "given", "suggested", "margin"], (
            [escape(sample_place(one.sample, label=False)), escape(one.sample.label), escape(one.suggested),
             f"{one.margin:.2f}"] for one in found.label_errors.listed))


def _study(report: Report) -> Iterator[str]:
    """The calibration study, where there is one."""
    if report.calibration is not None:
        yield from paragraphs("## Calibration study", escape(calibration_text(report.calibration)))
        yield from words_table(STUDY_HEAD, calibration_rows(report.calibration))


def _foot(report: Report) -> Iterator[str]:
    host = report.host
    memory = quantity(host.memory_bytes, "bytes")
    yield from paragraphs(
        "## Host and versions", f"{escape(host.cpu)}, {host.architecture}, {host.cores} cores, {memory} of memory, "
        f"{escape(host.system)}, Python {host.python}.")
    yield from table(["distribution", "version"], [["litesmith", report.litesmith], *(
        [escape(name), escape(version)] for name, version in report.versions.items())])
