"""Ends of the range are counted in one pass, wherever the ends turn out to be."""

from __future__ import annotations

import numpy as np

from stages.examining.extremes import Extremes


def test_a_later_chunk_that_goes_beyond_an_end_moves_it() -> None:
    found = Extremes()
    found.add(np.array([[0, 1], [0, 5]], np.uint8))
    found.add(np.array([[5, 9], [9, 9]], np.uint8))
    result = found.result()
    assert (result.lowest, result.highest) == (0, 9)
    assert (result.share_lowest, result.share_highest) == (2 / 8, 3 / 8)


def test_a_saturated_sample_among_others_is_counted_and_a_black_background_is_not() -> None:
    x = np.random.default_rng(0).integers(1, 255, (20, 100)).astype(np.uint8)
    x[:, 0], x[0, 1] = 0, 255  # every sample has 1 % of its elements at the lowest
    x[3, :30] = 255
    found = Extremes()
    found.add(x)
    assert found.result().clipped_samples == 1
    dark = Extremes()
    dark.add(np.where(np.arange(100) < 80, 0, x).astype(np.uint8))  # 80 % black, in all of them
    assert dark.result().clipped_samples == 0


def test_constant_samples_and_short_vectors_are_not_called_clipped() -> None:
    for x in (np.ones((5, 100)), np.array([[0.0, 1.0], [0.0, 0.5]])):
        found = Extremes()
        found.add(x)
        assert found.result().clipped_samples == 0
