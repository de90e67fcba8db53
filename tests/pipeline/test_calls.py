"""Keys of calls: what changes them, and what leaves them as they are."""

from __future__ import annotations

from pipeline import calls as plans
from pipeline.calls import Surroundings
from pipeline.config import RunConfig, from_mapping
from pipeline.plan import build
from tests.pipeline.plans import AROUND, changed_calls, keys


def test_every_call_comes_after_what_it_needs(default):
    seen: set[str] = set()
    for label, call in default.calls.items():
        assert set(call.needs()) <= seen, label
        seen.add(label)


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


def test_only_keeps_what_a_stage_needs(default):
    kept = default.only(default.of_stage("prune"))
    assert set(kept.calls) == {"prepare", "model", "train", "prune:pruned75", "prune:clustered16"}


def test_a_seed_or_profile_in_the_options_is_a_record_again_not_a_mapping(default):
    assert default.calls["check"].options.profiles[0].name == "cpu"
    assert default.calls["prepare"].options.source.kind == "digits"
