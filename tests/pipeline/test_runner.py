from __future__ import annotations

import errno
import threading
import time

import pytest

from device_profiles.errors import StageError, StoreError, TargetError
from pipeline.calls import Plan
from pipeline.runner import Runner, failures
from pipeline.store import Store
from tests.pipeline.fakes import Flow, Listener, call, two_variants, with_a_device


@pytest.fixture
def flow(monkeypatch):
    made = Flow()
    made.install(monkeypatch)
    return made


def go(tmp_path, plan=None, relay=two_variants):
    runner = Runner(Store(tmp_path / "store"), tmp_path / "log.txt", Listener())
    carried_out = runner.run(plan or relay(), relay)
    return runner, carried_out


def statuses(runner):
    return {label: outcome.status for label, outcome in runner.outcomes.items()}


def test_every_call_runs_once_after_what_it_needs(tmp_path, flow):
    runner, _ = go(tmp_path)
    assert set(statuses(runner).values()) == {"made"}
    order = {label: i for i, label in enumerate(flow.ran)}
    assert len(order) == len(flow.ran) == 8
    assert order["prepare"] < order["train"] < order["convert:a"] < order["evaluate:a"] < order["benchmark"]
    assert order["benchmark"] < order["check"]


def test_inputs_arrive_by_role_and_mappings_by_variant(tmp_path, flow):
    runner, _ = go(tmp_path)
    text = (runner.outcomes["check"].artifact.folder / "text").read_text()
    assert '"benchmark": "benchmark"' in text
    assert '"evaluations": {"a": "evaluate:a", "b": "evaluate:b"}' in text


def test_a_second_run_runs_nothing(tmp_path, flow):
    go(tmp_path)
    flow.ran.clear()
    runner, _ = go(tmp_path)
    assert flow.ran == []
    assert set(statuses(runner).values()) == {"kept"}


def test_a_failing_variant_takes_down_itself_alone(tmp_path, flow):
    flow.faults["convert:a"] = StageError("operator FOO cannot be converted")
    runner, plan = go(tmp_path)
    found = statuses(runner)
    assert found["convert:a"] == "failed"
    assert found["evaluate:a"] == "blocked"
    assert found["convert:b"] == found["evaluate:b"] == found["check"] == "made"
    assert set(plan.variants) == {"b"}
    assert [f.summary for f in failures(runner.outcomes.values())] == ["operator FOO cannot be converted"]


def test_a_failure_that_all_need_blocks_all_and_nothing_over_all_runs(tmp_path, flow):
    flow.faults["train"] = StageError("no")
    runner, _ = go(tmp_path)
    assert statuses(runner) == {"prepare": "made", "train": "failed", "convert:a": "blocked", "evaluate:a": "blocked",
                                "convert:b": "blocked", "evaluate:b": "blocked"}
    assert flow.ran == ["prepare", "train"]


def test_what_a_device_measured_goes_to_the_check(tmp_path, flow):
    runner, plan = go(tmp_path, relay=with_a_device)
    assert set(statuses(runner).values()) == {"made"}
    assert '"devices": {"door": "benchmark:door"}' in (runner.outcomes["check"].artifact.folder / "text").read_text()
    assert "benchmark:door" in plan.calls


def test_a_device_that_cannot_be_reached_fails_alone_and_a_second_run_measures_it(tmp_path, flow):
    flow.faults["benchmark:door"] = TargetError("ssh:pi@doorbell", "no route to host")
    runner, plan = go(tmp_path, relay=with_a_device)
    found = statuses(runner)
    assert found["benchmark:door"] == "failed"
    assert found["benchmark"] == found["check"] == "made"
    assert set(plan.variants) == {"a", "b"}
    assert "devices" not in (runner.outcomes["check"].artifact.folder / "text").read_text()
    flow.faults.clear()
    flow.ran.clear()
    go(tmp_path, relay=with_a_device)
    assert flow.ran == ["benchmark:door", "check"]


