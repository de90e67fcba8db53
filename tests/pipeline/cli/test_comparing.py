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
