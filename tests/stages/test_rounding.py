"""Scales and integers of weights, on numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from stages.converting import rounding


def column(*weights: float) -> np.ndarray:
    """One group, one channel.  # (1, taps, 1)"""
    return np.array(weights, np.float64).reshape(1, -1, 1)


def test_minmax_gives_the_largest_weight_the_largest_integer() -> None:
    weights = column(0.35, -0.7, 0.1)
    scales = rounding.scales_of(weights, 4, "minmax")
    assert scales.ravel() == pytest.approx([0.1])
    assert rounding.nearest(weights, scales, 4).ravel().tolist() == [4, -7, 1]  # 3.5 goes to the even neighbour


def test_integers_end_at_the_bits_range() -> None:
    assert rounding.nearest(column(10, -10), np.full((1, 1, 1), 1.0), 4).ravel().tolist() == [7, -7]
    assert rounding.nearest(column(200, -200), np.full((1, 1, 1), 1.0), 8).ravel().tolist() == [127, -127]


def test_mse_clips_one_outlier_where_many_small_weights_gain_by_it() -> None:
    weights = column(1.0, *[0.06] * 50)
    scale = float(rounding.scales_of(weights, 4, "mse").squeeze())
    assert scale < 1 / 7  # minmax rounds every 0.06 to zero
    error = ((weights - scale * rounding.nearest(weights, np.full((1, 1, 1), scale), 4)) ** 2).sum()
    assert error < 50 * 0.06 ** 2


def test_what_matters_to_the_output_decides_the_clipping() -> None:
    weights, importance = column(1.0, *[0.06] * 50), np.ones((1, 51))
    importance[0, 0] = 1e6
    assert rounding.scales_of(weights, 4, "mse", importance).squeeze() == pytest.approx(1 / 7)


def test_octav_solves_its_own_equation() -> None:
    weights = np.random.default_rng(0).normal(size=(1, 2000, 1))
    clip = 7 * float(rounding.scales_of(weights, 4, "octav").squeeze())
    size = np.abs(weights)
    above, inside = size[size > clip], int((size <= clip).sum())
    assert clip == pytest.approx(above.sum() / (4.0 ** -4 / 3 * inside + len(above)), rel=1e-6)
    assert 2.0 < clip < 3.0  # of a normal distribution 4 bits keep about 2.5 standard deviations


def test_one_scale_is_that_of_all_weights_together() -> None:
    weights = np.array([[[0.7, 0.07]]])
    assert rounding.one_scale(weights, 4, "minmax").ravel() == pytest.approx([0.1, 0.1])


def test_gptq_makes_up_in_one_tap_for_what_it_rounds_in_another() -> None:
    """Two taps always see the same input, so only their sum counts: 0.4 + 0.4 is 1 rather than 0 + 0."""
    moments = np.ones((1, 2, 2))
    weights, scales = column(0.4, 0.4), np.ones((1, 1, 1))
    assert rounding.nearest(weights, scales, 4).sum() == 0
    found = rounding.gptq(weights, moments, scales, 4)
    assert sorted(found.ravel().tolist()) == [0, 1]
    assert rounding.output_error(weights - found, moments).squeeze() == pytest.approx(0.04)


def test_gptq_is_the_nearest_where_inputs_have_nothing_to_do_with_each_other() -> None:
    weights = np.random.default_rng(1).normal(size=(3, 5, 4))
    moments = np.stack([np.diag(np.arange(1.0, 6.0))] * 3)
    scales = rounding.scales_of(weights, 4, "minmax")
    assert (rounding.gptq(weights, moments, scales, 4) == rounding.nearest(weights, scales, 4)).all()


def test_inputs_that_are_always_zero_do_not_stop_it() -> None:
    found = rounding.gptq(column(0.4, 0.6), np.zeros((1, 2, 2)), np.ones((1, 1, 1)), 4)
    assert found.ravel().tolist() == [0, 1]


@pytest.mark.parametrize("one", [False, True])
def test_gptq_with_scales_leaves_less_error_in_the_output_than_the_nearest(one: bool) -> None:
    rng = np.random.default_rng(2)
    mixed = rng.normal(size=(2, 12, 12))
    moments, weights = mixed @ np.swapaxes(mixed, 1, 2), rng.normal(size=(2, 12, 6))
    integers, scales = rounding.gptq_with_scales(weights, moments, 4, one=one)
    plain = rounding.one_scale(weights, 4, "minmax") if one else rounding.scales_of(weights, 4, "minmax")
    before = rounding.output_error(weights - plain * rounding.nearest(weights, plain, 4), moments).sum()
    assert rounding.output_error(weights - scales * integers, moments).sum() < 0.7 * before
    assert np.abs(integers).max() <= 7
    assert (integers == np.rint(integers)).all()
    assert (len(np.unique(scales)) == 1) is one


def test_many_tries_at_once_are_the_same_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    weights, moments = rng.normal(size=(1, 6, 3)), np.eye(6)[None] + 0.5
    together = rounding.gptq_with_scales(weights, moments, 4, one=False)
    monkeypatch.setattr(rounding, "_ELEMENTS_AT_ONCE", 1)
    alone = rounding.gptq_with_scales(weights, moments, 4, one=False)
    assert (together[0] == alone[0]).all()
    assert together[1] == pytest.approx(alone[1])


def test_the_output_error_is_the_mean_square_over_the_inputs() -> None:
    rng = np.random.default_rng(4)
    inputs, difference = rng.normal(size=(100, 3)), rng.normal(size=(3, 2))
    moments = (inputs.T @ inputs / 100)[None]
    assert rounding.output_error(difference[None], moments).ravel() == pytest.approx(
        ((inputs @ difference) ** 2).mean(axis=0))
