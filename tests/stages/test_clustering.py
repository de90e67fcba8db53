"""Counting shared values, and which layers take part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device_profiles.errors import StageError
from stages import clustering


def test_values_are_counted_by_layer_and_both_zeros_are_one() -> None:
    kernels = {"a": np.array([0.0, -0.0, 1.0]), "b": np.array([1.0, 2.0, 3.0, 3.0])}
    assert clustering.count_shared_values(kernels, 3) == {"a": 2, "b": 3}


def test_one_value_too_many_is_an_error_that_names_the_layer() -> None:
    with pytest.raises(StageError, match="'b' holds 3 distinct values") as caught:
        clustering.count_shared_values({"a": np.ones(4), "b": np.arange(3.0)}, 2)
    assert caught.value.allowed == "at most 2"


def test_wrapping_clusters_kernels_and_says_what_it_left_alone(tiny_keras: Any) -> None:
    wrapped, skipped = clustering.wrap_clustering(tiny_keras, 4, False, frozenset({"dense"}))
    assert skipped == {"depthwise": "DepthwiseConv2D has no kernel that is clustered", "dense": "named in skip_layers"}
    assert [layer.name for layer in wrapped.layers if type(layer).__name__ == "ClusterWeights"] == ["cluster_conv"]
    plain = clustering.strip_clustering(wrapped)
    assert [layer.name for layer in plain.layers] == [layer.name for layer in tiny_keras.layers]
    assert len(np.unique(plain.get_layer("conv").kernel.numpy())) <= 4
