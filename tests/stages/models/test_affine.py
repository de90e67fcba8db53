"""Factors and offsets taken into kernels, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from stages.models.affine import Affine, folded_after, folded_before

TWO = Affine(np.array([2.0, -1.0]), np.array([0.5, 3.0]))


def test_a_kernel_before_is_scaled_by_output_channel() -> None:
    kernel, bias = folded_after("Dense", [np.array([[1, 2], [0, 4]], np.float32), np.array([1, 1], np.float32)], TWO)
    assert kernel.tolist() == [[2, -2], [0, -4]]
    assert bias.tolist() == [2.5, 2]
    assert (kernel.dtype, bias.dtype) == (np.float32, np.float32)


def test_a_depthwise_kernel_is_scaled_by_channel_and_multiplier() -> None:
    four = Affine(np.array([1.0, 2.0, 3.0, 4.0]), np.zeros(4))  # channels 0 and 1, two outputs each
    kernel, bias = folded_after("DepthwiseConv2D", [np.ones((1, 1, 2, 2), np.float32)], four)
    assert kernel[0, 0].tolist() == [[1, 2], [3, 4]]
    assert bias.tolist() == [0, 0, 0, 0]


def test_a_transposed_kernel_is_scaled_along_its_second_to_last_axis() -> None:
    kernel, bias = folded_after("Conv2DTranspose", [np.ones((1, 1, 2, 3), np.float32)], TWO)
    assert kernel[0, 0].tolist() == [[2, 2, 2], [-1, -1, -1]]
    assert bias.tolist() == [0.5, 3]


def test_a_kernel_behind_is_scaled_by_input_channel_and_its_bias_gets_the_offsets() -> None:
    kernel, bias = folded_before("Dense", [np.array([[1, 2], [0, 4]], np.float32), np.array([1, 1], np.float32)], TWO)
    assert kernel.tolist() == [[2, 4], [0, -4]]
    assert bias.tolist() == [1 + 0.5, 1 + 0.5 * 2 + 3 * 4]


def test_offsets_are_added_up_over_all_taps() -> None:
    _, bias = folded_before("Conv2D", [np.ones((3, 3, 2, 1), np.float32)], TWO)
    assert bias == pytest.approx([9 * 3.5])
    _, bias = folded_before("DepthwiseConv2D", [np.ones((3, 3, 2, 1), np.float32)], TWO)
    assert bias == pytest.approx([9 * 0.5, 9 * 3])


def test_one_channel_gives_arrays_of_one_value() -> None:
    kernel, bias = folded_after("Dense", [np.ones((2, 1), np.float32), np.ones(1, np.float32)],
                                Affine(np.array([2.0]), np.array([1.0])))
    assert (kernel.shape, bias.tolist()) == ((2, 1), [3])
