"""Intervals and resampling."""

from __future__ import annotations

import numpy as np
import pytest

from stages import statistics


def test_wilson_stays_open_when_every_sample_is_right() -> None:
    assert statistics.wilson(20, 20) == (pytest.approx(0.8389, abs=5e-5), 1.0)  # n / (n + z²)


def test_a_mean_has_a_normal_interval_within_its_bounds() -> None:
    figure = statistics.mean_figure(np.array([0.0, 0.0, 0.0, 4.0]), "ms", "measured", least=0)
    half = 1.959963984540054 * 2.0 / 2.0  # standard deviation 2 with n - 1, over the square root of 4
    assert figure.value == 1.0
    assert figure.interval == (0.0, pytest.approx(1 + half))
    assert statistics.mean_figure(np.array([3.0]), "ms", "measured").interval is None


def test_percentiles_leave_out_what_is_not_finite() -> None:
    assert statistics.percentiles(np.array([np.nan, 5.0, np.inf, 5.0])) == (5.0, 5.0)
    assert statistics.percentiles(np.array([np.nan])) is None


def test_each_resample_draws_as_many_as_there_are_whatever_the_size_of_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate([*statistics.resampled_counts(7, 100, seed=1)])
    assert whole.shape == (100, 7)
    assert (whole.sum(axis=1) == 7).all()
    assert whole.mean(axis=0) == pytest.approx(np.ones(7), abs=0.3)
    monkeypatch.setattr(statistics, "_CELLS_AT_ONCE", 70)
    assert np.array_equal(whole, np.concatenate([*statistics.resampled_counts(7, 100, seed=1)]))


def test_resampled_sums_spread_as_the_theory_of_a_sum_says() -> None:
    values = np.random.default_rng(2).normal(3, 2, (500, 1))
    sums = statistics.resampled_sums(values, 4000, seed=0)[:, 0]
    assert sums.mean() == pytest.approx(values.sum(), rel=0.01)
    assert sums.std() == pytest.approx(values.std() * 500**0.5, rel=0.05)


def test_blocks_of_samples_keep_the_sum_and_its_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).normal((0, 5), 1, (6001, 2))
    plain = statistics.resampled_sums(values, 2000, seed=0)
    monkeypatch.setattr(statistics, "MOST_BLOCKS", 1000)
    blocks = statistics.resampled_sums(values, 2000, seed=0)
    assert statistics._blocks(values, 0).shape == (858, 2)  # of 7 samples, the last of 2
    assert statistics._blocks(values, 0).sum(axis=0) == pytest.approx(values.sum(axis=0))
    assert blocks.std(axis=0) == pytest.approx(plain.std(axis=0), rel=0.15)
    assert blocks.mean(axis=0) == pytest.approx(values.sum(axis=0), abs=10)


@pytest.mark.parametrize(("successes", "samples", "interval"), [
    (13, 16, (0.5435, 0.9595)), (10, 10, (0.6915, 1.0)), (0, 10, (0.0, 0.3085))])
def test_clopper_pearson_gives_the_published_ends(successes: int, samples: int, interval: tuple[float, float]) -> None:
    """Fagerland, Lydersen and Laake 2017, chapter 2 (Ligarden et al. 2010), as `contingencytables` prints them."""
    assert statistics.clopper_pearson(successes, samples, 0.95) == pytest.approx(interval, abs=5e-5)


def test_no_success_has_the_upper_bound_of_the_rule_of_three() -> None:
    assert statistics.clopper_pearson(0, 100) == (0.0, pytest.approx(1 - 0.05 ** (1 / 100)))  # 0.0295, about 3 / 100


def test_an_exact_bound_is_missed_at_most_as_often_as_it_says() -> None:
    from scipy.special import binom

    truth, samples = 0.07, 60
    chances = [float(binom(samples, x)) * truth**x * (1 - truth) ** (samples - x) for x in range(samples + 1)]
    ends = [statistics.clopper_pearson(x, samples) for x in range(samples + 1)]
    assert sum(chance for chance, (_, high) in zip(chances, ends, strict=True) if high < truth) <= 0.05
    assert sum(chance for chance, (low, _) in zip(chances, ends, strict=True) if low > truth) <= 0.05


def test_a_bounded_share_is_a_figure_with_one_sided_ends() -> None:
    figure = statistics.bounded_share(3, 100, "measured", "share changed")
    assert (figure.value, figure.unit, figure.level) == (0.03, "fraction", statistics.ENDS_LEVEL)
    assert figure.interval == statistics.clopper_pearson(3, 100)
    assert pytest.approx(1.6448536) == statistics.normal_quantile(0.95)
