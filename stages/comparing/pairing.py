"""Two tflite models against each other on this host: what they are given, how long they take, what else differs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.errors import EngineError, StageError
from stages.comparing.differences import loaded, predictions, random_samples, static_difference
from stages.comparing.launching import Contender, Launch, Place, launch
from stages.comparing.records import LatencyComparison, PairComparison, Predictions
from stages.comparing.trial import Against, Bench, Rule, Tell, comparison, run_trial, silent

Array = npt.NDArray[Any]
_RANDOM = "random, seeded: no samples were given"


@dataclass(frozen=True)
class Candidates:
    """Two tflite models and what is asked of them.

    Attributes:
        name: of the pair.
        reference, candidate: without samples where none were given.
        inputs: where the samples come from, for people.
    """

    name: str
    reference: Contender
    candidate: Contender
    inputs: str = _RANDOM


def compare_pair(pair: Candidates, place: Place, rule: Rule, tell: Tell = silent) -> PairComparison:
    """Everything that differs.

    Args:
        pair: both.
        place: engine, threads and cores.
        rule: margin and budget.
        tell: told after each launch.

    Raises:
        TfliteError: one is no whole tflite model.
    """
    differences = static_difference(pair.reference.content, pair.candidate.content, place.log)
    latency, reason, predicted = None, "", Predictions(reason="they cannot be run")
    try:
        pair = with_samples(pair, place)
        predicted = predictions((pair.reference, pair.candidate), place, pair.inputs)
        latency = measured(pair, place, rule, tell)
    except (EngineError, StageError) as error:
        reason = f"{error.place()}{error.found}"
    return PairComparison(name=pair.name, reference=pair.reference.name, candidate=pair.candidate.name,
                          latency=latency, reason=reason, differences=differences, predictions=predicted)


def with_samples(pair: Candidates, place: Place) -> Candidates:
    """Both with samples: those given, or random ones that both take; each its own where their inputs differ.

    Raises:
        EngineError: the engine does not take one of them.
    """
    if pair.reference.samples:
        return pair
    loads = [loaded(each, place) for each in (pair.reference, pair.candidate)]
    try:
        shared = random_samples(loads)
        return replace(pair, reference=replace(pair.reference, samples=shared),
                       candidate=replace(pair.candidate, samples=shared))
    except StageError:
        first, second = (random_samples([each]) for each in loads)
        return replace(pair, reference=replace(pair.reference, samples=first),
                       candidate=replace(pair.candidate, samples=second))


def bench_of(reference: Contender, candidate: Contender, place: Place, seed: int = 0) -> Bench:
    """Launches on this host."""
    generator = np.random.default_rng(seed)

    def make(against: Against) -> Launch:
        """Two fresh processes."""
        other = replace(reference, name=f"{reference.name} again") if against == "itself" else candidate
        return launch((reference, other), place, generator)

    return make


def measured(pair: Candidates, place: Place, rule: Rule, tell: Tell = silent) -> LatencyComparison:
    """The claim on their latency.

    Raises:
        EngineError: the engine does not take one of them, or its process ended.
        StageError: the samples do not fit one of them.
    """
    outcome = run_trial(bench_of(pair.reference, pair.candidate, place, rule.seed), rule, tell)
    return comparison(outcome, rule, place.engine, place.threads, place.cpus)
