"""`litesmith compare` typed: exit codes, what stands on which stream, and the files that it leaves."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.pipeline.cli.conftest import go
from tests.stages.comparing_models import IDENTITY, LONGER, SWAPPED


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Three tflite models, of which one is ten percent slower, timed by a machine without noise to speak of."""
    from tests.stages.comparing_benches import launch_of, normal, without_engines

    noise, known = normal(1, 0.001), {IDENTITY: 0.0, SWAPPED: 0.0, LONGER: 0.1}
    without_engines(monkeypatch, lambda pair, place, generator: launch_of(
        known[pair[1].content] - known[pair[0].content] + noise(), engine_version="2.3.0"))
    for name, content in (("one", IDENTITY), ("slow", LONGER), ("equal", SWAPPED)):
        (tmp_path / f"{name}.tflite").write_bytes(content)


def test_slower_is_said_and_is_no_failure_unless_it_is_asked_for(typed, models):
    done = typed("compare", "one.tflite", "slow.tflite")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("slow: slower, +10.")
    gate = typed("compare", "one.tflite", "slow.tflite", "--fail-if-slower")
    assert gate.code == 1
    assert gate.err.startswith("litesmith: proven slower: slow +10.")
    assert "next:" in gate.err
    assert typed("compare", "slow.tflite", "one.tflite", "--fail-if-slower").code == 0
    assert typed("compare", "one.tflite", "equal.tflite", "--fail-if-slower").out.startswith("equal: same, ")


def test_a_larger_margin_makes_them_the_same(typed, models):
    assert typed("compare", "one.tflite", "slow.tflite", "--margin", "15").out.startswith("slow: same, ")


def test_json_is_one_document_with_the_exit_code(typed, models):
    done = typed("compare", "one.tflite", "slow.tflite", "--fail-if-slower", "--json")
    found = json.loads(done.out)
    assert (done.code, found["exit_code"], found["slower"]) == (1, 1, ["slow"])
    assert found["pairs"][0]["latency"]["claim"] == "slower"
    assert found["pairs"][0]["latency"]["ratio"]["interval"][0] > 1.02


def test_a_baseline_is_written_and_fails_on_a_regression_alone(typed, models, tmp_path):
    written = typed("compare", "one.tflite", "--write-baseline", "base.json")
    assert written.code == 0
    assert written.out.startswith("base.json: litert 2.3.0, 1 thread, on ")
    assert json.loads((tmp_path / "base.json").read_text())["models"]["one"]["file"].startswith("base.tflites/one-")
    assert typed("compare", "slow.tflite", "--baseline", "base.json").code == 1
    assert typed("compare", "equal.tflite", "--baseline", "base.json").code == 0
    same = typed("compare", "one.tflite", "--baseline", "base.json")
    assert same.code == 0
    assert "the same bytes: nothing" in same.out


def test_a_pair_that_cannot_be_measured_fails_and_says_why(typed, models, tmp_path):
    typed("compare", "one.tflite", "--write-baseline", "base.json", "--no-keep")
    data = json.loads((tmp_path / "base.json").read_text())
    (tmp_path / "base.json").write_text(json.dumps({**data, "fingerprint": "another"}))
    done = typed("compare", "slow.tflite", "--baseline", "base.json")
    assert done.code == 1
    assert "its milliseconds are not compared" in done.err


@pytest.mark.parametrize("words", [("one.tflite",), ("one.tflite", "slow.tflite", "--baseline", "b.json"),
                                   ("one.tflite", "--baseline", "b.json", "--write-baseline", "c.json"),
                                   ("one.tflite", "none.tflite"), ("one.tflite", "slow.tflite", "--engine", "lite"),
                                   ("one.tflite", "slow.tflite", "--budget", "0")],
                         ids=["nothing", "two", "two files", "no file", "no engine", "no budget"])
def test_wrong_usage_exits_with_2_and_a_next_step(typed, models, words):
    done = typed("compare", *words)
    assert done.code == 2
    assert done.out == ""
    assert "Traceback" not in done.err


