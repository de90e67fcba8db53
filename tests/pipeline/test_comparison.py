"""Comparing files, runs and baselines, with launches that are handed in: no engine is timed here."""

from __future__ import annotations

import json

import numpy as np
import pytest

from device_profiles.errors import EngineUnavailable, TfliteError, UsageError
from pipeline import comparison
from pipeline.baseline import read_baseline
from pipeline.comparison import SAME_BYTES, Asked, compare, compare_with_baseline, find_models, make_baseline, matched
from stages.comparing.differences import predictions
from stages.comparing.trial import Rule
from tests.stages.comparing_models import IDENTITY, SWAPPED

QUICK = Asked("litert", rule=Rule(budget_s=1e6))


def test_two_files_are_one_pair_and_the_slower_one_is_said(sides, machine):
    found = compare(sides / "one.tflite", sides / "other.tflite", QUICK)
    assert [(pair.name, pair.latency.claim) for pair in found.pairs] == [("other", "slower")]
    latency = found.pairs[0].latency
    assert latency.ratio.value == pytest.approx(1.1, abs=0.002)
    assert (latency.reference.value, latency.candidate.value) == pytest.approx((1.0, 1.1), abs=0.005)
    assert comparison.slower(found) == {"other": latency.why}
    assert comparison.unmeasured(found) == {}
    assert comparison.failure(found).found == f"proven slower: other {latency.why}"


def test_two_runs_are_compared_variant_by_variant(sides, machine):
    found = compare(sides / "a", sides / "b", QUICK)
    assert [(pair.name, pair.reason) for pair in found.pairs] == [("float32", ""), ("int8", SAME_BYTES)]
    assert found.pairs[0].latency.claim == "slower"
    assert (found.only_reference, found.only_candidate) == (("old",), ("new",))
    assert comparison.unmeasured(found) == {}
    only = compare(sides / "a", sides / "b", Asked("litert", rule=QUICK.rule, variants=("int8",)))
    assert [(pair.name, pair.latency.claim) for pair in only.pairs] == [("int8", "same")]  # a single one is measured
    assert only.pairs[0].differences.identical


def test_many_variants_share_one_chance_of_a_false_alarm(sides, machine):
    (sides / "b" / "models" / "int8.tflite").write_bytes(IDENTITY)
    found = compare(sides / "a", sides / "b", QUICK)
    assert [pair.latency.ratio.level for pair in found.pairs] == [pytest.approx(0.995)] * 2
    make_baseline(sides / "a", sides / "base.json", QUICK)
    found = compare_with_baseline(sides / "b", sides / "base.json", QUICK)
    assert [pair.latency.ratio.level for pair in found.pairs] == [pytest.approx(0.995)] * 2
    (sides / "b" / "models" / "int8.tflite").write_bytes(SWAPPED)
    found = compare_with_baseline(sides / "b", sides / "base.json", QUICK)
    assert [pair.latency and pair.latency.ratio.level for pair in found.pairs] == [0.99, None]


def test_matching_goes_by_name_and_else_one_model_meets_every_other():
    assert matched(["x"], ["y"]).pairs == {"y": ("x", "y")}
    assert matched(["x"], ["y", "z"]).pairs == {"y": ("x", "y"), "z": ("x", "z")}
    assert matched(["y", "z"], ["x"]).pairs == {"y": ("y", "x"), "z": ("z", "x")}
    assert matched(["x"], ["x", "z"]) == comparison._Match({"x": ("x", "x")}, (), ("z",))
    assert matched(["y", "z"], ["z", "w"]) == comparison._Match({"z": ("z", "z")}, ("y",), ("w",))
    with pytest.raises(UsageError, match="share no variant"):
        matched(["x", "y"], ["z", "w"])


def test_a_baseline_s_model_meets_its_namesake_or_the_only_one():
    assert matched(["x"], ["y"], crossing=False).pairs == {"y": ("x", "y")}
    for first, second in ((["x"], ["y", "z"]), (["y", "z"], ["x"])):
        with pytest.raises(UsageError, match="share no variant"):
            matched(first, second, crossing=False)


def test_what_is_not_there_is_said_with_the_near_miss(sides):
    (sides / "empty").mkdir()
    for path, words in ((sides / "none", "no such file"), (sides / "empty", "holds no tflite model")):
        with pytest.raises(UsageError, match=words):
            find_models(path)
    with pytest.raises(UsageError, match="has no variant 'int9'; did you mean 'int8'"):
        find_models(sides / "a", ["int9"])
    assert list(find_models(sides / "a" / "models")) == ["float32", "int8", "old"]


