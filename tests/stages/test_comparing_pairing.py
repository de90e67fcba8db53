"""Two tiny tflite models held against each other by real engine workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.comparing import launching
from stages.comparing.launching import Contender, Place
from stages.comparing.pairing import Candidates, bench_of, compare_pair, with_samples
from stages.comparing.trial import Rule
from tests.stages.comparing_models import IDENTITY, LONGER, WIDER


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(launching, "ROUNDS", 3)
    monkeypatch.setattr(launching, "_WARM_UP_S", 0.01)
    monkeypatch.setattr("stages.comparing.differences.arena_bytes", lambda content, log: None)
    return Place("litert", tmp_path / "log.txt")


def pair_of(one: bytes, other: bytes) -> Candidates:
    return Candidates("pair", Contender("one", one, ()), Contender("other", other, ()))


def test_a_pair_has_a_claim_differences_and_predictions(place: Place) -> None:
    told: list[str] = []
    found = compare_pair(pair_of(IDENTITY, LONGER), place, Rule(budget_s=0.01),
                         lambda phase, spent, budget, text: told.append(phase))
    assert told == ["noise floor", "noise floor", "in turns"]  # the least, since the budget is spent at once
    assert found.latency is not None
    assert (found.latency.claim, found.latency.launches, found.latency.engine) == ("undecided", 1, "litert")
    assert found.latency.engine_version
    assert found.differences is not None
    assert found.differences.operator_count == (1, 2)
    assert found.predictions.samples == 64
    assert found.predictions.outputs[0].name == "output"
    assert found.reason == ""


def test_a_model_that_the_engine_does_not_take_is_not_measured_and_says_why(place: Place) -> None:
    given = pair_of(IDENTITY, LONGER)
    samples = (np.zeros((2, 7), np.float32),)
    wrong = replace(given, reference=replace(given.reference, samples=samples),
                    candidate=replace(given.candidate, samples=samples))
    found = compare_pair(wrong, place, Rule(budget_s=0.01))
    assert found.latency is None
    assert "wants samples of shape [[3]]" in found.reason
    assert found.differences is not None


def test_models_with_other_inputs_get_samples_of_their_own(place: Place) -> None:
    found = with_samples(pair_of(IDENTITY, WIDER), place)
    assert (found.reference.samples[0].shape, found.candidate.samples[0].shape) == ((64, 3), (64, 5))
    same = with_samples(pair_of(IDENTITY, LONGER), place)
    assert same.reference.samples is same.candidate.samples
    assert with_samples(same, place) is same


def test_against_itself_both_processes_run_the_reference(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr("stages.comparing.pairing.launch",
                        lambda pair, place, generator: seen.append((pair[0].content, pair[1].content)))
    bench = bench_of(Contender("one", IDENTITY, ()), Contender("other", LONGER, ()), place)
    bench("itself")
    bench("candidate")
    assert seen == [(IDENTITY, IDENTITY), (IDENTITY, LONGER)]
