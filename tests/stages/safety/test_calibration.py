"""Calibration error: by hand, and with ends that hold at least as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stages.records import Calibration
from stages.safety.calibration import BINS, bins, calibration, gaps

Z = 1.6448536269514722


def test_gaps_are_right_less_confidence_in_the_bin_of_the_confidence() -> None:
    confidence = np.array([[0.5], [0.5], [0.9], [0.9]])
    right = np.array([[1.0], [0.0], [1.0], [0.0]])
    places = bins(confidence)
    assert places.ravel().tolist() == [0, 0, 1, 1]  # equal confidences stay together: two bins, not fifteen
    assert gaps(confidence, right, places).sum(axis=0) == pytest.approx([0.5 - 0.5, 0.1 - 0.9])


def test_many_confidences_fill_bins_of_equal_mass() -> None:
    places = bins(np.random.default_rng(0).random((1500, 1)))
    assert np.bincount(places.ravel()).tolist() == [100] * BINS


def test_several_decisions_of_a_sample_share_its_weight() -> None:
    confidence = np.array([[0.2, 0.8]])
    found = gaps(confidence, np.array([[0.0, 1.0]]), bins(confidence))
    assert found == pytest.approx(np.array([[-0.1, 0.1]]))


def test_value_noise_and_interval_are_those_worked_out_by_hand() -> None:
    confidence, right = np.full((100, 1), 0.9), np.array([[1.0]] * 70 + [[0.0]] * 30)
    found = calibration((confidence, right), (confidence, right))
    deviation = math.sqrt(0.7 * 0.3 / 100)
    assert (found.bins, found.error.value) == (1, pytest.approx(20.0))  # 70 % right at a confidence of 90 %
    assert found.noise == pytest.approx(100 * math.sqrt(2 / math.pi) * deviation)
    assert found.error.interval == (pytest.approx(20 - found.noise - 100 * Z * deviation),
                                    pytest.approx(20 + 100 * Z * deviation))
    assert found.error == found.float_error
    assert found.rise.value == 0.0
    assert found.rise.interval is not None
    assert found.rise.interval[1] == 0.0  # no decision and no confidence differs: nothing can have risen
    assert (found.error.unit, found.error.samples) == ("points", 100)


def test_the_rise_is_bounded_by_the_paired_differences_in_the_float_models_bins() -> None:
    confidence, right = np.full((100, 1), 0.8), np.array([[1.0]] * 80 + [[0.0]] * 20)
    surer = confidence + np.array([[0.04], [0.06]] * 50)  # 0.05 on average, 0.01 to either side
    found = calibration((confidence, right), (surer, right))
    assert found.rise.value == pytest.approx(5.0)
    assert found.rise.interval is not None
    assert found.rise.interval[1] == pytest.approx(5 + 100 * Z * 0.01 / 10)


def _drawn(seed: int, float_excess: float, excess: float, samples: int = 800) -> Calibration:
    """A float model and a variant whose confidences are too high by so much on every sample."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.6, 0.9, (samples, 1))
    right = (rng.random((samples, 1)) < truth).astype(float)
    return calibration((truth + float_excess, right), (truth + excess + 0.01 * rng.normal(size=truth.shape), right))


@pytest.mark.parametrize(("float_excess", "excess"), [(0.0, 0.0), (0.0, 0.05), (0.05, 0.08), (0.05, 0.0)])
def test_every_end_holds_the_truth_at_least_about_as_often_as_it_says(float_excess: float, excess: float) -> None:
    found = [_drawn(seed, float_excess, excess) for seed in range(200)]
    errors, rises = (np.array([getattr(one, name).interval for one in found]) for name in ("error", "rise"))
    for ends, truth in ((errors, 100 * excess), (rises, 100 * (excess - float_excess))):
        assert (ends[:, 0] <= truth).mean() >= 0.92
        assert (ends[:, 1] >= truth).mean() >= 0.92


def test_noise_alone_gives_a_calibrated_model_an_error_that_its_interval_does_not_believe() -> None:
    found = [_drawn(seed, 0.0, 0.0) for seed in range(20)]
    assert np.mean([one.error.value for one in found]) > 3
    assert all(one.error.value < 1.5 * one.noise for one in found)
    assert sum((one.error.interval or (1, 1))[0] > 0 for one in found) <= 2
