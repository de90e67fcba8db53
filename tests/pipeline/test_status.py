from __future__ import annotations

from pipeline.calls import Surroundings
from pipeline.config import RunConfig, from_mapping
from pipeline.plan import build
from pipeline.run_folder import call_record
from pipeline.status import statuses
from pipeline.store import Store

AROUND = Surroundings({"litert": "2.3.0"}, "host-1")
ONE = {"variants": ["pruned75-float32"]}


def plan_of(**changes):
    return build(from_mapping({**ONE, **changes}), AROUND)


def kept(store, plan, without=(), provisional=()):
    """Keep an artifact for every call but some."""
    for label, call in plan.calls.items():
        if label not in without:
            with store.lock(call.key):
                reasons = ("tflm crashed",) if label in provisional else ()
                store.keep(call.key, store.begin(call.key), '{"summary": "ok"}', reasons)


def why(plan, store, last=None, statuses_of=None):
    manifest = {"calls": {label: call_record(call) for label, call in last.calls.items()}} if last else {}
    return {one.label: one.why for one in statuses(plan, store, manifest)}


def test_everything_kept_is_up_to_date(tmp_path):
    plan = plan_of()
    kept(Store(tmp_path), plan)
    assert set(why(plan, Store(tmp_path), plan).values()) == {"up to date"}


def test_an_empty_store_has_never_run(tmp_path):
    found = why(plan_of(), Store(tmp_path))
    assert found["prepare"] == "never run here"
    assert found["model"] == "never run here; needs prepare"


def test_a_changed_option_is_named_with_old_and_new_and_what_follows_points_at_its_input(tmp_path):
    before, now = plan_of(prune={"epochs": 12}), plan_of(prune={"epochs": 3})
    kept(Store(tmp_path), before)
    found = why(now, Store(tmp_path), before)
    assert found["train"] == "up to date"
    assert found["prune:pruned75"] == "epochs: 12 -> 3"
    assert found["convert:pruned75-float32"] == "prune:pruned75 would run"


def test_a_library_that_changed_is_named(tmp_path, monkeypatch):
    from pipeline import calls as plans

    before = plan_of()
    kept(Store(tmp_path), before)
    real = plans.installed_version
    monkeypatch.setattr(plans, "installed_version", lambda name: "1.0" if name == "tf-keras" else real(name))
    assert f"tf-keras {real('tf-keras')} -> 1.0" in why(plan_of(), Store(tmp_path), before)["train"]


def test_a_provisional_result_is_tried_again(tmp_path):
    plan = plan_of()
    kept(Store(tmp_path), plan, provisional=("evaluate:pruned75-float32",))
    assert why(plan, Store(tmp_path), plan)["evaluate:pruned75-float32"] == "tried again: tflm crashed"


def test_a_damaged_artifact_is_told_from_one_that_is_missing(tmp_path):
    plan = plan_of()
    kept(Store(tmp_path), plan)
    store = Store(tmp_path)
    (store.find(plan.calls["train"].key).folder / "result.json").write_text("changed")
    store = Store(tmp_path)
    import shutil

    shutil.rmtree(store.find(plan.calls["baseline"].key).folder)
    found = why(plan, Store(tmp_path), plan)
    assert found["train"] == "its artifact was damaged"
    assert found["baseline"] == "train would run"


def test_a_long_value_is_cut_and_put_on_one_line():
    from pipeline.status import _cut

    assert _cut("a\n  b") == "a b"
    assert _cut("x" * 50) == "x" * 37 + "..."


def test_the_default_plan_has_a_status_for_every_call(tmp_path):
    plan = build(RunConfig(), AROUND)
    assert [one.label for one in statuses(plan, Store(tmp_path), {})] == list(plan.calls)
