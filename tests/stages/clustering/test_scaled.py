"""Values that all channels share, each channel at its own scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.clustering import scaled


def wrapped_copy(model: Any, counts: dict[str, int], **given: Any) -> tuple[Any, dict[str, str]]:
    """A copy of a model, wrapped."""
    import tf_keras as keras

    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return scaled.wrap_scaled(copy, counts, given.get("zeros", False), given.get("skip", frozenset()))


def test_the_scale_of_a_channel_is_its_root_mean_square() -> None:
    kernel = np.zeros((1, 1, 2, 2), np.float32)
    kernel[..., 0], kernel[..., 1] = [3, 4], [6, 8]
    assert scaled.scales(kernel).ravel() == pytest.approx([12.5 ** 0.5, 50 ** 0.5])


def test_a_matrix_has_one_scale() -> None:
    assert scaled.scales(np.float32([[1, 7]])).ravel() == pytest.approx([5.0])


@pytest.mark.parametrize(("count", "magnitudes"), [(2, 1), (3, 1), (4, 1), (5, 2), (16, 7), (17, 8)])
def test_an_even_number_of_values_counts_as_the_odd_one_below(count: int, magnitudes: int) -> None:
    assert scaled.magnitude_count(count) == magnitudes


def test_magnitudes_are_those_of_k_means_with_a_zero() -> None:
    kernel = np.float32([[0.0, 0.1], [-4.0, 4.2], [8.0, -8.2]])
    found = scaled.magnitudes_of(kernel, 5) * scaled.scales(kernel).item()
    assert found == pytest.approx([4.1, 8.1])
    assert scaled.magnitudes_of(np.float32([[3, -3]]), 2).tolist() == [1.0]


def test_channels_of_other_sizes_end_on_the_same_values() -> None:
    one = np.random.default_rng(3).normal(size=(3, 3, 8)).astype(np.float32)
    kernel = np.stack([one, 100 * one, 0.01 * one], axis=-1)
    near = scaled.nearest_scaled(kernel, 7)
    assert len(np.unique(near[..., 0])) <= 7
    assert near[..., 1] == pytest.approx(100 * near[..., 0], rel=1e-5)
    assert len(np.unique(np.round(127 * near / np.abs(near).max(axis=(0, 1, 2))))) <= 7


def test_a_wrapped_model_computes_with_the_nearest_values_and_says_what_it_left_alone(tiny_keras: Any) -> None:
    wrapped, skipped = wrapped_copy(tiny_keras, {"conv": 5, "dense": 5}, skip=frozenset({"dense"}))
    assert skipped == {"depthwise": "DepthwiseConv2D has no kernel that is clustered", "dense": "named in skip_layers"}
    x = np.random.default_rng(1).normal(size=(3, 6, 6, 2)).astype(np.float32)
    before = wrapped(x).numpy()
    kernel = tiny_keras.get_layer("conv").kernel.numpy()
    plain, shared = scaled.strip_scaled(wrapped)
    assert [layer.name for layer in plain.layers] == [layer.name for layer in tiny_keras.layers]
    assert plain.get_layer("conv").kernel.numpy() == pytest.approx(scaled.nearest_scaled(kernel, 5), abs=1e-6)
    assert plain(x).numpy() == pytest.approx(before, abs=1e-6)
    index = shared["conv"].index
    assert index.shape == kernel.shape
    assert set(np.unique(index)) <= {-2, -1, 0, 1, 2}


def test_gradients_reach_the_weights_as_they_are_and_the_values_through_their_weights(tiny_keras: Any) -> None:
    import tensorflow as tf

    wrapped, _ = wrapped_copy(tiny_keras, {"conv": 3, "dense": 3})
    wrapper = next(layer for layer in wrapped.layers if layer.name == "scaled_dense")
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(wrapper.shared_kernel())
    to_kernel, to_values = tape.gradient(total, [wrapper.layer.kernel, wrapper.magnitudes])
    assert np.all(to_kernel.numpy() == 1)
    index = wrapper.shared().index  # d total / d magnitude: the signs of its weights, times the scale
    assert to_values.numpy() == pytest.approx([index.sum() * scaled.scales(wrapper.layer.kernel.numpy()).item()],
                                              rel=1e-4, abs=1e-6)


def test_zeros_that_were_there_stay_and_two_values_have_none(tiny_keras: Any) -> None:
    import tf_keras as keras

    model = keras.models.clone_model(tiny_keras)
    kernel = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)
    kernel[0] = 0
    model.get_layer("dense").kernel.assign(kernel)
    skip = frozenset({"conv"})
    plain, shared = scaled.strip_scaled(wrapped_copy(model, {"conv": 2, "dense": 2}, zeros=True, skip=skip)[0])
    assert np.array_equal(plain.get_layer("dense").kernel.numpy() == 0, kernel == 0)
    assert set(np.unique(shared["dense"].index)) <= {-1, 0, 1}
    plain, shared = scaled.strip_scaled(wrapped_copy(model, {"conv": 2, "dense": 2}, skip=skip)[0])
    assert set(np.unique(np.abs(shared["dense"].index[1:]))) == {1}
