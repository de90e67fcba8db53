"""The report as a record: what `report.json` holds. Every renderer reads it and nothing else.

Its shape is public: docs/report.md explains it, and `report.schema.json`, written beside each report, is this file's
JSON Schema. `SCHEMA_VERSION` grows when a reader of the last one would stumble; a new key alone does not raise it.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Literal

from pydantic import Field

from device_profiles.records import Figure, Provenance, Record
from stages.calibrating.record import CalibrationStudy
from stages.records import (
    Agreement,
    BeforeAfter,
    EngineBenchmark,
    EngineStatus,
    ExamineResult,
    Host,
    LayerTrial,
    LimitVerdict,
    Mixing,
    ModelResult,
    Packing,
    PrepareResult,
    ProfileOutcome,
    Safety,
    SlimAudition,
    Verdict,
)
from stages.records.npu import CompileResult
from stages.records.sensitivity import Divergence, LayerFormat
from stages.reporting.places import Place

SCHEMA_VERSION = 2

_QUIET_FIGURES = dict.fromkeys(("classification", "multilabel"), ("precision", "recall", "log_loss"))
_OF_A_PART = re.compile(r"(auc|r2|rmse|mae)_(?!mean$)")

Curve = tuple[float | None, ...]
Cost = Literal["tflite_bytes", "latency"]


class Token(Record):
    """One token of a variant's name and what it means."""

    token: str
    meaning: str


class TaskMetrics(Record):
    """What the task measures on one output of a model; empty where nothing ran.

    Attributes:
        task: the task's kind.
        samples: how many were scored; 0 where nothing ran.
        score: key in `figures` of the figure that a drop is measured in; higher is better.
        figures: by name, those that are numbers.
        per_class_recall: in the order of the class names; null for a class without samples; empty without classes.
        confusion: `confusion[i][j]` samples of class i were given label j; empty without classes.
    """

    task: str = "classification"
    samples: int = 0
    score: str = "accuracy"
    figures: dict[str, Figure] = Field(default_factory=dict)
    per_class_recall: Curve = ()
    confusion: tuple[tuple[int, ...], ...] = ()

    @property
    def headline(self) -> Figure | None:
        """The score's figure, or None where there is none."""
        return self.figures.get(self.score)


class EngineMetrics(TaskMetrics):
    """One tflite model on the test split in one engine, or why there are no figures.

    Attributes:
        status: "ok", or what stood in the way; `message` says it in words.
        drop: score of the float model less this one's, unit "points" (hundredths), paired; each end of its interval is
            a one-sided 95 % bound.
        changed: predictions that differ from the float model's; null for tasks that decide nothing.
        largest_difference: of any output from the float model's.
        outputs: by output name, for a model with several; else empty.
        safety: what the mean hides: see `stages.records.Safety`; null where nothing ran.
    """

    engine_version: str = ""
    status: EngineStatus = "ok"
    message: str = ""
    drop: Figure | None = None
    changed: int | None = None
    largest_difference: float | None = None
    outputs: dict[str, TaskMetrics] = Field(default_factory=dict)
    safety: Safety | None = None


class MixedLayer(Record):
    """A layer of a `mixed` tflite model.

    Attributes:
        label: operator number, kind and output: "3:CONV_2D conv/Relu".
        format: that was chosen for it.
        weights, macs: elements of the kernel; multiply-accumulates of one inference.
        float_bytes, chosen_bytes: of weights, bias and their scales, in float32 and in the chosen format.
        trials: this layer alone in each candidate format, everything else in float, on validation samples.
    """

    label: str
    format: LayerFormat
    weights: int
    macs: int
    float_bytes: int
    chosen_bytes: int
    trials: tuple[LayerTrial, ...]


class MixedReport(Record):
    """How the formats of a `mixed` variant were chosen; see `stages.records.sensitivity` for the words.

    Attributes:
        mixing: what was asked, the rounds, and what came of them.
        layers: in the model's order.
        divergence: measure of the trials.
        engine, samples, score_name: of the trials.
    """

    mixing: Mixing
    layers: tuple[MixedLayer, ...]
    divergence: Divergence
    engine: str
    samples: int
    score_name: str


