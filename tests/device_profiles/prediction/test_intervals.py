"""Conformal scales and what they cover."""

from __future__ import annotations

import math
import random

import pytest

from device_profiles.prediction.intervals import REACH, Scales, conformal_scales, distance_outside


def test_a_factor_is_the_exponential_of_scale_times_deviation() -> None:
    scales = Scales(misfit=0.3, level_80=1.0, level_95=2.0)
    narrow, wide = scales.factors(variance=0.16, distance=0.0)  # sqrt(0.09 + 0.16) = 0.5
    assert (narrow, wide) == pytest.approx((math.exp(0.5), math.exp(1.0)))


def test_outside_the_sizes_of_the_fit_the_interval_widens() -> None:
    scales = Scales(misfit=0.1, level_80=1.0, level_95=2.0)
    inside, outside = scales.factors(0.0, 0.0)[0], scales.factors(0.0, 2.0)[0]
    assert outside == pytest.approx(math.exp(math.hypot(0.1, 2 * REACH)))
    assert outside > inside


@pytest.mark.parametrize(("macs", "distance"), [(100, math.log(10)), (1000, 0), (5000, 0), (16000, math.log(2)),
                                                (0, math.log(1000))])
def test_distance_is_the_log_of_how_far_a_size_lies_outside(macs: int, distance: float) -> None:
    assert distance_outside(macs, 1000, 8000) == pytest.approx(distance)


def test_the_scale_is_the_level_s_quantile_of_the_normalized_errors() -> None:
    errors = [0.1 * (number + 1) for number in range(9)]  # 0.1 to 0.9
    scales = conformal_scales(errors, [0.0] * 9, [1.0])
    # ceil(10 * 0.8) = 8th smallest; ceil(10 * 0.95) = 10th of 9: the largest
    assert (scales.level_80, scales.level_95) == pytest.approx((0.8, 0.9))


def test_the_misfit_with_the_narrowest_intervals_is_taken() -> None:
    generator = random.Random(1)
    variances = [generator.choice((0.0001, 0.04)) for _ in range(400)]
    errors = [generator.gauss(0, math.sqrt(variance + 0.05 ** 2)) for variance in variances]
    scales = conformal_scales(errors, variances, (0.001, 0.05, 2.0))
    assert scales.misfit == 0.05  # 0.001 trusts the fit too much, 2.0 gives every row the same interval
    assert scales.level_80 == pytest.approx(1.28, abs=0.15)  # the normal distribution's


def test_new_errors_of_the_same_kind_fall_inside_as_often_as_stated() -> None:
    generator = random.Random(2)

    def draw(count: int) -> list[float]:
        return [generator.expovariate(5) * generator.choice((-1, 1)) for _ in range(count)]

    narrow, wide = conformal_scales(draw(2000), [0.0] * 2000, [0.1]).factors(0.0, 0.0)
    fresh = draw(2000)
    assert sum(abs(error) <= math.log(narrow) for error in fresh) / 2000 == pytest.approx(0.8, abs=0.03)
    assert sum(abs(error) <= math.log(wide) for error in fresh) / 2000 == pytest.approx(0.95, abs=0.02)


def test_without_a_misfit_to_choose_from_there_is_no_scale() -> None:
    with pytest.raises(ValueError, match="no misfit"):
        conformal_scales([0.1], [0.1], [])
