"""The pick is the best by the choice, the same on every run, and its reason names what decided."""

from __future__ import annotations

from device_profiles.records import Figure
from stages.checking.judge import judge, refuse, worst
from stages.checking.pick import Candidate, pick, picks, reason
from stages.records import LimitVerdict, VariantCheck
from tests.stages.sample_run import figure


def _ms(value: float, spread: float = 0.01, provenance: str = "measured") -> Figure:
    return figure(value, "ms", samples=100, spread=spread, provenance=provenance)


def _candidate(name: str, size: int, latency: Figure | None, accuracy: float | None,
               limits: tuple[LimitVerdict, ...] = ()) -> Candidate:
    check = VariantCheck(variant=name, limits=limits, verdict=worst(limit.verdict for limit in limits))
    share = None if accuracy is None else figure(accuracy, "fraction", samples=100, spread=0.01)
    return Candidate(variant=name, tflite_bytes=size, latency=latency, score=share, check=check)


THREE = [_candidate("float32", 300, _ms(1.0), 0.99), _candidate("int8", 100, _ms(2.0), 0.97),
         _candidate("int8qat", 120, _ms(1.5), 0.99)]


def _over(found: float, allowed: float, limit: str = "tflite_bytes") -> tuple[LimitVerdict, ...]:
    return (judge(limit, figure(found, "bytes"), allowed, "bytes"),)


def test_each_choice_picks_its_own_best() -> None:
    assert picks(THREE) == {"smallest": "int8", "fastest": "float32", "most-accurate": "int8qat"}


def test_equal_size_is_decided_by_latency_and_equal_everything_by_name() -> None:
    same = [_candidate(name, 100, _ms(median), 0.9) for name, median in (("b", 1.0), ("a", 1.0), ("c", 0.5))]
    assert pick(same, "smallest") == same[2]
    assert reason(same, "smallest") == (
        "c: 100 bytes, the smallest of 3 that pass; b and a tie with it in bytes, decided by latency.")
    assert pick(same[:2], "smallest") == same[1]
    assert pick(same[:2][::-1], "smallest") == same[1]


def test_latencies_that_cannot_be_told_apart_are_decided_by_size_not_by_noise() -> None:
    noisy = [_candidate("int8", 120, _ms(1.000, 0.02), 0.9), _candidate("pruned75-int8", 100, _ms(1.003, 0.02), 0.9),
             _candidate("float32", 50, _ms(1.5, 0.02), 0.9)]
    assert picks(noisy)["fastest"] == "pruned75-int8"
    assert reason(noisy, "fastest") == (
        "pruned75-int8: 1.00 ms (measured), the fastest of 3 that pass; int8 ties with it in latency, decided by "
        "bytes.")


def test_what_brings_nothing_is_left_out() -> None:
    same = [_candidate(name, 100, _ms(1.0, 0.02), 0.9) for name in ("clustered16-int8", "int8", "pruned75-int8")]
    assert picks(same) == {"smallest": "int8", "fastest": "int8", "most-accurate": "int8"}
    assert reason(same, "smallest") == (
        "int8: 100 bytes, the smallest of 3 that pass; clustered16-int8 and pruned75-int8 tie with it in bytes, "
        "decided by fewer steps.")


def test_of_equal_size_and_latency_the_more_accurate_wins() -> None:
    same = [_candidate("int8", 100, _ms(1.0, 0.02), 0.9), _candidate("clustered16-int8", 100, _ms(1.01, 0.02), 0.95)]
    assert pick(same, "smallest") == same[1]


def test_predicted_latencies_are_compared_by_value_for_their_error_is_shared() -> None:
    predicted = [_candidate(name, size, _ms(median, 1.5, "predicted"), 0.9)
                 for name, size, median in (("a", 100, 2.0), ("b", 200, 1.9))]
    assert picks(predicted)["fastest"] == "b"


def test_a_variant_that_does_not_pass_is_never_picked() -> None:
    candidates = [*THREE, _candidate("tiny", 10, _ms(0.1), 1.0, _over(10, 5))]
    assert picks(candidates)["smallest"] == "int8"


def test_the_reason_names_figure_and_field_of_competitors() -> None:
    assert reason(THREE, "smallest") == "int8: 100 bytes, the smallest of 3 that pass."
    assert reason(THREE[:1], "smallest") == "float32: 300 bytes, the only one that passes."
    assert reason(THREE, "most-accurate") == (
        "int8qat: 99.0 % (measured), the most-accurate of 3 that pass; float32 ties with it in accuracy, decided by "
        "bytes.")


def test_the_reason_speaks_of_the_tasks_own_score() -> None:
    scored = [one.model_copy(update={"score_name": "R2"}) for one in THREE]
    assert reason(scored, "most-accurate") == (
        "int8qat: R2 0.990 (measured), the most-accurate of 3 that pass; float32 ties with it in R2, decided by bytes.")
    same = [_candidate(name, 100, None, score) for name, score in (("a", 0.8), ("b", 0.9))]
    assert reason([one.model_copy(update={"score_name": "R2"}) for one in same], "smallest") == (
        "b: 100 bytes, the smallest of 2 that pass; a ties with it in bytes, decided by R2.")
    unknown = [same[0].model_copy(update={"score": None, "score_name": "R2"})]
    assert "none has a figure of R2, by which 'most-accurate' picks" in reason(unknown, "most-accurate")


def test_without_a_winner_the_reason_is_the_nearest_miss_and_by_how_much() -> None:
    misses = [_candidate(name, size, None, None, _over(size, 100)) for name, size in (("int8", 120), ("float32", 400))]
    assert reason(misses, "smallest") == (
        "None of 2 variants passes. Nearest is int8, fail on tflite_bytes: found 120 bytes, allowed at most 100 bytes "
        "(20 bytes (20 %) over).")


def test_an_undecided_variant_is_nearer_than_one_that_fails_and_a_refusal_is_furthest() -> None:
    refused = _candidate("dynamic", 1, None, None, (refuse("operators", "hybrid", "int8", "no kernel"),))
    failed = _candidate("int8", 120, None, None, _over(900, 100))
    unsure = _candidate("z", 120, None, None, (judge("latency_median_ms", _ms(1.0, 0.5), 1.2, "ms"),))
    assert "Nearest is z, undecided on latency_median_ms" in reason([refused, failed, unsure], "smallest")
    assert "Nearest is int8" in reason([refused, failed], "smallest")
    told = reason([refused], "smallest")
    assert "Nearest is dynamic, fail on operators: found hybrid, allowed int8 (no kernel)" in told


def test_fastest_without_any_latency_picks_nothing_and_says_so() -> None:
    candidates = [_candidate("int8", 100, None, 0.9)]
    assert picks(candidates) == {"smallest": "int8", "most-accurate": "int8"}
    assert reason(candidates, "fastest") == (
        "Of 1 variant that would pass none has a figure of latency, by which 'fastest' picks.")
