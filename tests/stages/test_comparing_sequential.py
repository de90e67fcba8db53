"""The rule that decides, against numbers worked out by hand and against the truth in simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stages.comparing.sequential import (
    claimed,
    critical,
    decide,
    detectable,
    launches_to_decide,
    placed,
    robust_deviation,
    spread,
    standard_error,
)


def bayes_factor(t: float, n: int, g: float = 10.0) -> float:
    """Gönen et al. 2005, equation 2, as printed."""
    v = n - 1
    return (1 + n * g) ** -0.5 * ((1 + t * t / v) / (1 + t * t / (v * (1 + n * g)))) ** (n / 2)


@pytest.mark.parametrize("launches", [4, 6, 12, 50, 1000])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_at_the_critical_t_the_bayes_factor_is_one_in_alpha(launches: int, level: float) -> None:
    assert bayes_factor(critical(launches, level), launches) == pytest.approx(1 / (1 - level))


def test_the_critical_t_of_six_launches_is_the_one_worked_out_by_hand() -> None:
    # room 61, q = (sqrt(61) / 0.01)^(1/3) = 9.2091, t* = sqrt(5 * 8.2091 / (1 - 9.2091 / 61)) = 6.953
    assert critical(6) == pytest.approx(6.953, abs=1e-3)


def test_fewer_than_four_launches_prove_nothing() -> None:
    assert [math.isinf(critical(count)) for count in (0, 1, 2, 3, 4)] == [True, True, True, True, False]
    decision = decide([3.0, 3.0, 3.0], margin=0.02)
    assert (decision.claim, decision.interval) == ("undecided", None)
    assert decide([], margin=0.02).ratio == 1.0


def test_the_interval_is_wider_than_that_of_a_single_look_and_narrows() -> None:
    from scipy.special import stdtrit

    for count in (5, 10, 40):
        assert critical(count) > stdtrit(count - 1, 0.995)
    widths = [critical(count) / math.sqrt(count) for count in range(4, 300)]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("estimate", "half", "claim"), [
    (0.05, 0.029, "slower"), (0.05, 0.031, "undecided"), (-0.05, 0.029, "faster"), (-0.05, 0.031, "undecided"),
    (0.0, 0.0197, "same"), (0.0, 0.0199, "undecided"), (0.01, 0.009, "same"), (0.01, 0.0099, "undecided"),
])
def test_claims_are_those_of_the_interval_against_the_margin(estimate: float, half: float, claim: str) -> None:
    """log(1.02) = 0.019803; 0.05 - 0.029 = 0.021 lies above it, 0.05 - 0.031 = 0.019 below."""
    assert claimed(estimate, half, 0.02).claim == claim


@pytest.mark.parametrize(("interval", "place"), [
    ((1.1, 1.2), "across"), ((1.11, 1.2), "above"), ((0.9, 1.1), "within"), ((0.8, 0.9), "across"),
    ((0.8, 0.89), "below"), ((0.8, 1.2), "across"), ((math.nan, math.nan), "across"), ((-math.inf, math.inf), "across"),
])
def test_the_ends_of_the_band_belong_to_it_and_what_spans_one_is_nowhere(interval: tuple[float, float],
                                                                         place: str) -> None:
    assert placed(interval, (0.9, 1.1)) == place


def test_a_proven_difference_within_the_margin_is_the_same_and_without_a_margin_slower() -> None:
    logs = [0.010, 0.011, 0.009, 0.010, 0.0105, 0.0095] * 3
    assert decide(logs, margin=0.02).claim == "same"
    assert decide(logs, margin=0.0).claim == "slower"


def test_the_floor_keeps_launches_that_agree_by_luck_from_proving_anything() -> None:
    logs = [0.0300, 0.0301, 0.0300, 0.0299, 0.0300]
    assert decide(logs, margin=0.02).claim == "slower"
    assert decide(logs, margin=0.02, floor=0.01).claim == "undecided"
    assert spread(logs, floor=0.01)[1] == pytest.approx(critical(5) * 0.01 / math.sqrt(5))


def test_launches_to_decide_is_the_least_number_that_clears() -> None:
    needed = launches_to_decide(0.0, 0.006, 0.02, now=4)
    assert needed == 6  # 6.953 * 0.006 / sqrt(6) = 0.0170 < log(1.02) = 0.0198; of 5: 8.40 * 0.006 / sqrt(5) = 0.0225
    trimmed = launches_to_decide(0.0, 0.02, 0.02, now=5)
    assert trimmed is not None
    kept = trimmed - 2 * (trimmed // 10)
    assert critical(kept) * 0.02 / math.sqrt(trimmed) < math.log(1.02)
    assert launches_to_decide(0.0, 0.0001, 0.02, now=30) == 31
    assert launches_to_decide(math.log(1.02), 0.01, 0.02, now=5) is None


def test_what_can_be_detected_is_the_margin_and_half_the_interval() -> None:
    by_hand = math.exp(math.log(1.02) + 6.953 * 0.01 / math.sqrt(6)) - 1
    assert detectable(0.01, 0.02, 6) == pytest.approx(by_hand, abs=1e-5)
    assert math.isinf(detectable(0.01, 0.02, 3))
    assert detectable(0.01, 0.02, 40) < detectable(0.01, 0.02, 10)


def test_from_ten_launches_on_the_outermost_are_left_out_and_the_error_is_the_trimmed_mean_s() -> None:
    """Of 0, 1, ..., 8, 1000 the inner mean is 36 / 8; Winsorized 1, 1, 2, ..., 7, 8, 8: variance 66.5 / 9."""
    logs = [1000.0, *range(9)]
    assert spread(logs)[0] == 4.5
    assert standard_error(logs) == pytest.approx(math.sqrt(66.5 / 9) * math.sqrt(9 / (8 * 7)))
    assert spread(logs)[1] == pytest.approx(critical(8) * standard_error(logs))
    assert spread(logs[:9])[0] == pytest.approx((1000 + 28) / 9)


def test_one_disturbed_launch_in_twelve_does_not_hide_a_slow_down() -> None:
    logs = [0.05 + 0.003 * each for each in np.random.default_rng(2).standard_normal(11)]
    assert decide([*logs, -0.1], margin=0.02).claim == "slower"
    assert decide([*logs[:8], -0.1], margin=0.02).claim == "undecided"  # of nine none is left out


def test_the_robust_deviation_is_that_of_normal_launches_and_minds_no_outlier() -> None:
    """Medians of -1, 0, 1, 2, 30: 1, of the distances 0, 1, 1, 2, 29: 1."""
    assert robust_deviation([-1, 0, 1, 2, 30]) == pytest.approx(1.4826)
    assert robust_deviation([]) == 0.0
    normal = np.random.default_rng(0).standard_normal(20_000)
    assert robust_deviation(list(normal)) == pytest.approx(1.0, abs=0.02)


def _ever_wrong(draws: np.ndarray, level: float) -> float:
    """Share of series whose interval misses 0 at any length; `spread`, for all series at once.

    Args:
        draws: (series, launches) around 0.
        level: of the interval.
    """
    wrong = np.zeros(len(draws), bool)
    for count in range(4, draws.shape[1] + 1):
        trimmed, ordered = count // 10, np.sort(draws[:, :count], axis=1)
        kept = count - 2 * trimmed
        means = ordered[:, trimmed:count - trimmed].mean(axis=1)
        ordered[:, :trimmed] = ordered[:, trimmed:trimmed + 1]
        ordered[:, count - trimmed:] = ordered[:, count - trimmed - 1:count - trimmed]
        errors = ordered.std(axis=1, ddof=1) * math.sqrt((count - 1) / (kept * (kept - 1)))
        wrong |= np.abs(means) > critical(kept, level) * errors
    return float(wrong.mean())


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "two states"])
def test_looking_after_each_of_60_launches_misses_the_truth_no_more_often_than_stated(kind: str) -> None:
    generator = np.random.default_rng(5)
    shape = (2000, 60)
    draws = {"normal": generator.standard_normal(shape), "heavy tails": generator.standard_t(2.5, shape),
             "two states": np.where(generator.random(shape) < 0.1, 8.0, 1.0) * generator.standard_normal(shape)}[kind]
    assert _ever_wrong(draws, 0.95) <= 0.05
    assert _ever_wrong(draws, 0.99) <= 0.01


def test_looking_at_a_fixed_interval_as_often_would_be_wrong_many_times_over() -> None:
    """Why the rule is needed: a 95 % t interval, looked at after each of 200 launches."""
    from scipy.special import stdtrit

    draws = np.random.default_rng(5).standard_normal((2000, 200))
    counts = np.arange(1, 201)
    means = np.cumsum(draws, axis=1) / counts
    deviations = np.sqrt((np.cumsum(draws**2, axis=1) - counts * means**2) / np.maximum(counts - 1, 1))
    missed = np.abs(means) > stdtrit(np.maximum(counts - 1, 1), 0.975) * deviations / np.sqrt(counts)
    assert missed[:, 3:].any(axis=1).mean() > 0.25
