"""Rules on activations, each on an operator whose numbers are given."""

from __future__ import annotations

import numpy as np
import pytest

from stages.explaining import range_rules
from stages.explaining.tally import Tally
from stages.records import CalibrationReport
from tests.stages.explaining.evidence import evidence, tally


def test_clipping_that_makes_half_of_the_noise_is_named_with_the_range() -> None:
    # all values need 38.2 of 25.5, so that a range of all of them makes 2.244 times the rounding, 1 / 120 of the noise
    (one,) = range_rules.saturated_ranges(evidence(tally(clip_error=2.0, beyond=4, highs=np.full(4, 25.4))))
    assert (one.kind, round(one.share, 4)) == ("saturated_range", 0.4896)  # 0.5 - 1.244 / 120
    assert "10 % of the values lie beyond -12.8 to 12.7" in one.found


def test_a_range_that_was_cut_because_that_rounds_better_is_no_fault() -> None:
    # 30 % cut off and 70 % rounding; a range for all values is 1.5 times as wide and rounds 2.25 times as coarsely
    given = {"local_error": 1 / 21, "clip_error": 0.3 / 21, "beyond": 1, "highs": np.full(4, 25.45),
             "lows": np.full(4, -12.8), "energy": np.ones(4), "distance": np.full(4, 1 / 84)}
    assert round(tally(**given).rounded, 6) == 0.7
    assert list(range_rules.saturated_ranges(evidence(tally(**given)))) == []


def test_values_beyond_a_range_that_holds_the_float_model_s_came_with_earlier_noise() -> None:
    assert list(range_rules.saturated_ranges(evidence(tally(clip_error=2.0, beyond=4)))) == []


def test_what_a_calibration_set_cut_off_is_summed_over_all_operators_that_it_ranges() -> None:
    few = CalibrationReport(strategy="random", samples=20, available=900, class_counts=(10, 10), inputs={})
    cut = {"clip_error": 2.0, "beyond": 4, "highs": np.full(4, 25.4)}
    quiet = tally(index=1, distance=np.full(4, 0.02), local_error=0.08, **cut | {"clip_error": 0.04})  # 37 dB
    (one,) = range_rules.saturated_ranges(evidence(tally(**cut), quiet, calibration=few))
    # of the loud one 0.5 - 1.244 / 120, of the quiet one 0.5 + 0.41667 (1 - 2.244): less than nothing, left out
    assert (one.kind, round(one.share, 4)) == ("calibration_small", round(0.48963 / 1.02, 4))
    assert "in 1 operators values lie beyond the range" in one.found


def test_a_little_clipping_is_not_named() -> None:
    assert list(range_rules.saturated_ranges(evidence(tally(clip_error=0.5, beyond=1)))) == []


def test_a_quarter_of_the_range_in_use_is_two_bits_lost() -> None:
    # rounding makes 40 * 0.1^2 / 12 = 0.0333: all of this noise
    given = {"lows": np.full(4, -3.2), "highs": np.full(4, 3.175), "local_error": 0.04, "energy": np.full(4, 1.0),
             "distance": np.full(4, 0.01)}
    (one,) = range_rules.unused_ranges(evidence(tally(**given)))
    assert "the values use 25 % of it: 2.0 bits are lost" in one.found
    assert list(range_rules.unused_ranges(evidence(tally("SOFTMAX", **given)))) == []


def test_ranges_that_are_all_too_wide_are_one_cause_with_what_all_of_them_cost() -> None:
    given = {"lows": np.full(4, -3.2), "highs": np.full(4, 3.175), "local_error": 0.04, "energy": np.full(4, 1.0),
             "distance": np.full(4, 0.01)}  # 5 / 6 of the noise is rounding, and 15 / 16 of that the width
    view = tally("RESHAPE", index=1, inputs=(1,), **given)
    report = CalibrationReport(strategy="random", samples=80, available=900, inputs={}, outlier_count=2)
    (one,) = range_rules.unused_ranges(evidence(tally(**given), view, calibration=report))
    assert (one.layer, round(one.share, 4)) == ("0:CONV_2D t", 0.7813)
    assert "2 operators are like that; 2 of the 80 calibration samples reach far out" in one.found
    assert one.changes[0].settings == {"quantize": {"calibration": "outliers-dropped"}}
    assert list(range_rules.unused_ranges(evidence(view))) == []  # it must keep its input's range


def test_one_channel_that_sets_the_range_is_named_with_the_steps_that_are_left() -> None:
    given = {"lows": np.zeros(4), "highs": np.array([1.0, 1.0, 12.0, 1.0]), "local_error": 0.04,
             "energy": np.full(4, 1.0), "distance": np.full(4, 0.01)}
    (one,) = range_rules.outlier_activations(evidence(tally(**given)))
    assert one.short == "1 of 4 channels set the range"
    assert "channel 2 reaches 12, the median channel 1, which has 10 steps left" in one.found
    assert one.share == pytest.approx((1 - (1 / 25.5)**2) * 0.8333, rel=1e-4)  # without it the range is 0 to 1
    assert list(range_rules.outlier_activations(evidence(tally(**given | {"highs": np.full(4, 12.0)})))) == []


