"""A study's arithmetic: what counts as proven, from where on nothing changes, how wide ranges are."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.records import Figure
from stages.calibrating import study
from stages.calibrating.record import CalibrationPoint


def figure(value: float, low: float, high: float) -> Figure:
    return Figure(value=value, unit="points", provenance="measured", interval=(low, high))


def point(samples: int, differs: bool, *intervals: tuple[float, float]) -> CalibrationPoint:
    return CalibrationPoint(samples=samples, scores=(0.9,), drops=(figure(0, 0, 0),), range_shares=(1.0,),
                            differs=differs, differences=tuple(figure(0, *each) for each in intervals))


def test_an_interval_is_widened_by_the_number_of_comparisons() -> None:
    near = figure(1.0, 0.1, 1.9)  # 0.9 below; at 24 comparisons 0.9 * 3.078 / 1.960 = 1.41
    assert study.excludes_zero(near, 1)
    assert not study.excludes_zero(near, 24)
    assert study.excludes_zero(figure(1.5, 0.6, 2.4), 24)
    assert study.excludes_zero(figure(-1.5, -2.4, -0.6), 24)


def test_equal_outputs_prove_nothing() -> None:
    assert not study.excludes_zero(figure(0, 0, 0), 24)


def test_a_difference_without_an_interval_is_taken_as_it_is() -> None:
    assert study.excludes_zero(Figure(value=0.5, unit="points", provenance="measured"), 3)


@pytest.mark.parametrize(("differs", "expected"), [
    ([True, True, False, False], 10), ([True, False, True, False], None), ([False, False, False, False], 1),
    ([False, True, False, False], 10), ([True, True, True, False], None)])
def test_enough_is_the_first_size_after_the_last_that_differs(differs: list[bool], expected: int | None) -> None:
    points = [point(size, each) for size, each in zip((1, 5, 10, 50), differs, strict=True)]
    assert study.enough(points) == expected


def test_mean_distance_is_over_all_outputs_by_name() -> None:
    one = np.zeros(2, [("a", "f4", (2,)), ("b", "f4", (1,))])
    other = one.copy()
    other["a"] += 3
    assert study.mean_distance(one, other) == pytest.approx(2.0)  # four values of 3 and two of 0
    assert study.mean_distance(np.zeros((3, 2), np.float32), np.full((3, 2), -1.5, np.float32)) == 1.5


def test_resolution_is_half_the_widest_interval_from_the_first_size_on_stretched() -> None:
    points = [point(1, True, (-4, 4)), point(5, False, (-1, 2)), point(9, False)]
    factor = 2.2414 / 1.9600  # the normal quantiles of 1 - 0.025 / 2 and of 1 - 0.025
    assert study.resolution(points, 5) == pytest.approx(1.5 * factor, rel=1e-4)
    assert study.resolution(points, None) == pytest.approx(4 * factor, rel=1e-4)
    assert study.resolution([point(5, False)], None) == 0.0


def test_range_share_leaves_constants_out() -> None:
    full = {"weights": {"min": -1.0, "max": 1.0}, "a": {"min": np.float32(0), "max": np.float32(4)},
            "b": {"min": -1.0, "max": 1.0}, "text": {}}
    part = {"weights": {"min": -1.0, "max": 1.0}, "a": {"min": 0.0, "max": 2.0}, "b": {"min": -0.5, "max": 1.0}}
    assert study.range_share(part, full) == pytest.approx((0.5 + 0.75) / 2)
    assert study.range_share(full, full) == 1.0
