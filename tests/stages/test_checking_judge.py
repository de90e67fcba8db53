"""A figure against a bound: every case of the rule, with numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from device_profiles.records import Figure
from stages.checking.judge import in_rounds, is_exact, judge, overshoot, refuse, worst
from tests.stages.sample_run import figure


@pytest.mark.parametrize(("low", "high", "verdict"), [
    (1.0, 2.0, "pass"), (1.0, 10.0, "pass"), (9.0, 10.1, "undecided"), (10.0, 11.0, "undecided"), (10.1, 11.0, "fail")])
def test_an_interval_below_passes_above_fails_and_across_is_undecided(low: float, high: float, verdict: str) -> None:
    found = Figure(value=(low + high) / 2, unit="ms", provenance="measured", samples=100, interval=(low, high))
    assert judge("latency_median_ms", found, 10.0, "ms").verdict == verdict


@pytest.mark.parametrize(("value", "verdict"), [(65_535, "pass"), (65_536, "pass"), (65_537, "fail")])
def test_an_exact_count_compares_directly(value: int, verdict: str) -> None:
    found = judge("tflite_bytes", figure(value, "bytes"), 65_536, "bytes")
    assert (found.verdict, found.provenance, found.allowed) == (verdict, "measured", 65_536)


def test_a_fail_says_by_how_much() -> None:
    found = judge("tflite_bytes", figure(30_000, "bytes"), 20_000, "bytes")
    assert found.why == "10,000 bytes (50 %) over"
    assert (found.found_text, found.allowed_text) == ("30,000 bytes", "at most 20,000 bytes")


def test_no_figure_is_unknown_with_the_reason() -> None:
    found = judge("energy_uj", None, 5.0, "uJ", "the profile states no power")
    assert (found.verdict, found.why, found.provenance) == ("unknown", "the profile states no power", None)


def test_a_figure_that_is_not_a_number_is_unknown() -> None:
    assert judge("accuracy_drop_points", figure(math.nan, "points"), 1.0, "points").verdict == "unknown"


def test_many_samples_without_an_interval_decide_nothing() -> None:
    found = judge("latency_p90_ms", figure(1.0, "ms", samples=12), 10.0, "ms")
    assert (found.verdict, found.why.startswith("12 samples, but no interval")) == ("undecided", True)


def test_a_prediction_without_a_stated_error_decides_nothing() -> None:
    found = judge("energy_uj", figure(1.0, "uJ", provenance="predicted"), 10.0, "uJ")
    assert (found.verdict, found.why.startswith("a prediction without a stated error")) == ("undecided", True)


def test_undecided_says_how_many_samples_would_decide() -> None:
    # Half width 2 towards the bound, gap 0.5: (2 / 0.5)^2 = 16 times the samples.
    found = judge("accuracy_drop_points", figure(1.5, "points", samples=360, spread=2.0), 2.0, "points")
    assert found.verdict == "undecided"
    assert "interval -0.50 to 3.50 spans the bound 2.00 points; about 5,760 samples (360 now)" in found.why


def test_undecided_at_the_bound_itself_promises_no_number_of_samples() -> None:
    found = judge("accuracy_drop_points", figure(2.0, "points", samples=360, spread=1.0), 2.0, "points")
    assert "only another limit or another model would decide it" in found.why


def test_an_undecided_prediction_asks_for_a_measurement() -> None:
    found = judge("latency_median_ms", figure(9.0, "ms", spread=3.0, provenance="predicted"), 10.0, "ms")
    assert (found.verdict, found.provenance) == ("undecided", "predicted")
    assert found.why.endswith("a measurement on the device would decide it")


def test_worst_orders_fail_unknown_undecided_pass() -> None:
    assert worst(["pass", "undecided", "unknown", "fail"]) == "fail"
    assert worst(["pass", "undecided", "unknown"]) == "unknown"
    assert worst(["pass", "undecided"]) == "undecided"
    assert worst([]) == "pass"


def test_overshoot_is_the_share_over_the_bound_and_infinite_for_a_refusal() -> None:
    assert overshoot(judge("tflite_bytes", figure(25, "bytes"), 20, "bytes")) == pytest.approx(0.25)
    assert overshoot(judge("tflite_bytes", figure(10, "bytes"), 20, "bytes")) == 0.0
    assert overshoot(refuse("operators", "CUSTOM", "builtin", "no kernel")) == math.inf


def test_only_a_single_observation_without_interval_that_is_not_predicted_is_exact() -> None:
    assert is_exact(figure(5, "bytes"))
    assert not is_exact(figure(5, "bytes", samples=2))
    assert not is_exact(figure(5, "bytes", spread=1))
    assert not is_exact(figure(5, "bytes", provenance="predicted"))


def test_an_undecided_latency_counts_rounds_since_samples_of_one_are_not_independent() -> None:
    """Half width 2 towards the bound, gap 0.5: 16 times the rounds; at least one more than there are."""
    found = figure(1.5, "ms", samples=3000, spread=2.0)
    needed = in_rounds(found, 2.0, 30)
    assert (needed.samples, needed.rounds, needed.rounds_now) == (48_000, 480, 30)
    verdict = judge("latency_median_ms", found, 2.0, "ms", needed=lambda: needed)
    assert "about 480 rounds (30 now; benchmark.rounds) would decide it if the value stays" in verdict.why
    assert (verdict.deciding_samples, verdict.deciding_rounds) == (48_000, 480)
    assert in_rounds(figure(1.5, "ms", samples=3000, spread=0.51), 2.0, 30).rounds == 32
    assert in_rounds(figure(2.0, "ms", samples=3000, spread=1.0), 2.0, 30).rounds is None
    assert judge("accuracy_drop_points", found, 2.0, "points").deciding_rounds is None