def test_an_engine_that_is_not_there_is_said_before_anything_is_measured(sides, monkeypatch):
    with pytest.raises(UsageError, match="unknown engine 'litter'; did you mean 'litert'"):
        compare(sides / "one.tflite", sides / "other.tflite", Asked(engine="litter"))
    gone = comparison.registry.Engine("tflm", "no-such-distribution", "x", "x", False, "nowhere")
    monkeypatch.setitem(comparison.registry.ENGINES, "tflm", gone)
    with pytest.raises(EngineUnavailable, match="not installed"):
        compare(sides / "one.tflite", sides / "other.tflite", Asked(engine="tflm"))


def test_a_file_that_is_no_tflite_model_is_refused_with_its_name(sides, machine):
    (sides / "bad.tflite").write_bytes(b"PK not a model")
    with pytest.raises(TfliteError, match=r"bad\.tflite"):
        compare(sides / "one.tflite", sides / "bad.tflite", QUICK)


def test_given_samples_are_used_and_named(sides, machine, monkeypatch):
    monkeypatch.setattr("stages.comparing.pairing.predictions", predictions)
    np.save("x.npy", np.eye(3, dtype=np.float32))
    found = compare(sides / "a" / "models" / "int8.tflite", sides / "one.tflite",
                    Asked("litert", rule=QUICK.rule, samples=sides / "x.npy"))
    assert found.notes == ()
    output = found.pairs[0].predictions.outputs[0]
    assert found.pairs[0].predictions.inputs.endswith("x.npy, 3 samples")
    assert output.decisions_changed.value == pytest.approx(2 / 3)  # of the rows of the identity two are swapped
    (sides / "bad.npy").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="cannot be read"):
        compare(sides / "one.tflite", sides / "other.tflite", Asked(samples=sides / "bad.npy"))


def test_a_baseline_keeps_its_models_and_a_regression_against_it_is_proven(sides, machine):
    written = make_baseline(sides / "a", sides / "ci" / "base.json", QUICK)
    assert list(written.models) == ["float32", "int8", "old"]
    assert read_baseline(sides / "ci" / "base.json") == written
    assert written.models["int8"].median.value == pytest.approx(1.0, abs=0.01)
    assert len(list((sides / "ci" / "base.tflites").iterdir())) == 3
    found = compare_with_baseline(sides / "b", sides / "ci" / "base.json", QUICK)
    assert [(pair.name, pair.latency and pair.latency.claim, pair.reason) for pair in found.pairs] == [
        ("float32", "slower", ""), ("int8", None, SAME_BYTES)]
    assert found.pairs[0].latency.how == "interleaved"
    assert found.only_reference == ("old",)
    assert comparison.unmeasured(found) == {}
    assert found.notes[0].startswith(f"baseline of {written.made}: litert 2.3.0 on ")


def test_without_kept_models_milliseconds_are_compared_on_the_same_machine_alone(sides, machine):
    path = sides / "base.json"
    installed = comparison.registry.engine_info("litert").version
    make_baseline(sides / "one.tflite", path, QUICK, keep=False)
    path.write_text(path.read_text().replace('"engine_version": "2.3.0"', f'"engine_version": "{installed}"'))
    assert not (sides / "base.tflites").exists()
    found = compare_with_baseline(sides / "other.tflite", path, QUICK)
    assert (found.pairs[0].latency.how, found.pairs[0].latency.claim) == ("milliseconds", "slower")
    assert found.pairs[0].differences is None
    elsewhere = {**json.loads(path.read_text()), "fingerprint": "000000000000"}
    path.write_text(json.dumps(elsewhere))
    found = compare_with_baseline(sides / "other.tflite", path, QUICK)
    assert found.pairs[0].latency is None
    assert "two machines differ by more than most changes of a model do" in found.pairs[0].reason
    assert "Keep the tflite models with the baseline" in comparison.failure(found).found


def test_a_baseline_from_another_machine_with_its_models_is_measured_here(sides, machine):
    path = sides / "base.json"
    make_baseline(sides / "one.tflite", path, QUICK)
    path.write_text(json.dumps({**json.loads(path.read_text()), "fingerprint": "000000000000"}))
    found = compare_with_baseline(sides / "other.tflite", path, QUICK)
    assert (found.pairs[0].latency.how, found.pairs[0].latency.claim) == ("interleaved", "slower")


def test_nothing_is_written_where_a_model_cannot_be_measured(sides, monkeypatch):
    def fails(pair, place, generator):
        raise EngineUnavailable("litert", "one", "gone")

    monkeypatch.setattr("stages.comparing.pairing.launch", fails)
    with pytest.raises(EngineUnavailable):
        make_baseline(sides / "one.tflite", sides / "base.json", QUICK)
    assert not (sides / "base.json").exists()
    assert not (sides / "base.tflites").exists()
