"""Areas under the ROC curve: by hand, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from stages.tasks import roc


def _made(seed: int = 0, samples: int = 200, decimals: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    anomalous = np.arange(samples) % 4 == 0
    return np.round(rng.normal(size=samples) + anomalous, decimals), anomalous


def test_the_area_counts_pairs_and_a_tie_half() -> None:
    scores, anomalous = np.array([3.0, 1.0, 2.0, 1.0]), np.array([True, True, False, False])
    assert roc.auc(scores, anomalous) == (1 + 1 + 0 + 0.5) / 4


@pytest.mark.parametrize("decimals", [9, 1, 0])  # none, some and many ties
@pytest.mark.parametrize("max_fpr", [0.1, 0.33, 1.0])
def test_areas_equal_scikit_learns(decimals: int, max_fpr: float) -> None:
    from sklearn.metrics import roc_auc_score

    scores, anomalous = _made(decimals=decimals)
    assert roc.auc(scores, anomalous) == pytest.approx(roc_auc_score(anomalous, scores))
    assert roc.partial_auc(scores, anomalous, max_fpr) == pytest.approx(
        roc_auc_score(anomalous, scores, max_fpr=max_fpr))


def test_the_partial_area_is_one_where_the_kinds_are_apart_and_one_half_by_chance() -> None:
    anomalous = np.array([True] * 5 + [False] * 20)
    assert roc.partial_auc(anomalous.astype(float), anomalous, 0.1) == 1.0
    assert roc.partial_auc(np.zeros(25), anomalous, 0.1) == pytest.approx(0.5)


def test_delongs_interval_equals_the_variance_of_placements_worked_out_by_hand() -> None:
    scores, anomalous = np.array([4.0, 2.0, 3.0, 1.0, 0.0]), np.array([True, True, False, False, False])
    # placements of the anomalous: 3/3, 2/3 (variance 1/18); of the normal: 1/2, 1, 1 (variance 1/12)
    interval, method = roc.auc_interval(scores, anomalous)
    half = 1.959963984540054 * (1 / 18 / 2 + 1 / 12 / 3) ** 0.5
    assert interval == (pytest.approx(5 / 6 - half), 1.0)
    assert method == "DeLong's interval"


def test_delongs_interval_covers_the_true_area_about_as_often_as_it_says() -> None:
    from scipy.stats import norm

    truth, covered = norm.cdf(1 / 2**0.5), 0
    for seed in range(300):
        interval, _ = roc.auc_interval(*_made(seed, samples=120))
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    assert 0.91 <= covered / 300 <= 0.985


def test_kinds_that_are_wholly_apart_on_few_samples_still_have_an_interval() -> None:
    anomalous = np.array([True] * 10 + [False] * 10)
    interval, method = roc.auc_interval(anomalous.astype(float), anomalous)
    assert method == "Newcombe's interval"
    assert interval is not None
    low = interval[0]
    # the lower end solves (1 - t)² = z² V(t)
    variance = low * (1 - low) / 100 * (1 + 9 * (1 - low) / (2 - low) + 9 * low / (1 + low))
    assert (1 - low) ** 2 == pytest.approx(1.959963984540054**2 * variance)
    assert interval[1] == 1.0
    assert roc.auc_interval(np.array([1.0, 0.0]), np.array([True, False]))[0] is None


def test_resampled_areas_have_the_spread_that_delong_says_and_are_paired() -> None:
    scores, anomalous = _made(3)
    one, same = roc.resampled_areas([scores, scores * 2 + 1], anomalous, 1.0, 2000, seed=0)
    interval, _ = roc.auc_interval(scores, anomalous)
    assert interval is not None
    assert np.quantile(one, [0.025, 0.975]) == pytest.approx(interval, abs=0.015)
    assert np.array_equal(one, same)


def test_very_many_samples_are_resampled_less_often() -> None:
    assert roc.affordable(1000, 2000) == 2000
    assert roc.affordable(100_000, 2000) == 400
    assert roc.affordable(10_000_000, 2000) == 200
