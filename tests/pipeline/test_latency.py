"""Comparing files, runs and baselines, with launches that are handed in: no engine is timed here."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from device_profiles.errors import EngineUnavailable, TfliteError, UsageError
from pipeline import latency
from pipeline.baseline import read_baseline
from pipeline.gate import SAME_BYTES
from pipeline.latency import LatencyGate
from stages.comparing.baseline import Baseline
from stages.comparing.differences import predictions
from stages.comparing.trial import Rule
from tests.stages.comparing_models import IDENTITY, SWAPPED

QUICK = LatencyGate("litert", rule=Rule(budget_s=1e6))


def test_two_files_are_one_pair_and_the_slower_one_is_said(sides, machine):
    found = QUICK.compare(sides / "one.tflite", sides / "other.tflite")
    assert [(pair.name, pair.latency.claim) for pair in found.pairs] == [("other", "slower")]
    latency = found.pairs[0].latency
    assert latency.ratio.value == pytest.approx(1.1, abs=0.002)
    assert (latency.reference.value, latency.candidate.value) == pytest.approx((1.0, 1.1), abs=0.005)
    assert QUICK.judged(found).worse == {"other": latency.why}
    assert QUICK.judged(found).missing == {}
    assert QUICK.judged(found).failure.found == f"proven slower: other {latency.why}"


def test_two_runs_are_compared_variant_by_variant(sides, machine):
    found = QUICK.compare(sides / "a", sides / "b")
    assert [(pair.name, pair.reason) for pair in found.pairs] == [("float32", ""), ("int8", SAME_BYTES)]
    assert found.pairs[0].latency.claim == "slower"
    assert (found.only_reference, found.only_candidate) == (("old",), ("new",))
    assert QUICK.judged(found).missing == {}
    only = replace(QUICK, variants=("int8",)).compare(sides / "a", sides / "b")
    assert [(pair.name, pair.latency.claim) for pair in only.pairs] == [("int8", "same")]  # a single one is measured
    assert only.pairs[0].differences.identical


def test_many_variants_share_one_chance_of_a_false_alarm(sides, machine):
    (sides / "b" / "models" / "int8.tflite").write_bytes(IDENTITY)
    found = QUICK.compare(sides / "a", sides / "b")
    assert [pair.latency.ratio.level for pair in found.pairs] == [pytest.approx(0.995)] * 2
    QUICK.make_baseline(sides / "a", sides / "base.json")
    found = QUICK.compare_with_baseline(sides / "b", sides / "base.json")
    assert [pair.latency.ratio.level for pair in found.pairs] == [pytest.approx(0.995)] * 2
    (sides / "b" / "models" / "int8.tflite").write_bytes(SWAPPED)
    found = QUICK.compare_with_baseline(sides / "b", sides / "base.json")
    assert [pair.latency and pair.latency.ratio.level for pair in found.pairs] == [0.99, None]


def test_an_engine_that_is_not_there_is_said_before_anything_is_measured(sides, monkeypatch):
    with pytest.raises(UsageError, match="unknown engine 'litter'; did you mean 'litert'"):
        LatencyGate(engine="litter").compare(sides / "one.tflite", sides / "other.tflite")
    gone = latency.registry.Engine("tflm", "no-such-distribution", "x", "x", False, "nowhere")
    monkeypatch.setitem(latency.registry.ENGINES, "tflm", gone)
    with pytest.raises(EngineUnavailable, match="not installed"):
        LatencyGate(engine="tflm").compare(sides / "one.tflite", sides / "other.tflite")


def test_a_file_that_is_no_tflite_model_is_refused_with_its_name(sides, machine):
    (sides / "bad.tflite").write_bytes(b"PK not a model")
    with pytest.raises(TfliteError, match=r"bad\.tflite"):
        QUICK.compare(sides / "one.tflite", sides / "bad.tflite")


def test_given_samples_are_used_and_named(sides, machine, monkeypatch):
    monkeypatch.setattr("stages.comparing.pairing.predictions", predictions)
    np.save("x.npy", np.eye(3, dtype=np.float32))
    found = replace(QUICK, samples=sides / "x.npy").compare(sides / "a" / "models" / "int8.tflite",
                                                            sides / "one.tflite")
    assert found.notes == ()
    output = found.pairs[0].predictions.outputs[0]
    assert found.pairs[0].predictions.inputs.endswith("x.npy, 3 samples")
    assert output.decisions_changed.value == pytest.approx(2 / 3)  # of the rows of the identity two are swapped
    (sides / "bad.npy").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="cannot be read"):
        LatencyGate(samples=sides / "bad.npy").compare(sides / "one.tflite", sides / "other.tflite")


def test_a_baseline_keeps_its_models_and_a_regression_against_it_is_proven(sides, machine):
    written = QUICK.make_baseline(sides / "a", sides / "ci" / "base.json")
    assert list(written.models) == ["float32", "int8", "old"]
    assert read_baseline(sides / "ci" / "base.json", Baseline) == written
    assert written.models["int8"].median.value == pytest.approx(1.0, abs=0.01)
    assert len(list((sides / "ci" / "base.tflites").iterdir())) == 3
    found = QUICK.compare_with_baseline(sides / "b", sides / "ci" / "base.json")
    assert [(pair.name, pair.latency and pair.latency.claim, pair.reason) for pair in found.pairs] == [
        ("float32", "slower", ""), ("int8", None, SAME_BYTES)]
    assert found.pairs[0].latency.how == "interleaved"
    assert found.only_reference == ("old",)
    assert QUICK.judged(found).missing == {}
    assert found.notes[0].startswith(f"baseline of {written.made}: litert 2.3.0 on ")


def test_without_kept_models_milliseconds_are_compared_on_the_same_machine_alone(sides, machine):
    path = sides / "base.json"
    installed = latency.registry.engine_info("litert").version
    QUICK.make_baseline(sides / "one.tflite", path, keep=False)
    path.write_text(path.read_text().replace('"engine_version": "2.3.0"', f'"engine_version": "{installed}"'))
    assert not (sides / "base.tflites").exists()
    found = QUICK.compare_with_baseline(sides / "other.tflite", path)
    assert (found.pairs[0].latency.how, found.pairs[0].latency.claim) == ("milliseconds", "slower")
    assert found.pairs[0].differences is None
    elsewhere = {**json.loads(path.read_text()), "fingerprint": "000000000000"}
    path.write_text(json.dumps(elsewhere))
    found = QUICK.compare_with_baseline(sides / "other.tflite", path)
    assert found.pairs[0].latency is None
    assert "two machines differ by more than most changes of a model do" in found.pairs[0].reason
    assert "Keep the tflite models with the baseline" in QUICK.judged(found).failure.found


def test_a_baseline_from_another_machine_with_its_models_is_measured_here(sides, machine):
    path = sides / "base.json"
    QUICK.make_baseline(sides / "one.tflite", path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "fingerprint": "000000000000"}))
    found = QUICK.compare_with_baseline(sides / "other.tflite", path)
    assert (found.pairs[0].latency.how, found.pairs[0].latency.claim) == ("interleaved", "slower")


def test_nothing_is_written_where_a_model_cannot_be_measured(sides, monkeypatch):
    def fails(pair, place, generator):
        raise EngineUnavailable("litert", "one", "gone")

    monkeypatch.setattr("stages.comparing.pairing.launch", fails)
    with pytest.raises(EngineUnavailable):
        QUICK.make_baseline(sides / "one.tflite", sides / "base.json")
    assert not (sides / "base.json").exists()
    assert not (sides / "base.tflites").exists()
