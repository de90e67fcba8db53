"""Samples made small: means, components and edges worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from stages.examining.looks import block_means, edges, is_plane, joined, look, principal, standardized, units


@pytest.mark.parametrize(("shape", "plane"), [
    ((32, 32, 3), True), ((49, 10, 1), True), ((8, 8), True), ((1000,), False), ((1, 640, 1), False),
    ((3, 8, 8, 1), False)])
def test_pictures_and_spectrograms_are_planes(shape: tuple[int, ...], plane: bool) -> None:
    assert is_plane(shape) is plane


def test_a_picture_becomes_a_gray_plane_and_means_of_each_channel() -> None:
    x = np.zeros((1, 64, 48, 3), np.uint8)
    x[..., 0], x[..., 1] = 30, 60
    found = look(x)
    assert found.planes is not None
    assert found.planes.shape == (1, 32, 24)
    assert (found.planes == 30).all()  # (30 + 60 + 0) / 3
    assert found.vectors.shape == (1, 8 * 8 * 3)
    assert found.vectors[0, :3].tolist() == [30, 60, 0]


def test_blocks_are_averaged_and_the_rest_at_the_edge_is_cut() -> None:
    x = np.arange(5, dtype=np.float32).reshape(1, 1, 5, 1)
    assert block_means(x, 2)[0, 0, :, 0].tolist() == [1.0]  # blocks of three: (0, 1, 2), and 3 and 4 are cut
    assert block_means(x, 5)[0, 0, :, 0].tolist() == [0, 1, 2, 3, 4]


def test_a_long_waveform_becomes_means_and_deviations_of_blocks() -> None:
    x = np.tile(np.array([1, -1], np.float32), 1024)[None]  # 2,048 values
    vectors = look(x).vectors
    assert vectors.shape == (1, 1024)
    assert (vectors[0, :512] == 0).all()
    assert (vectors[0, 512:] == 1).all()


def test_joined_looks_keep_the_order() -> None:
    x = np.random.default_rng(0).random((5, 8, 8, 1), dtype=np.float32)
    both = joined([look(x[:2]), look(x[2:])])
    np.testing.assert_array_equal(both.vectors, look(x).vectors)
    assert joined([look(x.reshape(5, -1))]).planes is None


def test_components_are_uncorrelated_with_deviation_one_and_a_fixed_sign() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 3)) @ np.array([[3, 0, 0], [1, 1, 0], [0, 0, 0]])  # rank 2
    found = principal(x.astype(np.float32), 10)
    assert found.shape == (500, 2)
    np.testing.assert_allclose(found.T @ found / 500, np.eye(2), atol=1e-4)
    np.testing.assert_allclose(np.abs(np.corrcoef(found[:, 0], x[:, 0])[0, 1]), 1, atol=0.05)
    np.testing.assert_array_equal(found, principal(x.astype(np.float32), 10))


def test_a_constant_column_becomes_zero() -> None:
    found = standardized(np.array([[1, 5], [3, 5]], np.float32))
    assert found.tolist() == [[-1, 0], [1, 0]]


def test_the_product_of_units_is_the_correlation() -> None:
    rows = np.random.default_rng(2).random((2, 9), dtype=np.float32)
    one, other = units(rows)
    assert one @ other == pytest.approx(np.corrcoef(rows)[0, 1], abs=1e-6)
    assert (units(np.ones((1, 9), np.float32)) == 0).all()


def test_an_upright_edge_falls_into_the_bin_of_its_direction_and_its_cell() -> None:
    planes = np.zeros((1, 8, 8), np.float32)
    planes[:, :, 5:] = 10  # contrast across the columns 4 and 5, in the third column of cells
    found = edges(planes).reshape(4, 4, 9)
    assert (found[:, 2, 0] > 0.3).all()
    assert found.sum() == pytest.approx(found[:, 2, 0].sum())
    np.testing.assert_allclose(edges(planes * 7), edges(planes), atol=1e-5)  # contrast of the whole does not count
