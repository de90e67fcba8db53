"""Latency figures against numbers worked out by hand and against the plain block bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from stages.timing import block_length, latency_figures, ratio_figure


def rounds_of(count: int, size: int, seed: int = 0, drift: float = 0.0) -> list[np.ndarray]:
    """Rounds of samples around 1 ms; `drift` is the spread of the rounds' own level.  # ns"""
    generator = np.random.default_rng(seed)
    levels = 1e6 * (1 + drift * generator.standard_normal(count))
    return [np.asarray(level + 1e4 * generator.standard_normal(size), np.int64) for level in levels]


def test_figures_equal_those_worked_out_by_hand() -> None:
    figures = latency_figures([np.array([1_000_000, 3_000_000]), np.array([2_000_000, 10_000_000])])
    assert figures.median.value == 2.5
    assert figures.minimum.value == 1.0
    assert figures.throughput.value == pytest.approx(1000 / 4)  # mean 4 ms
    assert figures.median.samples == 4
    assert (figures.deciles_ms[0], figures.deciles_ms[5], figures.deciles_ms[10]) == (1.0, 2.5, 10.0)
    assert {figures.median.unit, figures.throughput.unit} == {"ms", "1/s"}
    assert figures.median.provenance == "measured"


@pytest.mark.parametrize(("samples", "p90", "p99"), [(99, False, False), (100, True, False), (999, True, False),
                                                     (1000, True, True)])
def test_percentiles_need_ten_samples_beyond_them(samples: int, p90: bool, p99: bool) -> None:
    figures = latency_figures([np.arange(1, samples + 1) * 1000])
    assert (figures.p90 is not None, figures.p99 is not None) == (p90, p99)


def test_percentiles_are_those_of_all_samples() -> None:
    figures = latency_figures(np.split(np.arange(1, 1001) * 1000, 10))
    assert figures.p90 is not None
    assert figures.p99 is not None
    assert figures.p90.value == pytest.approx(0.9001)
    assert figures.p99.value == pytest.approx(0.99001)


def test_fewer_than_five_rounds_have_no_interval_and_say_so() -> None:
    figures = latency_figures(rounds_of(4, 50))
    assert figures.median.interval is None
    assert "too few for an interval" in figures.median.method
    assert latency_figures(rounds_of(5, 50)).median.interval is not None


def test_intervals_are_those_of_a_plain_block_bootstrap() -> None:
    rounds = rounds_of(20, 30, drift=0.05)
    figures = latency_figures(rounds, resamples=4000)
    generator = np.random.default_rng(9)
    plain = [np.median(np.concatenate([rounds[i] for i in generator.integers(0, 20, 20)])) / 1e6 for _ in range(4000)]
    low, high = np.quantile(plain, [0.025, 0.975])
    assert figures.median.interval == pytest.approx((low, high), abs=(high - low) * 0.1)


def test_rounds_that_differ_widen_the_interval_beyond_that_of_independent_samples() -> None:
    rounds = rounds_of(30, 100, drift=0.05)
    low, high = latency_figures(rounds).median.interval or (0, 0)
    pooled = np.concatenate(rounds)
    np.random.default_rng(0).shuffle(pooled)
    naive_low, naive_high = latency_figures(np.split(pooled, 30)).median.interval or (0, 0)
    assert high - low > 3 * (naive_high - naive_low)


def test_the_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(200):
        low, high = latency_figures(rounds_of(30, 20, seed, drift=0.05), resamples=300).median.interval or (0, 0)
        hits += low <= 1.0 <= high
    assert 178 <= hits <= 198  # 95 % of 200 is 190; three standard errors and the bootstrap's known shortfall


def test_rounds_of_unequal_length_weigh_by_their_samples() -> None:
    figures = latency_figures([np.full(90, 1_000_000), *[np.full(2, 5_000_000)] * 5])
    assert figures.median.value == 1.0
    assert figures.median.interval == (1.0, 5.0)  # a resample without the long round has 5 ms alone


def test_the_same_seed_gives_the_same_figures() -> None:
    rounds = rounds_of(10, 40, drift=0.1)
    assert latency_figures(rounds, seed=3) == latency_figures(rounds, seed=3)
    assert latency_figures(rounds, seed=3).median.interval != latency_figures(rounds, seed=4).median.interval


def moody(seed: int, count: int = 60, size: int = 20, follow: float = 0.8) -> list[np.ndarray]:
    """Rounds whose level follows the one before: a first-order autoregression around 1 ms.  # ns"""
    generator = np.random.default_rng(seed)
    level, rounds = generator.standard_normal(), []
    for _ in range(count):
        level = follow * level + (1 - follow**2) ** 0.5 * generator.standard_normal()
        rounds.append(1e6 * (1 + 0.02 * level) + 1e4 * generator.standard_normal(size))
    return rounds


def test_rounds_that_follow_their_neighbours_are_drawn_in_blocks() -> None:
    levels = np.repeat([1.0, 2.0, 1.0, 2.0, 1.5], 8)
    centred = np.log(levels) - np.log(levels).mean()
    r = (centred[1:] * centred[:-1]).sum() / (centred**2).sum()
    assert block_length(1e6 * levels) == round(min(40 ** (1 / 3) * (2 * r / (1 - r * r)) ** (2 / 3), 8))
    assert block_length([5.0] * 40) == 1
    assert block_length([1.0, 2.0] * 20) == 1  # neighbours that differ are no reason
    assert block_length([1.0, 1.0, 2.0, 2.0]) == 1  # too few to tell
    assert "over blocks of " in latency_figures(moody(1)).median.method


def test_blocks_restore_the_coverage_that_single_rounds_lose() -> None:
    """The median of moody rounds, 95 % intervals: singly drawn rounds take themselves for independent."""
    hits = {"rounds": 0, "single rounds": 0}
    for seed in range(80):
        for of in hits:
            low, high = latency_figures(moody(seed), resamples=150, of=of).median.interval or (0, 0)
            hits[of] += low <= 1.0 <= high
    assert hits["single rounds"] < 0.65 * 80
    assert hits["rounds"] > hits["single rounds"] + 12


def test_launches_are_drawn_singly_and_named() -> None:
    method = latency_figures([each.astype(np.int64) for each in moody(1)], of="launches").median.method
    assert method == "median of 60 launches; block bootstrap of 1,000 resamples over launches"


def test_the_ratio_of_medians_is_the_median_over_all_rounds() -> None:
    figure = ratio_figure([np.array([1.0, 1.2, 1.1]), np.array([1.3, 1.4])])
    assert figure.value == pytest.approx(1.2)
    assert (figure.unit, figure.interval, figure.samples) == ("ratio", None, 5)
    assert "2 launches are too few" in figure.method


def test_the_interval_of_a_ratio_is_that_of_launches_drawn_as_a_whole() -> None:
    generator = np.random.default_rng(8)
    launches = [level + 0.001 * generator.standard_normal(12) for level in 1.05 + 0.01 * generator.standard_normal(10)]
    low, high = ratio_figure(launches).interval or (0, 0)
    plain = [np.median(np.concatenate([launches[i] for i in generator.integers(0, 10, 10)])) for _ in range(4000)]
    assert (low, high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.1 * (high - low))
    singly_low, singly_high = ratio_figure([each[None] for each in np.concatenate(launches)]).interval or (0, 0)
    assert high - low > 2 * (singly_high - singly_low)
