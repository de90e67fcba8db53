"""The report is put together from all stages' records, without a figure that was not obtained."""

from __future__ import annotations

import math

from stages.records import BeforeAfter, BenchmarkResult, DistilResult, SlimResult
from stages.reporting.assemble import build_report
from stages.reporting.sources import Sources
from tests.stages.sample_run import figure, heading, history, sources


def test_variants_keep_the_order_of_the_run_and_carry_what_each_stage_found() -> None:
    report = build_report(sources(), heading())
    pruned = report.variant("pruned75-int8qat")
    assert [token.token for token in pruned.tokens] == ["pruned75", "int8qat"]
    assert pruned.tflite == "../models/pruned75-int8qat.tflite"
    assert (pruned.tflite_bytes, pruned.arena_bytes, pruned.converter) == (26_912, 4_912, "TFLiteConverter 2.21.0")
    assert list(pruned.metrics) == list(pruned.latency) == ["litert", "tflite-runtime", "tflm"]
    assert set(pruned.verdict) == {"cpu", "mobile", "iot"}


def test_a_missing_arena_says_why() -> None:
    report = build_report(sources(), heading())
    assert (report.variant("float16").arena_bytes, report.variant("float16").arena_message) == (
        None, "hybrid models are not supported")


def test_a_run_without_tflm_says_that_it_was_not_asked() -> None:
    found = sources()
    benchmark = BenchmarkResult(summary="", host=found.benchmark.host, variants={})
    report = build_report(found.model_copy(update={"benchmark": benchmark}), heading())
    assert report.variant("int8").arena_message == "tflm was not asked"
    assert report.variant("int8").latency == {}


def test_a_refused_engine_has_status_and_message_and_no_metrics() -> None:
    refused = build_report(sources(), heading()).variant("dynamic").metrics["tflm"]
    assert (refused.status, refused.headline, refused.samples) == ("refused", None, 0)
    assert refused.message.startswith("hybrid models are not supported")


def test_figures_that_are_not_numbers_are_left_out() -> None:
    found = sources()
    evaluated = found.evaluated["int8"]
    litert = evaluated.engines["litert"]
    figures = found.baseline.metrics.figures | {"log_loss": figure(math.nan, "nats")}
    metrics = found.baseline.metrics.model_copy(update={"figures": figures})
    broken = litert.model_copy(update={
        "largest_difference": math.inf, "drop": figure(math.nan, "points"), "metrics": metrics})
    one = evaluated.model_copy(update={"engines": evaluated.engines | {"litert": broken}})
    report = build_report(found.model_copy(update={"evaluated": found.evaluated | {"int8": one}}), heading())
    shown = report.variant("int8").metrics["litert"]
    assert (shown.drop, shown.largest_difference) == (None, None)
    assert list(shown.figures) == ["accuracy", "precision", "recall", "f1"]


def test_the_best_epoch_counts_from_one() -> None:
    report = build_report(sources(), heading())
    assert report.trainings["float32"].best_epoch == 24
    assert len(report.trainings["float32"].loss) == 24


def test_what_was_verified_after_training_is_told() -> None:
    trainings = build_report(sources(), heading()).trainings
    assert (trainings["pruned75"].sparsity, trainings["pruned75"].left_alone) == (0.75, {"dense": "the last"})
    assert trainings["clustered16"].shared_values == 16
    assert trainings["float32"].sparsity is None


def test_channels_and_macs_of_a_slimmed_model_and_a_teacher_s_score_are_told() -> None:
    slim = SlimResult(
        summary="slimmed", history=history(2, 0.5), rounds=(), channels={"conv": BeforeAfter(before=16, after=8)},
        macs=BeforeAfter(before=1000, after=600), parameters=BeforeAfter(before=90, after=50), budget="macs",
        asked_share=0.4, removed_share=0.4, importance="taylor", protected={"dense": "the output"}, proof=2e-7,
        proof_samples=16)
    taught = DistilResult(summary="taught", history=history(2, 0.5), parameters=90, teacher_parameters=900,
                          teacher_loss=0.1, teacher_score=math.nan)
    found = sources().model_copy(update={"trainings": {"slim40": slim, "distilled": taught}})
    trainings = build_report(found, heading()).trainings
    assert (trainings["slim40"].macs, trainings["slim40"].left_alone) == (
        BeforeAfter(before=1000, after=600), {"dense": "the output"})
    assert trainings["slim40"].channels == {"conv": BeforeAfter(before=16, after=8)}
    assert trainings["distilled"].teacher_score is None
    assert Sources.model_validate_json(found.model_dump_json()).trainings["slim40"] == slim


def test_sources_read_back_from_their_json() -> None:
    found = sources()
    assert Sources.model_validate_json(found.model_dump_json()) == found
