"""Shared values found and counted."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import StageError
from stages import clustering


def test_values_are_counted_by_layer_and_both_zeros_are_one() -> None:
    kernels = {"a": np.array([0.0, -0.0, 1.0]), "b": np.array([1.0, 2.0, 3.0, 3.0])}
    assert clustering.count_shared_values(kernels, {"a": 2, "b": 3}) == {"a": 2, "b": 3}


def test_one_value_too_many_is_an_error_that_names_the_layer() -> None:
    with pytest.raises(StageError, match="'b' holds 3 distinct values") as caught:
        clustering.count_shared_values({"a": np.ones(4), "b": np.arange(3.0)}, {"a": 2, "b": 2})
    assert caught.value.allowed == "at most 2"


def test_values_are_those_of_k_means_by_hand() -> None:
    kernel = np.float32([[0, 1], [10, 11], [12, 2]])
    assert clustering.nearest_values(kernel, 2).tolist() == [[1, 1], [11, 11], [11, 1]]


def test_with_as_many_values_as_weights_nothing_is_moved() -> None:
    kernel = np.random.default_rng(1).normal(size=(4, 4)).astype(np.float32)
    assert clustering.nearest_values(kernel, 16) == pytest.approx(kernel)
    assert len(np.unique(clustering.nearest_values(kernel, 5))) <= 5


def test_a_sensitive_kernel_gets_twice_the_values_until_it_costs_little() -> None:
    kernels = {name: np.arange(1000, dtype=np.float32).reshape(10, 100) for name in ("easy", "hard", "hopeless")}

    def cost(layer: str, kernel: np.ndarray) -> float:
        values = len(np.unique(kernel))
        return {"easy": 0.0, "hard": 64 / values, "hopeless": 99.0}[layer]

    counts, costs = clustering.enough_values(cost, kernels | {"small": np.ones((2, 4), np.float32)}, 8, 2.0)
    assert counts == {"easy": 8, "hard": 32, "hopeless": 256}
    assert costs == {"easy": 0.0, "hard": 8.0, "hopeless": 99.0}


def test_filled_zeros_are_an_error() -> None:
    with pytest.raises(StageError, match="clustering filled 2 of the zeros in 'a'"):
        clustering.check_zeros_kept({"a": np.array([1.0, 1, 0])}, {"a": np.array([True, True, True])})