class VariantReport(Record):
    """One variant: the file, and every figure that was obtained on it.

    Attributes:
        tflite: path of the tflite model, relative to the folder of `report.json`.
        tokens: what its name means.
        converter: what wrote the file, with its version.
        metrics: by engine, on the test split.
        latency: by engine, measured on the host named in `host`; status and message where there are no figures.
        arena_bytes: the tensor arena as TFLM reports it, exact; null where TFLM did not run the model.
        arena_message: why `arena_bytes` is null.
        packing: what packing made of the file; null where it is not packed.
        mixed: how the format of each layer was chosen; null for the other formats.
        agreements: how far the engines agree with each other.
        verdicts: by profile, then by limit.
        verdict: by profile, the worst of its limits.
        warnings: what a user should know about this variant.
    """

    name: str
    tflite: str
    tflite_bytes: int
    sha256: str
    converter: str
    tokens: tuple[Token, ...]
    metrics: dict[str, EngineMetrics]
    latency: dict[str, EngineBenchmark]
    arena_bytes: int | None
    arena_message: str = ""
    packing: Packing | None = None
    mixed: MixedReport | None = None
    agreements: tuple[Agreement, ...] = ()
    verdicts: dict[str, dict[str, LimitVerdict]]
    verdict: dict[str, Verdict]
    warnings: tuple[str, ...] = ()


class ProfileReport(ProfileOutcome):
    """One profile's outcome; its limits stand with the variants."""

    name: str


class TrainingReport(Record):
    """One training: its curves, one value an epoch (null where it was not a number), and what was verified after it.

    Attributes:
        score_name: what `score` and `validation_score` are: "accuracy", "macro F1", "R2", ...
        best_epoch: the epoch whose weights were kept, counted from 1.
        sparsity: share of zeros in the pruned kernels, counted on the finished weights, 0 to 1; null if not pruned.
        shared_values: most distinct values in a clustered kernel, counted; null if not clustered.
        channels: by layer, how many it makes before and after channels were removed; empty if none were.
        macs: multiply-accumulates of one inference before and after; null if no channels were removed.
        branches: what left whole, by first and last layer.
        auditions: choices of branches and of what joined channels count that were tried, in that order.
        teacher_score: of the teacher on the validation split; null without one, or where it is not defined.
        left_alone: layers that were not slimmed, pruned or quantized, with the reason.
    """

    label: str
    summary: str
    score_name: str
    loss: Curve
    score: Curve
    validation_loss: Curve
    validation_score: Curve
    best_epoch: int
    stopped_early: bool
    sparsity: float | None = None
    shared_values: int | None = None
    channels: dict[str, BeforeAfter] = Field(default_factory=dict)
    macs: BeforeAfter | None = None
    branches: tuple[str, ...] = ()
    auditions: tuple[SlimAudition, ...] = ()
    teacher_score: float | None = None
    left_alone: dict[str, str] = Field(default_factory=dict)


class Point(Record):
    """One variant in a plot of the task's score against cost."""

    variant: str
    score: Figure
    cost: Figure


class Front(Record):
    """A Pareto front: the variants that no other beats in both score and cost.

    Attributes:
        cost: "tflite_bytes" or "latency".
        engine: whose score it is.
        profile: the profile whose predicted latency is the cost; null for bytes and for latency measured on the host.
        provenance: of the cost. A measured and a predicted cost are never in one front.
        points: every variant that has both figures, by cost, then by name.
        front: those of them on the front, in the same order.
        missing: the other variants, and why they have no point.
    """

    cost: Cost
    engine: str
    profile: str | None
    provenance: Provenance
    points: tuple[Point, ...]
    front: tuple[str, ...]
    missing: dict[str, str]


