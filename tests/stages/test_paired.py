"""Paired shares: against published worked examples, by hand, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from stages import paired
from stages.records import PairedCounts

CAVO = (6, 16, 161)
"""Complete response before and after consolidation therapy (Cavo et al. 2012): b, c, n. With their test and intervals
in Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables (2017), chapter 8; the figures here are
those that its R package `contingencytables` prints."""


def test_mcnemars_p_value_is_the_one_worked_out_by_hand() -> None:
    assert paired.mcnemar(1, 5) == pytest.approx(2 * (1 + 6) / 2**6)  # C(6,0) + C(6,1), of 64
    assert paired.mcnemar(5, 1) == paired.mcnemar(1, 5)
    assert paired.mcnemar(0, 8) == pytest.approx(2 / 2**8)
    assert paired.mcnemar(0, 0) == 1.0
    assert paired.mcnemar(3, 4) == pytest.approx(1.0)  # 2 * (1 + 7 + 21 + 35) / 128


def test_mcnemars_p_value_is_the_published_one() -> None:
    assert paired.mcnemar(6, 16) == pytest.approx(0.052479, abs=5e-7)


def test_the_score_interval_is_the_published_one() -> None:
    low, high = paired.score_interval(*CAVO, level=0.95)
    assert (low, high) == (pytest.approx(-0.1240, abs=5e-5), pytest.approx(-0.0054, abs=5e-5))


def test_without_a_changed_answer_the_ends_are_those_of_the_formula() -> None:
    z2 = 1.6448536269514722**2
    low, high = paired.score_interval(0, 0, 100)
    assert (low, high) == (pytest.approx(-z2 / (100 + z2)), pytest.approx(z2 / (100 + z2)))


def test_each_end_solves_the_score_equation() -> None:
    low, high = paired.score_interval(*CAVO)
    for d, sign in ((low, 1), (high, -1)):
        b, c, n = CAVO
        big_b = (2 * n - b + c) * d - b - c
        q = (np.sqrt(big_b**2 + 8 * n * c * d * (1 - d)) - big_b) / (4 * n)
        assert (b - c - n * d) / np.sqrt(n * (2 * q + d * (1 - d))) == pytest.approx(sign * 1.6448536, abs=1e-6)


def test_swapping_the_models_mirrors_the_interval_and_all_lost_reaches_one() -> None:
    one, other = paired.score_interval(9, 2, 50), paired.score_interval(2, 9, 50)
    assert one[0] == pytest.approx(-other[1])
    low, high = paired.score_interval(10, 0, 10)
    assert high == pytest.approx(1.0)
    assert 0.5 < low < 1.0


@pytest.mark.parametrize(("lost", "gained"), [(0.05, 0.02), (0.02, 0.02), (0.10, 0.01)])
def test_each_end_holds_the_true_drop_about_as_often_as_it_says(lost: float, gained: float) -> None:
    draws = np.random.default_rng(0).multinomial(200, [lost, gained, 1 - lost - gained], 4000)
    tables, times = np.unique(draws[:, :2], axis=0, return_counts=True)
    ends = np.array([paired.score_interval(int(b), int(c), 200) for b, c in tables])
    truth = lost - gained
    assert ((ends[:, 0] <= truth) * times).sum() / 4000 == pytest.approx(0.95, abs=0.02)
    assert ((ends[:, 1] >= truth) * times).sum() / 4000 == pytest.approx(0.95, abs=0.02)


def test_the_figure_says_points_counts_and_method() -> None:
    before = np.array([True] * 8 + [False] * 2)
    after = np.array([True] * 5 + [False] * 4 + [True])
    table = paired.counts(before, after)
    assert table == PairedCounts(lost=3, gained=1, samples=10)
    figure = paired.drop_figure(table)
    assert (figure.value, figure.unit, figure.samples, figure.level) == (20.0, "points", 10, 0.9)
    low, high = paired.score_interval(3, 1, 10)
    assert figure.interval == (100 * low, 100 * high)
    assert "3 lost and 1 gained" in figure.method


def test_the_samples_that_would_decide_are_the_least_that_clear_the_bound() -> None:
    z2 = 1.6448536269514722**2
    # With b = c = 0 the upper end z2 / (n + z2) is at most 1 point from n = 99 z2 = 267.85 on.
    found = paired.samples_to_clear(36, lambda f: paired.drop_interval(_scaled(0, 0, 36, f)), 1.0, below=True)
    assert 99 * z2 < (found or 0) <= 99 * z2 + 1
    assert found == 268


def test_a_difference_at_the_bound_is_decided_by_no_number_of_samples() -> None:
    def ends(factor: float) -> tuple[float, float]:
        low, high = paired.score_interval(4 * factor, 0, 200 * factor)
        return 100 * low, 100 * high

    assert paired.samples_to_clear(200, ends, 2.0, below=True) is None
    more = paired.samples_to_clear(200, ends, 1.0, below=False)
    assert more is not None
    assert ends(more / 200)[0] > 1.0 >= ends((more - 1) / 200)[0]


def _scaled(lost: int, gained: int, samples: int, factor: float) -> PairedCounts:
    return PairedCounts(lost=round(lost * factor), gained=round(gained * factor), samples=round(samples * factor))
