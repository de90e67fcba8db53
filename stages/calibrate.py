"""Calibration study: how many samples does quantization need on this model and this data?

The float32 tflite model is calibrated with more and more training samples, in several draws, quantized, and scored each
time. Choosing by the test split would lean towards it, so the validation split is the one that is scored.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from device_profiles.errors import EngineUnavailable, StageError
from device_profiles.records import Record
from stages import calibration
from stages.bench import Bench, whole_split
from stages.calibrating import study
from stages.calibrating.plot import draw_study
from stages.calibrating.record import CalibrationPoint, CalibrationStudy
from stages.context import Progress, StageContext
from stages.converting.quantizing import FAULTS, PostTraining
from stages.converting.ranges import method_for
from stages.converting.source import read_float
from stages.datasets.prepared import read_split
from stages.datasets.records import TEST, TRAIN, VALIDATION
from stages.engines import host, registry
from stages.models.quiet import native_errors_to
from stages.recipes import rules_for
from stages.tasks import TaskSettings
from stages.tasks.settings import score_text

NAME = "calibrate"
VERSION = 3
LIBRARIES = ("litert-quantizer", "ai-edge-litert", "numpy", "matplotlib")


class Settings(Record):
    """What a user may set for a calibration study."""

    format: Literal["int8", "int16x8"] = Field(default="int8", description="int8, int16x8")
    sizes: tuple[int, ...] = Field(
        default=(1, 2, 5, 10, 20, 50, 100, 200, 500), min_length=2,
        description="numbers of calibration samples; all that there are stands for those that are larger")
    draws: int = Field(default=3, ge=1, le=100, description="how often each number is drawn anew")
    strategy: Literal["balanced", "random"] = Field(default="balanced", description="how samples are chosen")
    engine: registry.EngineName = Field(default="litert", description=f"engine to run: {', '.join(registry.ENGINES)}")
    split: Literal["validation", "test"] = Field(
        default="validation", description="split that is scored; a choice made by test leans towards the test split")
    workers: int = Field(default=0, ge=0, le=256, description="processes, one thread each; 0: one per core")
    timeout_s: float = Field(default=120.0, gt=0, description="seconds that the engine may take to load or for a batch")
    resamples: int = Field(default=1000, ge=100, le=100_000, description="bootstrap resamples for the intervals")

    @field_validator("sizes")
    @classmethod
    def _ascending(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if any(size < 1 for size in sizes) or list(sizes) != sorted(set(sizes)):
            raise ValueError("give numbers of samples from 1 on, each larger than the one before")
        return sizes


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        seed: of the first draw and the bootstrap; the next draws take the next numbers.
        engine_version: installed version; part of the key.
        task: what the outputs are scored by.
    """

    seed: int = 0
    engine_version: str | None = None
    task: TaskSettings = TaskSettings()


def run(*, tflite: Path, data: Path, options: Options, context: StageContext) -> CalibrationStudy:
    """Write `calibration.png`.

    Args:
        tflite: a float32 convert artifact, or a model artifact with a float32 tflite model.
        data: a prepare artifact.
        options: see `Options`.
        context: where to write.

    Raises:
        StageError: too few training samples, a model that cannot be quantized, or that does not fit the data.
        EngineError: the engine is not there, or cannot run a model.
        StoreError: an artifact without its files.
    """
    info = registry.engine_info(options.engine)
    if not info.available:
        raise EngineUnavailable(options.engine, "", info.reason)
    train = read_split(data, TRAIN, in_memory_bytes=0)
    order = [calibration.draw(train.y, options.seed + place, kind=options.task.kind, strategy=options.strategy)
             for place in range(options.draws)]
    sizes = usable_sizes(options.sizes, len(order[0]))
    content, bench = read_float(tflite), _bench(data, options, context)
    reference = study.outputs_of(bench, content, "float32")
    with native_errors_to(context.log):
        try:
            work = PostTraining(content, rules_for(options.format), None, method_for(options.format, options.task.kind))
            draws = [study.run_draw(work, train.x, rows, sizes, bench, _nth(context, place, options.draws))
                     for place, rows in enumerate(order)]
        except FAULTS as error:
            raise StageError(f"cannot quantize to {options.format}: {error}", "", f"see {context.log}") from error
    points = study.compare(draws, sizes, reference, bench, partial(
        bench.drop, seed=options.seed, resamples=options.resamples))
    found = _result(points, bench.score(reference), info.version or "", len(reference), bench.task.score_name, options)
    draw_study(found, context.out)
    return found


def usable_sizes(sizes: tuple[int, ...], available: int) -> list[int]:
    """The sizes that the training split can give; its own size stands for all that are larger.

    Raises:
        StageError: fewer than two are left.
    """
    kept = sorted({min(size, available) for size in sizes if size})
    if len(kept) < 2:
        raise StageError(f"a study needs two numbers of samples, and the training split gives {available}",
                         "at least 2 training samples", "give more data, or smaller numbers in calibrate.sizes")
    return kept


def _bench(data: Path, options: Options, context: StageContext) -> Bench:
    """The samples that are scored, and what scores them."""
    return whole_split(data, VALIDATION if options.split == "validation" else TEST, options.task,
                       engine=options.engine, workers=options.workers or len(host.cores()),
                       timeout_s=options.timeout_s, log=context.log)


def _nth(context: StageContext, place: int, draws: int) -> Progress:
    """Progress of one draw among all."""
    return lambda done, total, text: context.progress(place * total + done, draws * total, text)


def _result(points: tuple[CalibrationPoint, ...], float_score: float, version: str, scored: int, score_name: str,
            options: Options) -> CalibrationStudy:
    """The record, with the conclusion in a sentence."""
    enough = study.enough(points)
    resolution = study.resolution(points, enough)
    warnings = () if options.split == "validation" else (
        "scored on the test split: a number of samples chosen by it makes the test score too good",)
    return CalibrationStudy(
        summary=conclusion(points, enough, resolution, score_name), warnings=warnings, format=options.format,
        engine=options.engine, engine_version=version, split=options.split, scored=scored, strategy=options.strategy,
        score_name=score_name, float_score=float_score, points=points, enough=enough, resolution_points=resolution)


def conclusion(points: tuple[CalibrationPoint, ...], enough: int | None, resolution: float, score_name: str) -> str:
    """`from 20 samples on the accuracy no longer changes (98.1 %; differences under 0.8 points cannot be seen)`."""
    last = points[-1]
    score = score_text(score_name, float(np.mean(last.scores)))
    seen = f"{score} with {last.samples:,}; a difference of less than {resolution:.1f} points could not be seen"
    if enough is None:
        return f"{score_name} still changes with {points[-2].samples:,} calibration samples: {seen}"
    ending = "" if enough == 1 else "s"
    return f"from {enough:,} calibration sample{ending} on the {score_name} no longer changes: {seen}"
