"""Verdicts on what a mean hides, and how many samples would decide the open ones, by hand."""

from __future__ import annotations

import math

import pytest

from device_profiles.schema import Limits
from stages.checking.fit import Subject, fit
from stages.checking.safety import judge_drop, judge_safety
from stages.paired import drop_figure, mcnemar
from stages.records import (
    Calibration,
    Corrupted,
    EngineEvaluation,
    LimitVerdict,
    McNemar,
    Member,
    PairedCounts,
    Safety,
    Worst,
)
from stages.safety.members import classes_worst, share_candidate, worst_of
from stages.statistics import bounded_share
from tests.stages.sample_profiles import measured_profile, workload
from tests.stages.sample_run import figure, latency, metrics

Z2 = 1.6448536269514722**2


def _test(lost: int, gained: int, samples: int) -> McNemar:
    return McNemar(lost=lost, gained=gained, samples=samples, p_value=mcnemar(lost, gained))


def _evaluation(lost: int, gained: int, samples: int) -> EngineEvaluation:
    table = PairedCounts(lost=lost, gained=gained, samples=samples)
    return EngineEvaluation(engine="litert", engine_version="", status="ok", metrics=metrics(350),
                            drop=drop_figure(table), safety=Safety(tests={"output": _test(lost, gained, samples)}))


def _worst(**tables: tuple[int, int, int]) -> Worst:
    found = classes_worst({name: PairedCounts(lost=a, gained=b, samples=n) for name, (a, b, n) in tables.items()})
    assert found is not None
    return found


def _judge(limit: str, bound: float, **parts: object) -> LimitVerdict:
    return judge_safety(limit, Safety.model_validate(parts), bound, "not evaluated")


def test_an_open_drop_says_how_many_samples_decide_and_what_mcnemar_says() -> None:
    verdict = judge_drop(_evaluation(0, 0, 36), 1.0, "")
    assert (verdict.verdict, verdict.deciding_samples) == ("undecided", math.ceil(99 * Z2))  # Z2 / (n + Z2) <= 1 %
    assert "about 268 test samples (36 now) would decide it if the value stays" in verdict.why
    assert "interval of one-sided 95 % bounds" in verdict.why
    assert verdict.why.endswith("0 lost, 0 gained, McNemar's exact p = 1")


def test_a_drop_over_the_limit_fails_with_its_test_and_one_below_passes_without_a_word() -> None:
    verdict = judge_drop(_evaluation(40, 2, 500), 2.0, "")
    assert verdict.verdict == "fail"
    assert "40 lost, 2 gained, McNemar's exact p = " in verdict.why
    assert judge_drop(_evaluation(1, 0, 500), 2.0, "").why == ""
    assert judge_drop(None, 2.0, "tflm was not asked").why == "tflm was not asked"


@pytest.mark.parametrize(("changed", "verdict"), [(2, "pass"), (8, "undecided"), (30, "fail")])
def test_changed_predictions_are_held_by_their_exact_bound(changed: int, verdict: str) -> None:
    found = _judge("predictions_changed_share", 0.05, changed=bounded_share(changed, 200, "measured", "changed"))
    assert (found.verdict, found.allowed_text) == (verdict, "at most 5.0 %")


def test_no_changed_prediction_on_fifty_samples_is_decided_by_the_rule_of_three() -> None:
    found = _judge("predictions_changed_share", 0.01, changed=bounded_share(0, 50, "measured", "changed"))
    assert found.verdict == "undecided"
    assert found.deciding_samples == math.ceil(math.log(0.05) / math.log(0.99))  # 1 - 0.05^(1/n) <= 0.01


def test_the_worst_class_names_itself_and_the_class_that_needs_the_most_samples() -> None:
    found = _judge("worst_class_drop_points", 3.0, classes=_worst(a=(1, 0, 400), b=(0, 0, 40), c=(0, 0, 20)))
    assert found.verdict == "undecided"
    assert found.found_text.startswith("a: 0.25 points")
    assert found.deciding_samples == math.ceil(Z2 * (1 / 0.03 - 1))  # of class b or c, where nothing was lost
    assert "test samples of class '" in found.why


