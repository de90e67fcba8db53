"""Signal and noise of a tensor, in numbers that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from device_profiles.tflite import Tensor
from stages.explaining.tally import Tally, constant_channels, decibel


def tally(dtype: str = "int8", scale: float = 0.5, zero: int = 0, operator: str = "CONV_2D") -> Tally:
    tensor = Tensor(0, "t", (1, 2), (1, 2), dtype, 8, memoryview(b""), (scale,) if scale else (), (zero,))
    return Tally(label="0:CONV_2D t", operator=operator, original="0:CONV_2D t", matching="name", tensor=tensor)


def test_ten_to_one_in_amplitude_is_20_db() -> None:
    assert decibel(0.1**2) == pytest.approx(20)
    assert decibel(0.0) is None


def test_seen_noise_is_the_energy_of_the_difference_over_that_of_the_signal() -> None:
    one = tally()
    one.add_seen(np.array([[3.0, 4.0]], np.float32), np.array([[3.0, 4.5]], np.float32))  # 0.25 / 25
    assert decibel(one.seen) == pytest.approx(20)
    one.add_seen(np.array([[3.0, 4.0]], np.float32), np.array([[3.0, 4.0]], np.float32))  # 0.25 / 50
    assert one.seen == pytest.approx(0.005)


def test_local_noise_falls_into_values_beyond_the_range_and_rounding() -> None:
    one = tally(scale=0.5)  # -64 to 63.5
    wanted = np.array([[65.5, 10.0]], np.float32)
    one.add_local(wanted, np.array([[63.5, 10.25]], np.float32))  # 4 by the edge, 0.0625 else
    assert one.local_error == pytest.approx(4.0625)
    assert one.clipped == pytest.approx(4 / 4.0625)
    assert one.beyond == 1
    assert one.rounded == pytest.approx(min(1 - 4 / 4.0625, 2 * 0.25 / 12 / 4.0625))


def test_in_local_noise_channels_count_by_their_amplitude() -> None:
    one = tally("float32", scale=0.0)
    wanted = np.array([[100.0, 1.0]], np.float32)
    one.add_local(wanted, wanted + np.array([[0.1, 0.1]], np.float32))
    assert one.local == pytest.approx((0.01 / 100 + 0.01 / 1) / 101)
    alike = tally("float32", scale=0.0)
    alike.add_local(np.ones((1, 2), np.float32), np.full((1, 2), 1.1, np.float32))
    assert alike.local == pytest.approx(0.01, rel=1e-5)  # as sum(n) / sum(s)


def test_a_value_within_half_a_step_of_the_edge_is_rounded_and_not_clipped() -> None:
    one = tally(scale=0.5)
    one.add_local(np.array([[63.7, 1.0]], np.float32), np.array([[63.5, 1.0]], np.float32))
    assert (one.beyond, one.clipped) == (0, 0.0)


def test_zeros_are_exact_and_make_no_rounding() -> None:
    one = tally(scale=0.5)
    one.add_local(np.array([[0.0, 1.2]], np.float32), np.array([[0.0, 1.0]], np.float32))
    assert one.rounded_elements == 1
    assert one.rounded == pytest.approx(0.25 / 12 / 0.04)


def test_a_shift_of_a_whole_channel_is_told_from_noise() -> None:
    one = tally(scale=0.01)
    wanted = np.array([[1.0, 1.0], [2.0, 1.0]], np.float32)
    one.add_local(wanted, wanted + np.array([[0.2, 0.2], [0.2, -0.2]], np.float32))
    assert one.shifted == pytest.approx(0.5)  # all of channel 0, nothing of channel 1


def test_a_range_of_bytes_is_used_from_zero_on() -> None:
    one = tally(scale=0.5)
    one.add_seen(np.array([[1.0, 30.0]], np.float32), np.array([[1.0, 30.0]], np.float32))
    assert one.range_used == pytest.approx(30 / 127.5)


def test_of_a_symmetric_16_bit_range_the_wider_side_counts() -> None:
    one = tally("int16", scale=0.001)
    one.add_seen(np.array([[0.0, 16.3835]], np.float32), np.array([[0.0, 16.3835]], np.float32))
    assert one.range_used == pytest.approx(0.5)


def test_a_float_tensor_has_no_range_and_clips_nothing() -> None:
    one = tally("float32", scale=0.0)
    one.add_local(np.array([[1e30, 1.0]], np.float32), np.array([[1e30, 1.0]], np.float32))
    assert (one.range_used, one.beyond, one.local) == (None, 0, 0.0)
    assert math.isinf(one.high)


def test_float_arithmetic_in_another_order_is_no_noise() -> None:
    one = tally("float32", scale=0.0)
    one.add_seen(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32) * np.float32(1 + 1e-6))
    assert one.seen == 0.0


def test_two_equal_best_outputs_count_where_the_float_model_has_one_best() -> None:
    one = tally()
    wanted = np.array([[1, 2, 0], [2, 2, 0], [3, 1, 0]], np.float32)
    one.add_seen(wanted, np.array([[2, 2, 0], [2, 2, 0], [1, 3, 0]], np.float32))
    assert (one.ties, one.rows, one.changed) == (1, 3, 2)


def test_constant_channels_are_those_that_never_change() -> None:
    assert constant_channels(np.array([0.0, 1.0, -1.0]), np.array([0.0, 2.0, -1.0])) == (0, 2)


def test_a_range_of_all_values_wins_what_is_cut_off_less_what_wider_steps_cost() -> None:
    one = tally(scale=0.5)  # -64 to 63.5: 127.5 wide
    one.clip_error, one.local_error, one.rounded_elements = 3.0, 4.0, 24  # 24 * 0.25 / 12 = 0.5 of 4 is rounding
    one.energy, one.distance = np.ones(1), np.ones(1)
    assert one.won_by_range(-64.0, 63.5) == pytest.approx(0.75)
    assert one.won_by_range(-64.0, 191.0) == pytest.approx(0.75 - 0.125 * 3)  # twice as wide: four times the rounding
    assert one.won_by_range(0.0, 63.75) == pytest.approx(0.75 + 0.125 * 0.75)  # half as wide
    assert one.rest == pytest.approx(0.125)
    assert tally("float32", scale=0.0).won_by_range(0.0, 1.0) == 0.0