def test_check_holds_a_run_against_a_baseline_too(small_folder, typed, models, monkeypatch):
    """The small run's models are timed by a machine on which the second of a pair takes 10 % longer than it did."""
    from tests.stages.comparing_benches import launch_of, normal, without_engines

    noise, base = normal(2, 0.001), small_folder.parent / "base.json"
    without_engines(monkeypatch, lambda pair, place, generator: launch_of(
        (0.1 if pair[0].content != pair[1].content else 0.0) + noise(), engine_version="2.3.0"))
    assert typed("compare", "runs/small", "--write-baseline", str(base), "--variant", "int8",
                 folder=small_folder).code == 0
    same = go(typed, small_folder, "check", "--baseline", str(base))
    assert "the same bytes: nothing to measure" in same.out
    assert "proven slower" not in same.err
    kept = next((base.parent / "base.tflites").iterdir())
    kept.write_bytes(IDENTITY)
    data = json.loads(base.read_text())
    data["models"]["int8"]["sha256"] = hashlib.sha256(IDENTITY).hexdigest()
    base.write_text(json.dumps(data))
    slower = go(typed, small_folder, "check", "--baseline", str(base), "--json")
    assert "proven slower: int8 +10." in slower.err
    assert slower.code == (same.code or 1)
    assert json.loads(slower.out)["latency"]["slower"] == ["int8"]


@pytest.fixture
def core(models, tmp_path, monkeypatch):
    """The same tflite models on an emulated core in the user's folder: the slow one takes 10 % more instructions."""
    from pipeline import instructions
    from tests.stages.targets.test_emulator import ABOUT
    from tests.stages.test_comparing_instructions import counted

    takes = {IDENTITY: 1000.0, SWAPPED: 1000.0, LONGER: 1100.0}
    monkeypatch.setattr(instructions, "count_inference", lambda target, engine, content, draw, *, log, model: counted(
        takes.get(content, 990.0), takes.get(content, 990.0) - 0.2, takes.get(content, 990.0) + 0.2))
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".cache" / "litesmith" / "arm-emulator"
    folder.mkdir(parents=True)
    (folder / "about.json").write_text(ABOUT.model_dump_json())


def test_instructions_are_compared_on_an_emulated_core_that_is_named(typed, core):
    done = typed("compare", "one.tflite", "slow.tflite", "--target", "emulated:cortex-a76")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("slow: more instructions, +10.00 % (")
    assert "  executes    1,000 -> 1,100 (+10.00 %) instructions\n" in done.out
    assert "litert 2.0.2 on an emulated cortex-a76 (QEMU 7.2.0)" in done.out
    assert typed("compare", "one.tflite", "slow.tflite", "--target", "emulated", "--fail-if-slower").code == 1
    assert typed("compare", "one.tflite", "slow.tflite", "--target", "emulated", "--margin", "11",
                 "--fail-if-slower").out.startswith("slow: same, +10.00 %")
    refused = typed("compare", "one.tflite", "slow.tflite", "--target", "emulated", "--threads", "2")
    assert (refused.code, "instructions are counted with 2 threads" in refused.err) == (2, True)


def test_a_baseline_of_instructions_fails_on_more_of_them_alone(typed, core, tmp_path):
    written = typed("compare", "one.tflite", "--write-baseline", "base.json", "--target", "emulated")
    assert written.code == 0
    assert written.out.startswith("base.json: litert 2.0.2 on an emulated cortex-a72 (QEMU 7.2.0)")
    assert "1,000 instructions and 500 memory accesses an inference" in written.out
    worse = typed("compare", "slow.tflite", "--baseline", "base.json", "--json")
    assert (worse.code, json.loads(worse.out)["more"]) == (1, ["slow"])
    assert worse.err.startswith("litesmith: more instructions: slow +10.00 %")
    assert typed("compare", "equal.tflite", "--baseline", "base.json").code == 0


def test_check_holds_a_run_against_instructions_and_refuses_two_baselines_of_a_kind(small_folder, typed, core):
    base = small_folder.parent / "counts.json"
    assert typed("compare", "runs/small", "--write-baseline", str(base), "--variant", "int8", "--target", "emulated",
                 folder=small_folder).code == 0
    data = json.loads(base.read_text())
    same = go(typed, small_folder, "check", "--baseline", str(base))
    assert "int8: not counted: the same bytes: nothing to measure" in same.out
    data["models"]["int8"]["sha256"] = hashlib.sha256(IDENTITY).hexdigest()
    for figure in ("instructions", "accesses"):
        data["models"]["int8"][figure] |= {"value": 900.0, "interval": [899.8, 900.2]}
    base.write_text(json.dumps(data))
    more = go(typed, small_folder, "check", "--baseline", str(base), "--json")
    assert "more instructions: int8 +10.00 %" in more.err
    assert more.code == (same.code or 1)
    assert json.loads(more.out)["instructions"]["more"] == ["int8"]
    twice = go(typed, small_folder, "check", "--baseline", str(base), "--baseline", str(base))
    assert (twice.code, "several baselines of one kind" in twice.err) == (2, True)
