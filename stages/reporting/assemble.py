"""From the records of all stages to one report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from device_profiles.records import Figure
from device_profiles.schema import MICRO_ENGINE
from stages.records import (
    DistilResult,
    EngineBenchmark,
    EngineEvaluation,
    LayerSensitivity,
    Metrics,
    Mixing,
    ProfileOutcome,
    PruneResult,
    QuantizeResult,
    SensitivityResult,
    SlimResult,
)
from stages.records.sensitivity import LayerFormat
from stages.reporting.pareto import all_fronts
from stages.reporting.places import HOST, place_of
from stages.reporting.record import (
    DeviceReport,
    EngineMetrics,
    MixedLayer,
    MixedReport,
    ProfileReport,
    Report,
    TaskMetrics,
    Token,
    TrainingReport,
    VariantReport,
    finite,
)
from stages.reporting.remarks import all_remarks
from stages.reporting.sources import Heading, Sources, Training
from stages.reporting.text import figure_name
from stages.variants import parse_variant

_PURE = re.compile(r"r2(_|$)|(partial_)?auc(_|$)")


def build_report(sources: Sources, heading: Heading) -> Report:
    """Put the report together. The same records and heading give an equal report."""
    variants = tuple(_variant(name, sources, heading.tflite_path) for name in sources.converted)
    profiles = {name: ProfileReport(name=name, **{each: getattr(check, each) for each in ProfileOutcome.model_fields})
                for name, check in sources.check.profiles.items()}
    trainings = {label: training for label, result in sources.trainings.items()
                 if (training := _training(label, result)) is not None}
    baseline = sources.baseline
    return Report(
        run=heading.run, litesmith=heading.litesmith, task=baseline.metrics.task,
        score=figure_name(baseline.metrics.score), fits=sources.check.fits, profiles=profiles, variants=variants,
        remarks=all_remarks(variants, sources), fronts=all_fronts(variants, profiles),
        baseline=_engine_metrics(baseline.metrics, baseline.outputs), trainings=trainings, model=sources.model,
        data=sources.data, examination=sources.examination, calibration=sources.calibration,
        compilations=sources.compiled, devices={name: _device(name, sources) for name in sources.devices},
        host=sources.benchmark.host, versions=heading.versions,
        evaluated_on=place_of(next((each.target for each in sources.evaluated.values()), HOST)),
        benchmarked_on=place_of(sources.benchmark.target, sources.benchmark.conditions),
        config=heading.config)


def _device(profile: str, sources: Sources) -> DeviceReport:
    """What was measured on a profile's own target, in its engine."""
    found, engine = sources.devices[profile], sources.check.profiles[profile].engine
    return DeviceReport(place=place_of(found.target, found.conditions), engine=engine,
                        latency={name: runs[engine] for name, runs in found.variants.items() if engine in runs})


def _variant(name: str, sources: Sources, tflite_path: str) -> VariantReport:
    """Everything about one variant."""
    converted = sources.converted[name]
    evaluated = sources.evaluated.get(name)
    latency = sources.benchmark.variants.get(name, {})
    checks = {profile: check.variants[name] for profile, check in sources.check.profiles.items()
              if name in check.variants}
    arena, arena_message = _arena(latency)
    return VariantReport(
        name=name, tflite=tflite_path.format(name=name), tflite_bytes=converted.tflite_bytes,
        sha256=converted.sha256, converter=converted.converter,
        tokens=tuple(Token(token=token, meaning=meaning) for token, meaning in parse_variant(name).describe()),
        metrics={engine: _evaluation(found) for engine, found in (evaluated.engines if evaluated else {}).items()},
        latency=latency, arena_bytes=arena, arena_message=arena_message, packing=converted.packing,
        mixed=_mixed(sources.mixings.get(name), sources.sensitivities.get(name)),
        agreements=evaluated.agreements if evaluated else (),
        verdicts={profile: {limit.limit: limit for limit in check.limits} for profile, check in checks.items()},
        verdict={profile: check.verdict for profile, check in checks.items()}, warnings=converted.warnings)