class Remark(Record):
    """A sentence computed from the figures: what a reader would otherwise have to notice.

    Attributes:
        kind: "speed", "size", "pruning", "agreement", "missing", "warning".
        text: the sentence.
        variants: whom it is about.
    """

    kind: str
    text: str
    variants: tuple[str, ...] = ()


class DeviceReport(Record):
    """What was measured on the target of one profile, which names it.

    Attributes:
        place: the target, and what stands there.
        engine: the profile's.
        latency: by variant.
    """

    place: Place
    engine: str
    latency: dict[str, EngineBenchmark]


class Report(Record):
    """Everything that a run found out. See docs/report.md.

    Attributes:
        task: the task's kind.
        score: name for people of what every drop is measured in: "accuracy", "macro F1", "R2", "ROC AUC".
        baseline: metrics of the float model.
        model: where the model came from, and the proof of its translation; null where the run did not say.
        data: what the prepare stage counted.
        examination: what the examine stage suspects of the data; null where it did not run.
        calibration: the calibration study; null where none was asked for.
        compilations: by profile with an NPU, then by variant, what Vela made of it.
        devices: by profile with a target of its own, what was measured there.
        host: the machine that the benchmark ran on.
        evaluated_on, benchmarked_on: the targets of these stages.
    """

    schema_version: int = SCHEMA_VERSION
    run: str
    litesmith: str
    task: str
    score: str
    fits: bool
    profiles: dict[str, ProfileReport]
    variants: tuple[VariantReport, ...]
    remarks: tuple[Remark, ...]
    fronts: tuple[Front, ...]
    baseline: EngineMetrics
    trainings: dict[str, TrainingReport]
    model: ModelResult | None = None
    data: PrepareResult
    examination: ExamineResult | None = None
    calibration: CalibrationStudy | None = None
    compilations: dict[str, dict[str, CompileResult]] = Field(default_factory=dict)
    devices: dict[str, DeviceReport] = Field(default_factory=dict)
    host: Host
    evaluated_on: Place = Place()
    benchmarked_on: Place = Place()
    versions: dict[str, str]
    config: str

    def variant(self, name: str) -> VariantReport:
        """The variant of that name.

        Raises:
            KeyError: no such variant.
        """
        return {variant.name: variant for variant in self.variants}[name]

    @property
    def further_figures(self) -> tuple[str, ...]:
        """Keys of the figures that tables show beside the score, in the task's order.

        Left to report.json: precision and recall, which macro F1 weighs; log loss, which has no everyday scale; the
        figures of each group or each predicted value, of which there can be many.
        """
        quiet = (self.baseline.score, *_QUIET_FIGURES.get(self.task, ()))
        each = [self.baseline, *(metrics for variant in self.variants for metrics in variant.metrics.values())]
        names = dict.fromkeys(name for metrics in each for name in metrics.figures)
        return tuple(name for name in names if name not in quiet and not _OF_A_PART.match(name))

    @property
    def decides(self) -> bool:
        """Whether the task makes predictions that can change: a regression's values and an anomaly's scores cannot."""
        return any(metrics.changed is not None for variant in self.variants for metrics in variant.metrics.values())


def finite(value: float | None) -> float | None:
    """The number, or None for a NaN or an infinity: JSON has neither."""
    return value if value is not None and math.isfinite(value) else None


def _without_nan(value: Any) -> Any:
    """The same tree with null for every NaN and infinity."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return finite(value) if isinstance(value, float) else value


def json_text(value: Any, *, pretty: bool = False) -> str:
    """Strict JSON (no NaN), the same bytes for the same value; dictionaries keep their order.

    Args:
        value: a record, or anything made of lists, dictionaries, text and numbers.
        pretty: indented, with a newline at the end: for files that people open.
    """
    tree = _without_nan(value.model_dump(mode="python") if isinstance(value, Record) else value)
    if pretty:
        return json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def schema_text() -> str:
    """`report.schema.json`: JSON Schema, draft 2020-12, of the report."""
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json_text(draft | Report.model_json_schema(mode="serialization"), pretty=True)