def test_a_mean_that_uses_far_less_than_its_input_is_named() -> None:
    before = tally(index=0)
    rounding = {"local_error": 0.04, "energy": np.full(4, 1.0), "distance": np.full(4, 0.01)}
    pool = tally("AVERAGE_POOL_2D", index=1, inputs=(1,), lows=np.zeros(4), highs=np.full(4, 2.55), **rounding)
    (one,) = range_rules.pooled_ranges(evidence(before, pool))
    assert one.layer == "1:AVERAGE_POOL_2D t"
    assert "means use 10 % of the range" in one.found
    # the input needs 24 of its 25.5; of the rounding, 5 / 6 of this noise, 0.941^2 - 0.1^2 is the mean's
    assert one.share == pytest.approx(0.5 * 0.83333 * ((24 / 25.5)**2 - 0.01), rel=1e-4)
    unused = tally(index=0, lows=np.zeros(4), highs=np.full(4, 4.0))
    assert list(range_rules.pooled_ranges(evidence(unused, pool))) == []  # the input's range is the fault


def test_a_branch_of_four_steps_beside_a_large_one_is_named() -> None:
    small = tally(index=0, lows=np.zeros(4), highs=np.full(4, 0.4))
    large = tally(index=1)
    total = tally("ADD", index=2, inputs=(1, 2))
    (one,) = range_rules.unequal_branches(evidence(small, large, total))
    assert "0:CONV_2D t reaches 0.4" in one.found
    assert "the smaller one has 4.0" in one.found
    assert list(range_rules.unequal_branches(evidence(large, tally(index=0), total))) == []


def test_two_equal_best_outputs_on_one_sample_of_ten_are_named() -> None:
    one = tally(ties=1)
    (found,) = range_rules.tied_outputs(evidence(one, outputs=(1,)))
    assert found.share == 0.1
    assert list(range_rules.tied_outputs(evidence(one, outputs=()))) == []


def given_input(low: float, high: float) -> Tally:
    """An input calibrated for -12.8 to 12.7."""
    one = tally(index=0, lows=np.full(1, low), highs=np.full(1, high))
    one.operator, one.pair, one.label = "INPUT", None, "input image"
    return one


def test_an_input_fed_in_another_scale_than_it_was_calibrated_in_is_named_with_the_factor() -> None:
    (large,) = range_rules.scaled_samples(evidence(given_input(0.0, 2048.0)))
    assert (large.kind, large.layer, large.share) == ("calibration_scaled", "input image", 1.0)
    assert large.short == "the samples reach 160 times what its range was calibrated for"  # 2048 of 12.8
    (small,) = range_rules.scaled_samples(evidence(given_input(-0.05, 0.02)))
    assert "a 256th of" in small.short  # 0.05 of 12.8
    assert list(range_rules.scaled_samples(evidence(given_input(-12.8, 50.0)))) == []
    outlier = CalibrationReport(strategy="random", samples=9, available=9, class_counts=(), inputs={}, outlier_count=1)
    assert list(range_rules.scaled_samples(evidence(given_input(-0.05, 0.02), calibration=outlier))) == []
    assert list(range_rules.scaled_samples(evidence(tally(highs=np.full(4, 2048.0))))) == []


def test_a_calibration_set_that_lacks_classes_is_said_even_where_it_clips_little() -> None:
    lacking = CalibrationReport(strategy="random", samples=80, available=900, class_counts=(80, 0), inputs={})
    little = tally(clip_error=0.4, beyond=1)  # a tenth of the noise of the only operator
    (one,) = range_rules.saturated_ranges(evidence(little, calibration=lacking))
    assert (one.kind, round(one.share, 3)) == ("calibration_one_sided", 0.1)
    assert "class 1 has none; what lies beyond its ranges makes 10.0 % of the noise" in one.found
    few = lacking.model_copy(update={"class_counts": (40, 40), "samples": 20})
    assert list(range_rules.saturated_ranges(evidence(little, calibration=few))) == []


def test_a_channel_that_reaches_far_out_and_is_cut_off_is_the_fault_and_not_the_range() -> None:
    given = {"lows": np.zeros(4), "highs": np.array([1.0, 1.0, 60.0, 1.0]), "clip_error": 3.0, "beyond": 1}
    one = tally(**given)  # 40 * 0.1^2 / 12 = 0.033 of 4 is rounding
    (found,) = range_rules.outlier_activations(evidence(one))
    assert found.kind == "outlier_activations"
    assert round(found.share, 3) == 0.758  # 3 of 4 cut off, and of 0.033 nearly all
    assert list(range_rules.saturated_ranges(evidence(one))) == []
