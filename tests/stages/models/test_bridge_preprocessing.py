"""Layers that prepare inputs."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.bridge import bridge, prove
from tests.stages.models.test_bridge_layers import over


def test_integer_images_are_not_resized_because_keras_3_rounds_them():
    import keras

    inputs = keras.Input((8, 8, 1), dtype="uint8")
    with pytest.raises(ModelError, match="resizes uint8 images"):
        bridge(keras.Model(inputs, keras.layers.Resizing(4, 4, dtype="uint8")(inputs)))


def test_augmentation_is_dropped_and_said():
    import keras

    made = bridge(over((6, 6, 3), keras.layers.RandomFlip(name="flip"), keras.layers.RandomZoom(0.1, name="zoom"),
                       keras.layers.Flatten(name="flat")))
    assert [layer.name for layer in made.model.layers][1:] == ["flat"]
    assert sorted(made.changed) == ["flip", "zoom"]
    assert "dropped" in made.changed["flip"]


def test_rescaling_of_a_byte_image_gives_floats():
    import keras

    inputs = keras.Input((4, 4, 3), dtype="uint8")
    model = keras.Model(inputs, keras.layers.Rescaling(1 / 255)(keras.layers.RandomFlip()(inputs)))
    twin = bridge(model).model
    assert twin.inputs[0].dtype.name == "uint8"
    assert prove(model, twin, np.full((1, 4, 4, 3), 255, np.uint8)).scale == pytest.approx(1.0)


def test_normalization_by_channel_and_over_two_axes_is_that_of_keras_3():
    import keras

    layer = keras.layers.Normalization(axis=(1, 3))
    layer.adapt(np.random.default_rng(0).normal(3, 2, (20, 4, 5, 2)))
    model = over((4, 5, 2), layer)
    prove(model, bridge(model).model, np.random.default_rng(1).normal(size=(3, 4, 5, 2)))