def _mixed(mixing: Mixing | None, measured: SensitivityResult | None) -> MixedReport | None:
    """The choice of a `mixed` variant beside what it rests on; None for other variants."""
    if mixing is None or measured is None:
        return None
    layers = tuple(_mixed_layer(layer, mixing.formats.get(layer.label, "float32")) for layer in measured.layers)
    return MixedReport(mixing=mixing, layers=layers, divergence=measured.divergence, engine=measured.engine,
                       samples=measured.samples, score_name=measured.score_name)


def _mixed_layer(layer: LayerSensitivity, chosen: LayerFormat) -> MixedLayer:
    """One layer, and what it weighs."""
    trial = layer.trial(chosen)
    return MixedLayer(label=layer.label, format=chosen, weights=layer.weights, macs=layer.macs, trials=layer.trials,
                      float_bytes=layer.float_bytes, chosen_bytes=trial.weight_bytes if trial else layer.float_bytes)


def _arena(latency: Mapping[str, EngineBenchmark]) -> tuple[int | None, str]:
    """Bytes of the arena, or why they are not known."""
    found = latency.get(MICRO_ENGINE)
    if found is None:
        return None, f"{MICRO_ENGINE} was not asked"
    if found.arena is None:
        return None, found.message or f"{MICRO_ENGINE}: {found.status}"
    return int(found.arena.value), ""


def _sound(figure: Figure | None) -> Figure | None:
    """The figure, or None where its value is no number."""
    return figure if figure is not None and finite(figure.value) is not None else None


def _plain(name: str, figure: Figure) -> Figure:
    """R2 and areas under a curve are read as numbers up to 1, not as percentages: their unit becomes none."""
    pure = figure.unit == "fraction" and _PURE.match(name)
    return figure.model_copy(update={"unit": ""}) if pure else figure


def _task_fields(metrics: Metrics) -> dict[str, Any]:
    """What a task measured, without the figures that are no numbers."""
    return {"task": metrics.task, "samples": metrics.samples, "score": metrics.score, "confusion": metrics.confusion,
            "figures": {name: _plain(name, figure) for name, figure in metrics.figures.items()
                        if _sound(figure) is not None},
            "per_class_recall": tuple(finite(value) for value in metrics.per_class_recall)}


def _engine_metrics(metrics: Metrics | None, outputs: Mapping[str, Metrics], **more: Any) -> EngineMetrics:
    """Metrics of a model, and of each of its outputs where it has several."""
    each = {name: TaskMetrics(**_task_fields(found)) for name, found in outputs.items()}
    return EngineMetrics(outputs=each, **(_task_fields(metrics) if metrics else {}), **more)


def _evaluation(found: EngineEvaluation) -> EngineMetrics:
    """One engine's evaluation as the report holds it."""
    return _engine_metrics(
        found.metrics, found.outputs, engine_version=found.engine_version, status=found.status, message=found.message,
        drop=_sound(found.drop), changed=found.changed, largest_difference=finite(found.largest_difference),
        safety=found.safety)


def _training(label: str, result: Training) -> TrainingReport | None:
    """The curves of one training; None for a post-training format, which trains nothing."""
    history = result.history
    if history is None:
        return None
    curves = {name: tuple(finite(value) for value in getattr(history, name))
              for name in ("loss", "score", "validation_loss", "validation_score")}
    return TrainingReport(
        label=label, summary=result.summary, score_name=history.score_name,
        best_epoch=history.best_epoch + 1, stopped_early=history.stopped_early, **_verified(result), **curves)


def _verified(result: Training) -> dict[str, Any]:
    """What was counted on the finished model, by field of the report."""
    if isinstance(result, PruneResult | QuantizeResult):
        left_alone = result.skipped_layers if isinstance(result, PruneResult) else result.not_quantized
        return {"sparsity": result.sparsity, "shared_values": max(result.shared_values.values(), default=None),
                "left_alone": left_alone}
    if isinstance(result, SlimResult):
        return {"channels": result.channels, "macs": result.macs, "left_alone": result.protected,
                "branches": tuple(branch.name for branch in result.branches),
                "auditions": result.auditions}
    return {"teacher_score": finite(result.teacher_score)} if isinstance(result, DistilResult) else {}
