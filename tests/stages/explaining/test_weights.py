"""Weights of a variant beside the float model's, in numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.tflite import read_tflite
from stages.explaining.pairs import Pairing, pair_up
from stages.explaining.weights import WeightFacts, real_values, weight_facts, with_weights
from tests.device_profiles.handmade import Handmade


def connected(weights: np.ndarray, bias: np.ndarray, scales: tuple[float, ...] = (),
              bias_scales: tuple[float, ...] = ()) -> bytes:
    """A fully connected operator."""
    made = Handmade()
    data, out = made.activation((1, weights.shape[1]), name="in"), made.activation((1, len(weights)), name="out")
    kernel = made.constant(weights, scales, [0] * len(scales))
    shift = made.constant(bias, bias_scales, [0] * len(bias_scales))
    made.operator("FULLY_CONNECTED", [data, kernel, shift], [out], "FullyConnectedOptions")
    return made.bytes([data], [out])


FLOATS = connected(np.array([[3.0, 4.0], [0.3, 0.4]], np.float32), np.array([1.0, 2.0], np.float32))
ONE_SCALE = connected(np.array([[6, 8], [1, 1]], np.int8), np.array([10, 21], np.int32), (0.5,), (0.1, 0.1))


def facts(variant: bytes, reference: bytes = FLOATS) -> WeightFacts:
    pairing = pairing_of(variant, reference)
    found = weight_facts(pairing, pairing.pairs[0])
    assert found
    return found


def pairing_of(variant: bytes, reference: bytes = FLOATS) -> Pairing:
    return pair_up(read_tflite(variant).graphs[0], read_tflite(reference).graphs[0])


def test_one_scale_for_all_leaves_the_small_channel_little() -> None:
    found = facts(ONE_SCALE)
    assert found.channel_snr_db[0] == np.inf
    assert found.channel_snr_db[1] == pytest.approx(10 * np.log10(0.25 / (0.2**2 + 0.1**2)))
    assert found.snr_db == pytest.approx(10 * np.log10(25.25 / 0.05), abs=1e-4)
    assert (found.per_channel, found.bits) == (False, 8)


def test_peaks_and_crests_are_by_output_channel() -> None:
    usual = np.tile([1.0, -1.0], (2, 10))  # 20 weights; the largest tenth is 2
    usual[0, 3], usual[1, 5] = 4.0, 0.0  # 19 that are not zero in the second row
    floats = connected(usual.astype(np.float32), np.zeros(2, np.float32))
    found = facts(floats, floats)
    assert found.peaks == pytest.approx([4, 1])
    assert found.crests == pytest.approx([4, 1])  # over 18 and 17 ones
    assert facts(ONE_SCALE).crests.tolist() == [0, 0]  # two weights have no usual ones


def test_an_input_channel_is_outlying_where_most_outputs_read_it_by_far_larger_weights() -> None:
    weights = np.ones((4, 20), np.float32)
    weights[:3, 7] = 30.0
    assert facts(*[connected(weights, np.zeros(4, np.float32))] * 2).outlying_inputs == (7,)
    weights[:2, 7] = 1.0  # one output of four is left
    found = facts(*[connected(weights, np.zeros(4, np.float32))] * 2)
    assert (found.outlying_inputs, found.crests.tolist()) == ((), [1, 1, 30, 1])


def test_a_bias_is_compared_in_real_values() -> None:
    assert facts(ONE_SCALE).bias_error == pytest.approx([0, 0.1], abs=1e-6)


def test_a_bias_at_the_end_of_its_integers_is_clipped() -> None:
    large = connected(np.array([[6, 8], [1, 1]], np.int8), np.array([2**31 - 1, 5], np.int32), (0.5,), (1e-9, 0.1))
    assert facts(large).bias_clipped == (0,)


def test_zeros_and_distinct_values_are_counted() -> None:
    found = facts(connected(np.array([[0, 8], [0, 1]], np.int8), np.array([0, 0], np.int32), (0.5,), (0.1,)))
    assert (found.zeros, found.values) == (0.5, 2)


def test_equal_weights_have_no_loss() -> None:
    assert facts(FLOATS).snr_db is None


def test_real_values_follow_the_scale_of_their_channel() -> None:
    made = connected(np.array([[1, 2], [3, 4]], np.int8), np.array([0, 0], np.int32), (0.5, 2.0))
    graph = read_tflite(made).graphs[0]
    weights = graph.tensors[graph.operators[0].inputs[1]]
    assert real_values(weights).tolist() == [[0.5, 1.0], [6.0, 8.0]]


def test_the_float_model_takes_the_variant_s_weights_and_biases() -> None:
    made = with_weights(FLOATS, pairing_of(ONE_SCALE))
    graph = read_tflite(made).graphs[0]
    operator = graph.operators[0]
    weights, bias = (real_values(graph.tensors[operator.inputs[slot]]) for slot in (1, 2))
    assert weights.tolist() == [[3.0, 4.0], [0.5, 0.5]]
    assert bias == pytest.approx([1.0, 2.1])
