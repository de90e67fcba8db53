"""The calls of single variants: in the order of the tokens, each told what it must know."""

from __future__ import annotations

import pytest

from device_profiles.errors import VariantError
from pipeline.config import RunConfig, from_mapping
from pipeline.plan import build
from tests.pipeline.plans import AROUND


def test_a_post_training_variant_of_a_pruned_model_starts_from_that_model_s_float_tflite(default):
    convert = default.calls["convert:pruned75-int8"]
    assert convert.inputs == {"source": "convert:pruned75-float32", "recipe": "quantize:int8"}
    assert default.calls["convert:pruned75-float32"].inputs == {"source": "prune:pruned75"}
    assert "pruned75-float32" not in default.variants


def test_qat_of_a_pruned_model_is_told_its_sparsity(default):
    call = default.calls["quantize:pruned75-int8qat"]
    assert call.inputs == {"model": "prune:pruned75", "data": "prepare"}
    assert call.options.sparsity == 0.75


def test_pruning_and_clustering_chain_and_clustering_keeps_the_zeros():
    plan = build(RunConfig().only(["pruned50-clustered8-int8qat"]), AROUND)
    cluster = plan.calls["prune:pruned50-clustered8"]
    assert cluster.inputs["model"] == "prune:pruned50"
    assert (cluster.options.clusters, cluster.options.preserve_sparsity) == (8, True)
    qat = plan.calls["quantize:pruned50-clustered8-int8qat"]
    assert (qat.options.sparsity, qat.options.clusters) == (0.5, 8)


def test_two_variants_with_options_of_their_own_get_labels_of_their_own():
    config = from_mapping({"variants": ["pruned75-int8", {"name": "pruned75-float32", "prune": {"epochs": 2}}]})
    plan = build(config, AROUND)
    assert plan.of_stage("prune") == ["prune:pruned75", "prune:pruned75(pruned75-float32)"]
    assert plan.calls["convert:pruned75-float32(pruned75-float32)"].inputs["source"] == \
        "prune:pruned75(pruned75-float32)"


def test_the_float_model_teaches_every_training_of_a_distilled_variant_and_no_other():
    plan = build(RunConfig().only(["distilled-pruned50-clustered8-int8qat", "pruned50-int8"]), AROUND)
    taught = ["prune:distilled-pruned50", "prune:distilled-pruned50-clustered8",
              "quantize:distilled-pruned50-clustered8-int8qat"]
    assert [plan.calls[label].inputs["teacher"] for label in taught] == ["train"] * 3
    assert all(plan.calls[label].options.distil.alpha == 0.7 for label in taught)
    assert "teacher" not in plan.calls["prune:pruned50"].inputs
    assert plan.calls["prune:pruned50"].options.distil is None


def test_a_distilled_variant_without_another_training_trains_the_model_again_from_its_own_start():
    call = build(RunConfig().only(["distilled-int8"]), AROUND).calls["distil:distilled"]
    assert call.inputs == {"model": "model", "data": "prepare", "teacher": "train"}


def test_a_larger_teacher_that_comes_untrained_is_trained_first():
    config = from_mapping({"variants": ["distilled-int8"], "distil": {"teacher": "resnet8"}})
    plan = build(config, AROUND)
    assert plan.calls["distil:distilled"].inputs["teacher"] == "train:teacher"
    assert plan.calls["train:teacher"].inputs["model"] == "model:teacher"
    assert plan.calls["model:teacher"].options.source == "resnet8"


def test_a_student_of_its_own_architecture_is_taught_before_it_is_pruned():
    config = from_mapping({"variants": ["distilled-pruned50-int8"], "distil": {"student": "mlp"}})
    plan = build(config, AROUND)
    assert plan.calls["distil:distilled"].inputs["model"] == "model:student"
    assert plan.calls["prune:distilled-pruned50"].inputs == {
        "model": "distil:distilled", "data": "prepare", "teacher": "train"}


def test_a_model_that_came_trained_cannot_teach_itself(tmp_path, tiny_keras):
    tiny_keras.save(tmp_path / "own.keras")
    config = from_mapping({"model": str(tmp_path / "own.keras"), "variants": ["distilled-int8"]})
    with pytest.raises(VariantError, match="would teach itself"):
        build(config, AROUND)


def test_channels_go_first_and_the_packed_model_is_made_of_the_converted_one():
    calls = build(RunConfig().only(["slim40-pruned50-int8-packed", "slim40-pruned50-int8"]), AROUND).calls
    assert calls["slim:slim40"].inputs == {"model": "train", "data": "prepare"}
    assert calls["slim:slim40"].options.share == 0.4
    assert calls["prune:slim40-pruned50"].inputs["model"] == "slim:slim40"
    assert calls["pack:slim40-pruned50-int8-packed"].inputs == {
        "tflite": "convert:slim40-pruned50-int8", "data": "prepare"}
    assert calls["evaluate:slim40-pruned50-int8-packed"].inputs["tflite"] == "pack:slim40-pruned50-int8-packed"
    assert calls["evaluate:slim40-pruned50-int8"].inputs["tflite"] == "convert:slim40-pruned50-int8"


def test_a_latency_budget_brings_the_profile_and_the_host_into_the_key():
    config = from_mapping({"variants": ["slim40-int8"], "slim": {"budget": "latency", "profile": "iot"}})
    options = build(config, AROUND).calls["slim:slim40"].options
    assert (options.device.name, options.host) == ("iot", "host-1")
    assert build(RunConfig().only(["slim40-int8"]), AROUND).calls["slim:slim40"].options.device is None


def test_two_of_four_is_a_pattern_in_pruning_and_in_what_follows():
    calls = build(RunConfig().only(["pruned2of4-int8qat"]), AROUND).calls
    assert (calls["prune:pruned2of4"].options.pattern, calls["prune:pruned2of4"].options.sparsity) == ("2of4", 0.5)
    assert calls["quantize:pruned2of4-int8qat"].options.sparsity == 0.5
