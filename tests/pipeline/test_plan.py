from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import device_profiles
from device_profiles.errors import ModelError, UsageError
from pipeline.config import RunConfig, from_mapping
from pipeline.plan import build
from tests.pipeline.plans import AROUND, changed_calls


def test_the_default_run_shares_one_training_and_one_pruning(default):
    assert len(default.variants) == 9
    assert default.of_stage("train") == ["train"]
    assert default.of_stage("prune") == ["prune:pruned75", "prune:clustered16"]
    assert default.of_stage("quantize") == ["quantize:float16", "quantize:dynamic", "quantize:int8", "quantize:int8qat",
                                            "quantize:int16x8", "quantize:pruned75-int8qat"]


def test_a_variant_left_out_takes_its_calls_with_it(default):
    plan = build(RunConfig(), AROUND, without={"clustered16-int8"})
    assert "prune:clustered16" not in plan.calls
    assert "clustered16-int8" not in plan.calls["check"].inputs["tflites"]


def test_without_any_variant_left_nothing_over_all_is_planned():
    plan = build(RunConfig().only(["int8"]), AROUND, without={"int8"})
    assert set(plan.calls) == {"prepare", "model", "examine", "train", "baseline"}


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


def test_a_limit_that_takes_more_measuring_is_asked_of_evaluate_and_corruptions_of_the_float_model_alone(tmp_path):
    path = tmp_path / "sliced.npz"
    np.savez(path, x=np.zeros((9, 8, 8)), y=np.arange(9), slice=np.arange(9))

    def planned(**limits):
        return build(from_mapping({"data": {"source": {"kind": "npz", "path": str(path)}},
                                   "check": {"limits": {"cpu": limits}}}), AROUND)

    default = planned()

    over_all = {"check", "report"}
    assert changed_calls(default, planned(worst_class_drop_points=3)) == over_all
    sliced = planned(worst_slice_drop_points=3)
    assert sliced.calls["evaluate:int8"].options.asked == ("worst_slice_drop_points",)
    assert "baseline" not in changed_calls(default, sliced)
    stressed = planned(corrupted_changed_share=0.05)
    assert stressed.calls["baseline"].options.asked == ("corrupted_changed_share",)


def test_a_profile_s_own_limit_on_slices_is_refused_where_the_source_gives_none(tmp_path):
    text = (Path(device_profiles.__file__).parent / "profiles" / "cpu.yaml").read_text("utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("  accuracy_drop_points:", "  worst_slice_drop_points: 3\n  accuracy_drop_points:"))
    with pytest.raises(UsageError, match="needs slices, and the source 'digits' gives none"):
        build(from_mapping({"profiles": [str(path)]}), AROUND)


def test_a_limit_that_does_not_exist_is_refused_before_anything_runs():
    config = from_mapping({"check": {"limits": {"cpu": {"worst_class_drop_point": 3}}}})
    with pytest.raises(UsageError, match="did you mean 'worst_class_drop_points'"):
        build(config, AROUND)


def test_mixed_rests_on_the_sensitivity_of_its_own_float_model():
    plan = build(from_mapping({"variants": ["mixed", "pruned75-mixed"]}), AROUND)
    assert plan.of_stage("sensitivity") == ["sensitivity", "sensitivity:pruned75"]
    assert plan.calls["quantize:mixed"].inputs == {
        "data": "prepare", "tflite": "convert:float32", "sensitivity": "sensitivity"}
    assert plan.calls["quantize:pruned75-mixed"].inputs["tflite"] == "convert:pruned75-float32"
    assert plan.calls["convert:mixed"].inputs == {"source": "convert:float32", "recipe": "quantize:mixed"}
    assert "scipy" in plan.calls["quantize:mixed"].versions


def test_a_profile_for_mixed_brings_its_formats():
    mixed = {"profile": "iot"}
    plan = build(from_mapping({"variants": ["mixed"], "quantize": {"mixed": mixed}}), AROUND)
    assert plan.calls["sensitivity"].options.formats == ("float32", "int8", "int4", "int16x8")
    assert plan.calls["quantize:mixed"].options.device.name == "iot"


DOOR = "like: raspberry-pi-4\nname: doorbell\ntarget: ssh:pi@doorbell\nthreads: 4\n"


def door(folder, text=DOOR, **changes):
    """A plan for this host and a Raspberry Pi that is to be reached."""
    (folder / "doorbell.yaml").write_text(text)
    return build(from_mapping({"profiles": ["cpu", str(folder / "doorbell.yaml")], "variants": ["int8"], **changes}),
                 AROUND)


def test_a_profile_that_names_a_target_is_measured_there_with_its_own_engine_and_threads(tmp_path):
    plan = door(tmp_path)
    there = plan.calls["benchmark:doorbell"]
    assert (there.options.target, there.options.threads, there.options.engines) == ("ssh:pi@doorbell", 4, ("litert",))
    assert there.inputs == plan.calls["benchmark"].inputs
    assert plan.calls["check"].inputs["devices"] == plan.calls["report"].inputs["devices"] == {
        "doorbell": "benchmark:doorbell"}
    assert plan.calls["benchmark"].options.target == "host"


def test_cores_chosen_by_number_are_this_host_s_and_not_another_device_s(tmp_path):
    plan = door(tmp_path, benchmark={"cpus": [1]})
    assert plan.calls["benchmark"].options.cpus == (1,)
    assert plan.calls["benchmark:doorbell"].options.cpus == "last"


@pytest.mark.parametrize("settings", [{"devices": False},
                                      {"target": "ssh:pi@doorbell", "threads": 4, "engines": ["litert"]}],
                         ids=["devices off", "the benchmark runs there"])
def test_no_device_is_measured_twice_or_against_the_settings(tmp_path, settings):
    plan = door(tmp_path, benchmark=settings)
    assert plan.of_stage("benchmark") == ["benchmark"]
    assert "devices" not in plan.calls["check"].inputs


def test_other_threads_there_than_the_profile_s_are_a_measurement_of_their_own(tmp_path):
    plan = door(tmp_path, benchmark={"target": "ssh:pi@doorbell"})
    assert plan.of_stage("benchmark") == ["benchmark", "benchmark:doorbell"]


def test_whether_devices_are_measured_changes_nothing_for_this_host(tmp_path):
    assert not changed_calls(door(tmp_path), door(tmp_path, benchmark={"devices": False})) & {"benchmark"}


def test_a_device_that_was_not_reached_is_left_out_of_what_follows(tmp_path):
    door(tmp_path)
    config = from_mapping({"profiles": ["cpu", str(tmp_path / "doorbell.yaml")], "variants": ["int8"]})
    plan = build(config, AROUND, without={"benchmark:doorbell"})
    assert plan.of_stage("benchmark") == ["benchmark"]
    assert [profile.name for profile in plan.calls["check"].options.profiles] == ["cpu", "doorbell"]
    assert list(plan.variants) == ["int8"]
