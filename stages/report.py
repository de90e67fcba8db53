"""Put everything that a run found out into one report: JSON and its schema, Markdown and plots, an offline page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import Field, RootModel

from device_profiles.records import Record
from stages.artifacts import read_result
from stages.calibrating.record import CalibrationStudy
from stages.context import StageContext
from stages.examining.thumbnails import read_thumbnails
from stages.npu import parts_of
from stages.records import (
    BaselineResult,
    BenchmarkResult,
    CheckResult,
    ConvertResult,
    DistilResult,
    EvaluateResult,
    ExamineResult,
    Mixing,
    ModelResult,
    PrepareResult,
    PruneResult,
    QuantizeResult,
    SensitivityResult,
    SlimResult,
    StageResult,
    TrainResult,
)
from stages.records.npu import CompileResult
from stages.reporting.assemble import build_report
from stages.reporting.html import html_page
from stages.reporting.markdown import markdown_report
from stages.reporting.plots import write_plots
from stages.reporting.record import Report, json_text, schema_text
from stages.reporting.sources import Heading, Sources, Training

NAME = "report"
VERSION = 5
LIBRARIES: tuple[str, ...] = ("plotly", "jinja2", "matplotlib")


R = TypeVar("R", bound=StageResult)


class Settings(Record):
    """What a user may write under `report:`."""

    title: str = Field("", description="the report's heading; the run's name where it is left out")


class Options(Settings):
    """The same, with what the plan knows. Nothing here depends on the day or the place of the run.

    Attributes:
        run: name of the run.
        litesmith: version of litesmith.
        versions: by distribution, the versions that shaped the run.
        config: the run file, as the plan resolved it.
        tflite_path: where a variant's tflite model lies, from the folder of `report.json`; `{name}` is the variant.
    """

    run: str
    litesmith: str
    versions: dict[str, str]
    config: str
    tflite_path: str = "../models/{name}.tflite"


class ReportResult(StageResult):
    """What was written.

    Attributes:
        winners: by profile, the variant that won, or None.
        files: names of all files in the artifact.
    """

    winners: dict[str, str | None]
    files: tuple[str, ...]


def run(*, data: Path, trainings: Mapping[str, Path], tflites: Mapping[str, Path], evaluations: Mapping[str, Path],
        baseline: Path, benchmark: Path, check: Path, options: Options, context: StageContext,
        model: Path | None = None, examination: Path | None = None,
        calibration: Path | None = None, sensitivities: Mapping[str, Path] | None = None,
        choices: Mapping[str, Path] | None = None, devices: Mapping[str, Path] | None = None,
        compilations: Mapping[str, Path] | None = None) -> ReportResult:
    """Write the report. The same artifacts and options give the same bytes.

    Args:
        data: the artifact of `prepare`.
        trainings: by label, artifacts of `train`, `distil`, `slim`, `prune` and `quantize`; those that trained nothing
            are passed over.
        tflites: by variant, in the order in which the report names them.
        evaluations: by variant.
        baseline: the artifact of `baseline`.
        benchmark: the artifact of `benchmark`.
        check: the artifact of `check`.
        options: see `Options`.
        context: where to write.
        model: the artifact of `model`; without it the report says nothing of the model's origin.
        examination: the artifact of `examine`; without it the data report holds what `prepare` counted.
        calibration: the artifact of `calibrate`; there where a calibration study was asked for.
        sensitivities: by `mixed` variant, the artifact of `sensitivity`.
        choices: by `mixed` variant, the artifact of `quantize` in which its layers' formats were chosen.
        devices: by profile that was measured on a target of its own, the artifact of that `benchmark`.
        compilations: by `variant@profile`, the artifact of `compile`, for the profiles with an NPU.

    Raises:
        StoreError: an artifact without a readable result.
    """
    sources = Sources(
        data=read_result(data, PrepareResult),
        trainings={label: _training(folder) for label, folder in trainings.items()},
        converted=_results(tflites, ConvertResult), evaluated=_results(evaluations, EvaluateResult),
        baseline=read_result(baseline, BaselineResult), benchmark=read_result(benchmark, BenchmarkResult),
        check=read_result(check, CheckResult), model=read_result(model, ModelResult) if model else None,
        examination=read_result(examination, ExamineResult) if examination else None,
        calibration=read_result(calibration, CalibrationStudy) if calibration else None,
        sensitivities=_results(sensitivities, SensitivityResult), mixings=_mixings(choices),
        devices=_results(devices, BenchmarkResult), compiled=_compiled(compilations))
    heading = Heading(run=options.title or options.run, litesmith=options.litesmith, versions=options.versions,
                      config=options.config, tflite_path=options.tflite_path)
    report = build_report(sources, heading)
    files = _write(report, read_thumbnails(examination) if examination else {}, context)
    winners = {name: profile.winner for name, profile in report.profiles.items()}
    return ReportResult(summary=f"{len(report.variants)} variants, {len(report.profiles)} profiles: report.html",
                        winners=winners, files=files)


def _results(folders: Mapping[str, Path] | None, kind: type[R]) -> dict[str, R]:
    """The result in each artifact."""
    return {name: read_result(folder, kind) for name, folder in (folders or {}).items()}


def _compiled(compilations: Mapping[str, Path] | None) -> dict[str, dict[str, CompileResult]]:
    """By profile, then by variant, what Vela made of it."""
    found: dict[str, dict[str, CompileResult]] = {}
    for name, result in _results(compilations, CompileResult).items():
        variant, profile = parts_of(name)
        found.setdefault(profile, {})[variant] = result
    return found


def _mixings(choices: Mapping[str, Path] | None) -> dict[str, Mixing]:
    """By variant, the formats that were chosen."""
    found = _results(choices, QuantizeResult)
    return {name: result.mixing for name, result in found.items() if result.mixing is not None}


class TrainingOutcome(RootModel[TrainResult | DistilResult | SlimResult | PruneResult | QuantizeResult]):
    """The result of a training stage: each refuses the others' keys, so only one can fit."""


def _training(folder: Path) -> Training:
    """The result of `train`, `distil`, `slim`, `prune` or `quantize`."""
    return read_result(folder, TrainingOutcome).root


def _write(report: Report, thumbnails: Mapping[str, str], context: StageContext) -> tuple[str, ...]:
    """Every file of the artifact."""
    steps = 4
    context.progress(0, steps, "report.json")
    _text(context, "report.json", json_text(report, pretty=True))
    _text(context, "report.schema.json", schema_text())
    context.progress(1, steps, "plots")
    pictures = write_plots(report, context.out)
    context.progress(2, steps, "report.md")
    _text(context, "report.md", markdown_report(report, pictures))
    context.progress(3, steps, "report.html")
    _text(context, "report.html", html_page(report, thumbnails))
    context.progress(steps, steps, "report written")
    return tuple(sorted(path.name for path in context.out.iterdir()))


def _text(context: StageContext, name: str, text: str) -> None:
    """UTF-8 with plain newlines on every system."""
    (context.out / name).write_text(text, encoding="utf-8", newline="\n")
