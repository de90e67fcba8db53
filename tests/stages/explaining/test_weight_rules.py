"""Rules on weights and biases, each on an operator whose numbers are given."""

from __future__ import annotations

import numpy as np
import pytest

from stages.explaining import weight_rules
from tests.stages.explaining.evidence import evidence, facts, tally


def test_one_scale_for_channels_that_differ_is_named_with_the_largest_and_the_noise_that_it_costs() -> None:
    weights = facts(per_channel=False, peaks=np.array([1.0, 1.0, 20.0, *[1.0] * 5]))
    (one,) = weight_rules.shared_scales(evidence(tally(), weights={0: weights}))
    assert "the largest reaches 20 and the median one 1; a scale for each takes off 9 dB" in one.found  # 8 * 400 / 407
    assert "a scale of its own" in one.changes[0].text
    assert list(weight_rules.shared_scales(evidence(tally(), weights={0: facts(peaks=weights.peaks)}))) == []
    assert one.share == pytest.approx((1 - 40 * 0.01 / 12 / 4) * (1 - 407 / 3200))  # not rounding of the output
    alike = facts(per_channel=False, peaks=np.array([1.0, 1.0, 1.2, 1.0]))  # 4 * 1.44 / 4.44 = 1.297
    assert list(weight_rules.shared_scales(evidence(tally(), weights={0: alike}))) == []
    (both,) = weight_rules.shared_scales(evidence(tally(), tally(index=1), weights={0: weights, 1: alike}))
    assert both.share == pytest.approx(one.share / 2 + (1 - 40 * 0.01 / 12 / 4) / 2 * (1 - 4.44 / 5.76))


def test_with_one_scale_channels_count_by_the_noise_that_they_make() -> None:
    weights = facts(per_channel=False, peaks=np.array([1.0, 1.0, 2.0, 2.0]))  # the first two would keep a quarter
    one = tally(distance=np.array([6.0, 1.0, 1.0, 0.0]), local_error=8.0)
    (found,) = weight_rules.shared_scales(evidence(one, weights={0: weights}))
    assert found.share == pytest.approx(one.rest * (1 - (1.5 + 0.25 + 1) / 8))


def test_single_large_weights_within_a_channel_are_named() -> None:
    weights = facts(crests=np.array([3.0, 12.0, 3.0, 3.0]))
    (one,) = weight_rules.outlier_weights(evidence(tally(), weights={0: weights}))
    assert "in channel 1 the largest weight is up to 12 times the usual ones" in one.found
    assert [change.settings["quantize"]["algorithm"] for change in one.changes[:2]] == ["gptq", "mse"]


def test_single_large_weights_answer_for_the_noise_of_their_own_channels() -> None:
    one = tally(distance=np.array([0.5, 2.0, 0.5, 1.0]))
    (found,) = weight_rules.outlier_weights(evidence(one, weights={0: facts(crests=np.array([3.0, 12.0, 3.0, 3.0]))}))
    assert found.share == pytest.approx(0.5 * one.rest)


def test_large_weights_of_one_input_channel_are_named_by_it_and_can_be_balanced_with_the_layer_before() -> None:
    weights = facts(crests=np.full(4, 60.0), outlying_inputs=(3,))
    (one,) = weight_rules.outlier_weights(evidence(tally(), weights={0: weights}))
    assert "the weights that read input channel 3 are up to 60 times the usual ones" in one.found
    assert "scale input channel 3 up in the layer before" in one.changes[-1].text


def test_an_algorithm_that_is_in_use_is_not_offered_and_none_beside_the_best() -> None:
    weights = facts(crests=np.full(4, 12.0))

    def offered(algorithm: str) -> list[str]:
        (one,) = weight_rules.outlier_weights(evidence(tally(), weights={0: weights}, algorithm=algorithm))
        return [str(change.settings["quantize"]["algorithm"]) for change in one.changes
                if not change.format and "algorithm" in change.settings.get("quantize", {})]

    assert (offered("minmax"), offered("mse"), offered("gptq")) == (["gptq", "mse"], ["gptq"], [])


def test_large_weights_are_not_blamed_for_noise_that_rounding_the_output_makes() -> None:
    rounded = tally(local_error=40 * 0.01 / 12, energy=np.full(4, 1.0), distance=np.full(4, 0.01))
    weights = facts(crests=np.full(4, 12.0))
    assert list(weight_rules.outlier_weights(evidence(rounded, weights={0: weights}))) == []


