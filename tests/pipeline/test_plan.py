from __future__ import annotations

import pytest

from device_profiles.errors import ModelError
from pipeline import plan as plans
from pipeline.config import RunConfig, from_mapping
from pipeline.plan import Surroundings, build

AROUND = Surroundings({"litert": "2.3.0", "tflite-runtime": "2.14.0", "tflm": None}, "host-1")


@pytest.fixture(scope="module")
def default():
    return build(RunConfig(), AROUND)


def keys(plan):
    return {label: call.key for label, call in plan.calls.items()}


def changed_calls(before, after):
    old, new = keys(before), keys(after)
    return {label for label in new if old.get(label) != new[label]}


def test_the_default_run_shares_one_training_and_one_pruning(default):
    assert len(default.variants) == 9
    assert default.of_stage("train") == ["train"]
    assert default.of_stage("prune") == ["prune:pruned75", "prune:clustered16"]
    assert default.of_stage("quantize") == ["quantize:float16", "quantize:dynamic", "quantize:int8", "quantize:int8qat",
                                            "quantize:int16x8", "quantize:pruned75-int8qat"]


def test_every_call_comes_after_what_it_needs(default):
    seen: set[str] = set()
    for label, call in default.calls.items():
        assert set(call.needs()) <= seen, label
        seen.add(label)


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


def test_the_same_config_has_the_same_keys(default):
    assert keys(build(RunConfig(), AROUND)) == keys(default)


def test_editing_a_stage_s_options_changes_that_stage_and_what_follows_alone(default):
    changed = changed_calls(default, build(from_mapping({"prune": {"epochs": 3}}), AROUND))
    assert "prune:pruned75" in changed
    assert {"train", "baseline", "convert:int8", "evaluate:int8", "quantize:int8qat"} & changed == set()
    assert {"convert:pruned75-int8", "evaluate:pruned75-int8", "benchmark", "check", "report"} <= changed


def test_another_choice_re_runs_check_and_report_alone(default):
    assert changed_calls(default, build(from_mapping({"check": {"choice": "fastest"}}), AROUND)) == {"check", "report"}


def test_another_seed_changes_everything_from_the_split_on(default):
    after = build(from_mapping({"seed": 2}), AROUND)
    assert changed_calls(default, after) == set(after.calls)


def test_installing_an_engine_evaluates_and_benchmarks_again(default):
    more = Surroundings({**AROUND.engine_versions, "tflm": "0.dev1"}, "host-1")
    changed = changed_calls(default, build(RunConfig(), more))
    assert {"evaluate:int8", "benchmark", "check", "report"} <= changed
    assert {"train", "convert:int8"} & changed == set()


def test_another_host_measures_latency_again_and_nothing_else(default):
    elsewhere = Surroundings(AROUND.engine_versions, "host-2")
    assert changed_calls(default, build(RunConfig(), elsewhere)) == {"benchmark", "check", "report"}


def test_another_library_version_changes_the_calls_that_it_shapes(default, monkeypatch):
    real = plans.installed_version
    monkeypatch.setattr(plans, "installed_version", lambda name: "9.9" if name == "litert-quantizer" else real(name))
    changed = changed_calls(default, build(RunConfig(), AROUND))
    assert "convert:int8" in changed
    assert {"train", "prune:pruned75"} & changed == set()


def test_two_variants_with_options_of_their_own_get_labels_of_their_own():
    config = from_mapping({"variants": ["pruned75-int8", {"name": "pruned75-float32", "prune": {"epochs": 2}}]})
    plan = build(config, AROUND)
    assert plan.of_stage("prune") == ["prune:pruned75", "prune:pruned75(pruned75-float32)"]
    assert plan.calls["convert:pruned75-float32(pruned75-float32)"].inputs["source"] == \
        "prune:pruned75(pruned75-float32)"


def test_a_variant_left_out_takes_its_calls_with_it(default):
    plan = build(RunConfig(), AROUND, without={"clustered16-int8"})
    assert "prune:clustered16" not in plan.calls
    assert "clustered16-int8" not in plan.calls["check"].inputs["tflites"]


def test_without_any_variant_left_nothing_over_all_is_planned():
    plan = build(RunConfig().only(["int8"]), AROUND, without={"int8"})
    assert set(plan.calls) == {"prepare", "model", "examine", "train", "baseline"}


def test_only_keeps_what_a_stage_needs(default):
    kept = default.only(default.of_stage("prune"))
    assert set(kept.calls) == {"prepare", "model", "train", "prune:pruned75", "prune:clustered16"}


def test_a_seed_or_profile_in_the_options_is_a_record_again_not_a_mapping(default):
    assert default.calls["check"].options.profiles[0].name == "cpu"
    assert default.calls["prepare"].options.source.kind == "digits"


@pytest.fixture
def tflite(tmp_path, tiny_tflites):
    path = tmp_path / "given.tflite"
    path.write_bytes(tiny_tflites["float32"])
    return path


def test_a_finished_tflite_model_goes_through_post_training_formats_and_says_what_it_cannot(tflite):
    plan = build(from_mapping({"model": str(tflite)}), AROUND)
    assert list(plan.variants) == ["float32", "float16", "dynamic", "int8", "int16x8"]
    assert set(plan.left_out) == {"int8qat", "pruned75-int8", "pruned75-int8qat", "clustered16-int8"}
    assert "needs a Keras model" in plan.left_out["int8qat"]
    assert not plan.of_stage("train")
    assert plan.calls["baseline"].inputs["model"] == plan.calls["convert:float32"].inputs["source"] == "model"


def test_a_tflite_model_of_which_no_variant_can_be_made_is_refused(tflite):
    with pytest.raises(ModelError, match="none of the variants can be made: int8qat"):
        build(from_mapping({"model": str(tflite), "variants": ["int8qat"]}), AROUND)


def test_a_model_that_comes_trained_is_the_float_model_unless_it_is_to_be_trained(tmp_path, tiny_keras):
    path = tmp_path / "given.keras"
    tiny_keras.save(path)
    plan = build(from_mapping({"model": str(path)}), AROUND)
    assert not plan.of_stage("train")
    assert plan.calls["prune:pruned75"].inputs["model"] == plan.calls["baseline"].inputs["model"] == "model"
    assert plan.calls["prepare"].options.given_model
    again = build(from_mapping({"model": {"source": str(path), "retrain": True}}), AROUND)
    assert again.calls["train"].inputs == {"model": "model", "data": "prepare"}
    assert again.calls["baseline"].inputs["model"] == "train"


def test_another_model_file_is_taken_in_again_and_the_data_is_not(tmp_path, tiny_keras):
    path = tmp_path / "given.keras"
    tiny_keras.save(path)
    before = build(from_mapping({"model": str(path)}), AROUND)
    path.write_bytes(path.read_bytes() + b"\0")
    changed = changed_calls(before, build(from_mapping({"model": str(path)}), AROUND))
    assert "model" in changed
    assert {"prepare", "examine"} & changed == set()


def test_the_task_reaches_every_stage_that_asks_for_it():
    plan = build(from_mapping({"task": {"kind": "classification", "loss": "focal"}}), AROUND)
    for label in ("prepare", "model", "train", "baseline", "prune:pruned75", "quantize:int8", "evaluate:int8"):
        assert plan.calls[label].options.task.loss == "focal", label


def test_a_calibration_study_is_an_input_of_the_report_and_only_where_it_was_asked_for():
    asked = build(RunConfig(calibration_study=True), AROUND).calls
    assert asked["report"].inputs["calibration"] == "calibrate"
    assert "calibration" not in build(RunConfig(), AROUND).calls["report"].inputs
