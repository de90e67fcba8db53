"""The parts that the named models share."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models import blocks


@pytest.mark.parametrize("shape", [(4, 6, 1), (100, 6, 3)])
def test_an_image_of_at_least_the_least_size_is_taken(shape: tuple[int, ...]) -> None:
    blocks.check_image("net", shape, (4, 6))


@pytest.mark.parametrize("shape", [(3, 6, 1), (4, 5, 1), (4, 6, 0), (4, 6), (4, 6, 1, 1), ()])
def test_a_smaller_image_is_refused_with_the_least_size(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="net cannot take samples of the shape") as caught:
        blocks.check_image("net", shape, (4, 6), "frames, features")
    assert caught.value.allowed == "(frames, features, channels) of at least (4, 6, 1)"
    assert caught.value.next_step == "choose another model in the run file, or other data"


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_what_is_not_flat_is_refused(shape: tuple[int, ...]) -> None:
    blocks.check_vector("net", (1,))
    with pytest.raises(ModelError, match="net cannot take samples of the shape"):
        blocks.check_vector("net", shape)


def test_a_separable_block_halves_an_odd_side_upwards_and_penalizes_the_pointwise_kernel_alone() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((7, 5, 2))
    model = keras.Model(inputs, blocks.separable(inputs, 6, 2, "block", "he_normal"))
    assert model.output_shape == (None, 4, 3, 6)
    assert model.get_layer("block_depthwise").depthwise_regularizer is None
    kernel = model.get_layer("block_pointwise").kernel.numpy()
    assert [float(loss) for loss in model.losses] == pytest.approx([1e-4 * np.square(kernel).sum()], rel=1e-5)


def test_scores_are_computed_from_the_mean_over_the_whole_map() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((3, 2, 4))
    model = keras.Model(inputs, blocks.pooled_scores(inputs, 5, "linear", "glorot_uniform"))
    x = np.random.default_rng(0).random((2, 3, 2, 4), dtype=np.float32)
    expected = x.mean(axis=(1, 2)) @ model.get_layer("scores").kernel.numpy()
    assert model(x).numpy() == pytest.approx(expected, abs=1e-6)