def test_a_class_that_lost_far_too_much_fails_whatever_the_others_do() -> None:
    found = _judge("worst_class_drop_points", 3.0, classes=_worst(a=(0, 0, 500), b=(60, 0, 200), c=(0, 0, 0)))
    assert found.verdict == "fail"
    assert found.why.startswith("'b': 27.00 points")
    assert found.why.endswith("; not judged: c")


def test_a_class_above_the_limit_but_not_surely_asks_for_the_fewest_samples_that_would_prove_it() -> None:
    found = _judge("worst_class_drop_points", 3.0, classes=_worst(a=(3, 0, 60), b=(0, 0, 60)))
    assert found.verdict == "undecided"
    assert found.deciding_samples is not None
    assert found.deciding_samples > 60
    assert "of class 'a' (60 now)" in found.why


def test_the_worst_corruption_is_held_against_its_share() -> None:
    changed = worst_of([share_candidate("noise", 0, 100), share_candidate("blur", 1, 100)], "fraction", "changed")
    assert changed is not None
    parts = Corrupted(changed=changed, severities={"noise": "4 %", "blur": "0.4 pixels"})
    found = _judge("corrupted_changed_share", 0.02, corrupted=parts)
    assert (found.verdict, found.found_text[:4]) == ("undecided", "blur")
    assert "test samples of corruption 'blur' (100 now)" in found.why
    assert parts.agreement == {"noise": 1.0, "blur": 0.99}


def test_a_slice_without_counts_is_decided_by_the_square_root() -> None:
    member = Member(name="site=a", samples=100, value=1.0, interval=(-1.0, 3.0))
    worst = Worst(name="site=a", figure=figure(1.0, "points", samples=100, spread=2.0), members=(member,))
    found = _judge("worst_slice_drop_points", 2.0, slices=worst)
    assert (found.verdict, found.deciding_samples) == ("undecided", 400)  # half of the half width


def test_calibration_is_held_by_the_worst_output() -> None:
    def of(error: float) -> Calibration:
        one = figure(error, "points", samples=100, spread=1.0).model_copy(update={"level": 0.9})
        return Calibration(bins=15, noise=0.5, error=one, float_error=one, rise=one)

    found = _judge("calibration_error_points", 6.0, calibration={"a": of(2.0), "b": of(5.5)})
    assert (found.verdict, found.found and found.found.value) == ("undecided", 5.5)
    assert _judge("calibration_rise_points", 7.0, calibration={"a": of(2.0)}).verdict == "pass"
    assert _judge("calibration_rise_points", 0.5, calibration={"a": of(2.0)}).verdict == "fail"


def test_what_was_not_measured_is_unknown_with_the_reason_and_the_next_step() -> None:
    found = _judge("worst_slice_drop_points", 2.0, missing={"worst_slice_drop_points": "the data names no slices"})
    assert (found.verdict, found.why) == ("unknown", "the data names no slices")
    assert _judge("calibration_error_points", 2.0).why == "it was not measured: run evaluate again"
    assert _judge("worst_class_drop_points", 2.0).why == "the task has no classes; leave the limit out"
    assert judge_safety("predictions_changed_share", None, 0.1, "tflm refuses it: see engine").why == (
        "tflm refuses it: see engine")


def test_every_limit_of_a_profile_has_a_verdict_in_the_fit() -> None:
    values = {"latency_p90_ms": 20.0, "latency_median_ms": 10.0}
    limits = {name: values.get(name, 1.0) for name in Limits.model_fields}
    subject = Subject(name="int8", tflite_bytes=1, workload=workload(), evaluated={"litert": _evaluation(1, 1, 300)},
                      measured={"litert": latency(1.0, "litert", "2.3.0")})
    found = {one.limit: one.verdict for one in fit(subject, measured_profile(**limits)).check.limits}
    assert set(limits) <= set(found)
    assert found["worst_class_drop_points"] == "unknown"
