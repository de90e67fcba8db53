"""Pictures small enough to say by hand what they must become."""

from __future__ import annotations

import numpy as np
import pytest

from stages.resampling import Padding, resample_affine, shift_and_flip


def picture(rows: list[list[float]]) -> np.ndarray:
    """One image of one channel.  # (1, height, width, 1) float32"""
    return np.array(rows, np.float32)[None, :, :, None]


def shown(x: np.ndarray) -> list[list[float]]:
    return x[0, :, :, 0].tolist()


ONE_TO_NINE = [[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]


def turned(x: np.ndarray, degrees: float, padding: Padding = "zero", scale: float = 1) -> np.ndarray:
    return resample_affine(x, np.array([scale]), np.zeros((2, 1)), np.radians([degrees]), padding)


@pytest.mark.parametrize(("padding", "expected"), [
    ("zero", [[0.0, 0, 0], [0, 1, 2], [0, 4, 5]]),
    ("edge", [[1.0, 1, 2], [1, 1, 2], [4, 4, 5]]),
    ("reflect", [[5.0, 4, 5], [2, 1, 2], [5, 4, 5]]),
])
def test_a_shift_goes_down_and_right_and_fills_in_what_the_padding_says(padding: Padding,
                                                                        expected: list[list[float]]) -> None:
    moved = shift_and_flip(picture(ONE_TO_NINE), (np.array([1]), np.array([1])), (None, None), padding)
    assert shown(moved) == expected


def test_a_negative_shift_goes_up_and_left() -> None:
    moved = shift_and_flip(picture(ONE_TO_NINE), (np.array([-2]), np.array([-1])), (None, None), "zero")
    assert shown(moved) == [[8, 9, 0], [0, 0, 0], [0, 0, 0]]


def test_images_are_mirrored_one_by_one() -> None:
    two = np.concatenate([picture(ONE_TO_NINE)] * 2)
    mirrored = shift_and_flip(two, (None, None), (np.array([True, False]), np.array([False, True])), "zero")
    assert mirrored[0, :, :, 0].tolist() == [[7, 8, 9], [4, 5, 6], [1, 2, 3]]
    assert mirrored[1, :, :, 0].tolist() == [[3, 2, 1], [6, 5, 4], [9, 8, 7]]


def test_a_mirrored_image_is_moved_after_it_was_mirrored() -> None:
    moved = shift_and_flip(picture([[1, 2, 3]]), (None, np.array([1])), (None, np.array([True])), "zero")
    assert shown(moved) == [[0, 3, 2]]


def test_channels_move_together() -> None:
    x = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    moved = shift_and_flip(x, (None, np.array([1])), (None, None), "zero")
    assert moved[0, 0].tolist() == [[0, 0, 0], [0, 1, 2]]
    assert moved[0, 1].tolist() == [[0, 0, 0], [6, 7, 8]]


def test_a_quarter_turn_is_clockwise() -> None:
    found = turned(picture(ONE_TO_NINE), 90)[0, :, :, 0]
    assert found == pytest.approx(np.array([[7, 4, 1], [8, 5, 2], [9, 6, 3]]), abs=1e-5)


def test_no_turn_and_full_size_changes_nothing() -> None:
    x = np.random.default_rng(0).random((3, 5, 4, 2), dtype=np.float32)
    assert np.array_equal(resample_affine(x, np.ones(3), np.zeros((2, 3)), np.zeros(3), "zero"), x)


def test_an_eighth_turn_reads_between_the_pixels() -> None:
    found = shown(turned(picture(ONE_TO_NINE), 45))
    assert found[1][1] == pytest.approx(5)
    # u = 0, v = 1 is read at y = 1 - sin 45, x = 1 + cos 45: between rows 0 and 1, columns 1 and 2
    down, right = 1 - np.sqrt(0.5), np.sqrt(0.5)
    expected = (1 - down) * ((1 - right) * 2 + right * 3) + down * ((1 - right) * 5 + right * 6)
    assert found[1][2] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("padding", "corner"), [("zero", 0.0), ("edge", 1.0), ("reflect", 1.0)])
def test_what_lies_outside_a_turned_image_follows_the_padding(padding: Padding, corner: float) -> None:
    found = shown(turned(picture([[1, 1, 1]] * 3), 45, padding))
    share = 2 - np.sqrt(2)  # u = v = -1 is read at y = 1, x = 1 - sqrt 2 = -0.414: 0.586 of it lies on the picture
    assert found[0][0] == pytest.approx(share if padding == "zero" else corner, abs=1e-5)


def test_half_of_the_side_is_enlarged_twice() -> None:
    x = picture([[0, 1, 2, 3]] * 4)
    found = shown(resample_affine(x, np.array([0.5]), np.zeros((2, 1)), np.zeros(1), "zero"))
    assert found == [[0.75, 1.25, 1.75, 2.25]] * 4  # 1.5 + 0.5 * (-1.5, -0.5, 0.5, 1.5)


def test_a_cut_that_touches_the_border_reads_no_zeros() -> None:
    x = picture([[1, 1, 1, 1]] * 4)
    found = resample_affine(x, np.array([0.5]), np.array([[-0.25], [0.25]]), np.zeros(1), "zero")
    assert found.min() == 1


def test_a_cut_is_taken_where_its_centre_is() -> None:
    x = picture([[0, 1, 2, 3]] * 4)
    found = shown(resample_affine(x, np.array([0.5]), np.array([[0.0], [0.25]]), np.zeros(1), "zero"))
    assert found == [[1.75, 2.25, 2.75, 3.0]] * 4  # 2.5 + ..., and 3.25 lies beyond the last pixel


def test_batches_larger_than_one_round_are_whole() -> None:
    x = np.random.default_rng(1).random((40, 6, 6, 1), dtype=np.float32)
    scales, centres, angles = np.linspace(0.6, 1, 40), np.zeros((2, 40)), np.linspace(-0.3, 0.3, 40)
    together = resample_affine(x, scales, centres, angles, "edge")
    alone = [resample_affine(x[i:i + 1], scales[i:i + 1], centres[:, i:i + 1], angles[i:i + 1], "edge")
             for i in range(40)]
    assert np.array_equal(together, np.concatenate(alone))