def test_a_lost_variant_and_a_lost_device_leave_the_rest(tmp_path, flow):
    flow.faults |= {"convert:a": StageError("no"), "benchmark:door": TargetError("ssh:pi@doorbell", "lost")}
    runner, plan = go(tmp_path, relay=with_a_device)
    assert set(plan.variants) == {"b"}
    assert "benchmark:door" not in plan.calls
    assert statuses(runner)["check"] == "made"
    assert [each.call.label for each in failures(runner.outcomes.values())] == ["convert:a", "benchmark:door"]


def test_a_provisional_result_is_made_again_and_so_is_what_rests_on_it(tmp_path, flow):
    flow.provisional.add("evaluate:a")
    go(tmp_path)
    flow.ran.clear()
    flow.provisional.clear()
    go(tmp_path)
    assert flow.ran == ["evaluate:a", "check"]
    flow.ran.clear()
    go(tmp_path)
    assert flow.ran == []


def test_engine_calls_run_beside_the_main_lane_but_the_benchmark_runs_alone(tmp_path, flow):
    together, main = [], threading.get_ident()

    def evaluate(context):
        assert threading.get_ident() != main
        time.sleep(0.2)
        together.append("evaluate:a ended")

    flow.faults["evaluate:a"] = evaluate
    flow.faults["convert:b"] = lambda context: together.append("convert:b")
    flow.faults["benchmark"] = lambda context: together.append("benchmark")
    go(tmp_path)
    assert together == ["convert:b", "evaluate:a ended", "benchmark"]


def test_a_full_disk_in_a_stage_stops_the_run_with_a_store_error(tmp_path, flow):
    flow.faults["train"] = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StoreError, match="no space left"):
        go(tmp_path)
    flow.faults.clear()
    runner, _ = go(tmp_path)
    assert statuses(runner)["prepare"] == "kept"
    assert statuses(runner)["check"] == "made"


def test_ctrl_c_in_a_stage_keeps_what_is_done_and_leaves_nothing_half_written(tmp_path, flow):
    flow.faults["convert:b"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path)
    assert list((tmp_path / "store" / "unfinished").iterdir()) == []
    flow.faults.clear()
    flow.ran.clear()
    runner, _ = go(tmp_path)
    assert "train" not in flow.ran
    assert statuses(runner)["check"] == "made"


def test_a_damaged_artifact_is_made_again_with_the_same_bytes(tmp_path, flow):
    runner, _ = go(tmp_path)
    file = runner.outcomes["convert:a"].artifact.folder / "text"
    good = file.read_bytes()
    file.write_bytes(b"X" + good[1:])
    flow.ran.clear()
    runner, _ = go(tmp_path)
    assert flow.ran == ["convert:a"]
    assert file.read_bytes() == good
    assert len(runner.store.damaged) == 1


def test_two_runs_at_once_make_each_artifact_once(tmp_path, flow):
    flow.faults["train"] = lambda context: time.sleep(0.3)
    found = []
    threads = [threading.Thread(target=lambda: found.append(go(tmp_path)[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert flow.ran.count("train") == 1
    assert all(runner.outcomes["check"].artifact is not None for runner in found)


def test_progress_reaches_the_watcher(tmp_path, flow):
    plan = Plan({"train": call("train")}, {})
    runner, _ = go(tmp_path, plan)
    assert runner.watcher.events == ["start train", "progress train 1/1", "end train"]


def test_scratch_is_the_same_folder_when_a_killed_call_runs_again(tmp_path, flow):
    seen = []

    def interrupted(context):
        seen.append(sorted(p.name for p in context.scratch.iterdir()))
        (context.scratch / "epoch-3").touch()
        if len(seen) == 1:
            raise KeyboardInterrupt

    flow.faults["train"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path)
    go(tmp_path)
    assert seen == [[], ["epoch-3"]]