def test_four_bits_are_named_and_eight_are_offered_for_the_layer() -> None:
    (one,) = weight_rules.coarse_weights(evidence(tally(), weights={0: facts(bits=4)}, number_format="int4"))
    assert one.changes[0].settings == {"quantize": {"int4_keep": ["0:CONV_2D"]}}
    assert list(weight_rules.coarse_weights(evidence(tally(), weights={0: facts()}))) == []


def test_four_bits_of_a_mixed_variant_are_mended_by_fixing_the_layer_s_format() -> None:
    (one,) = weight_rules.coarse_weights(evidence(tally(), weights={0: facts(bits=4)}, number_format="mixed"))
    (change,) = one.changes  # int4_keep means nothing there, and the layers' formats are chosen already
    assert (change.settings, change.format) == ({"quantize": {"mixed": {"fixed": {"0:CONV_2D": "int8"},
                                                                       "budget": None}}}, "")


def test_an_output_that_is_shifted_as_a_whole_wants_its_bias_corrected() -> None:
    shifted = tally(shift=np.full(4, 3.0))  # 4 * 9 / 10 values a channel = 3.6 of 4.0
    (one,) = weight_rules.shifted_outputs(evidence(shifted, weights={0: facts()}))
    assert "90 % of its noise is one shift for each channel" in one.found
    assert one.changes[0].settings == {"quantize": {"bias_correction": True}}
    (used,) = weight_rules.shifted_outputs(evidence(shifted, weights={0: facts()}, bias_correction=True))
    assert [change.format for change in used.changes] == ["mixed", "int16x8", "int8qat"]
    assert list(weight_rules.shifted_outputs(evidence(tally(), weights={0: facts()}))) == []


def test_shifts_of_all_kernels_are_one_cause_since_one_setting_takes_them_up() -> None:
    loud, little = tally(shift=np.full(4, 3.0)), tally(index=1, shift=np.full(4, 1.0))  # 0.9 and 0.1 of half the noise
    odd = tally(index=2, shift=np.full(4, 3.0))
    weights = {0: facts(), 1: facts(), 2: facts(crests=np.full(4, 50.0))}
    (one,) = weight_rules.shifted_outputs(evidence(loud, little, odd, weights=weights))
    assert (one.layer, one.share) == ("0:CONV_2D t", pytest.approx(1 / 3))  # single large weights are another fault
    assert "shifts in 2 kernels make 33 % together" in one.found
    assert list(weight_rules.shifted_outputs(evidence(little, loud, weights={1: facts()}))) == []


def test_shifts_that_eight_good_bits_have_too_are_nothing_to_mend() -> None:
    fine = tally(distance=np.full(4, 0.005), local_error=0.02, shift=np.full(4, 0.2))  # 43 dB, 0.8 of it a shift
    assert list(weight_rules.shifted_outputs(evidence(fine, weights={0: facts()}))) == []
    coarse = tally(distance=np.full(4, 0.02), local_error=0.08, shift=np.full(4, 0.4))  # 37 dB
    assert len(list(weight_rules.shifted_outputs(evidence(coarse, weights={0: facts()})))) == 1


def test_a_bias_that_does_not_fit_its_integers_is_named() -> None:
    weights = facts(bias_error=np.array([0.0, 0.6, 0.0, 0.0]), bias_clipped=(1,))  # 0.36 * 10 of 4.0
    (one,) = weight_rules.coarse_biases(evidence(tally(), weights={0: weights}))
    assert "the bias of channel 1 does not fit 32 bits: 90 % of its noise" in one.found
    small = facts(bias_error=np.full(4, 0.01))
    assert list(weight_rules.coarse_biases(evidence(tally(), weights={0: small}))) == []


def test_a_bias_without_weights_is_told_from_one_that_is_too_large() -> None:
    weights = facts(bias_error=np.array([0.0, 0.6, 0.0, 0.0]), bias_clipped=(1,), peaks=np.array([1.0, 0.0, 1.0, 1.0]))
    (one,) = weight_rules.coarse_biases(evidence(tally(), weights={0: weights}))
    assert "the weights of channel 1 are all zero" in one.found
