"""What is known, what is custom, and how calls are taken over."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.bridge import bridge, prove
from tests.stages.models.test_bridge_layers import over


def test_a_custom_layer_is_refused_even_if_it_is_called_like_one_of_keras():
    import keras

    class Dense(keras.layers.Layer):
        def call(self, x):
            return x

    for kind in (Dense, type("LayerScale", (Dense,), {"__module__": "keras.src.applications.convnext"})):
        with pytest.raises(ModelError, match=r"'own' \(\w+\) is a custom layer") as caught:
            bridge(over((3,), kind(name="own")))
        assert caught.value.allowed
        assert caught.value.next_step


def test_a_layer_without_twin_is_refused_by_name_and_class():
    import keras

    x = keras.Input((4, 6))
    model = keras.Model(x, keras.layers.GroupQueryAttention(3, 4, 2, name="grouped")(x, x))
    with pytest.raises(ModelError, match=r"'grouped' \(GroupedQueryAttention\) has no twin in Keras 2"):
        bridge(model)


def test_a_call_that_is_fixed_to_training_is_noted_because_inference_overrides_it():
    import keras

    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dropout(0.5, name="drop")(inputs, training=True))
    made = bridge(model)
    assert "training=True" in made.changed["drop"]
    prove(model, made.model, np.ones((3, 4)))


def test_masks_and_states_that_a_call_was_given_are_handed_on():
    import keras

    x = keras.Input((4, 6))
    masked = keras.layers.MultiHeadAttention(2, 3)(x, x, attention_mask=x[:, :, :4] > 0)
    started = keras.layers.RNN(keras.layers.LSTMCell(6))(x, initial_state=[x[:, 0], x[:, 1]])
    model = keras.Model(x, [masked, started])
    prove(model, bridge(model).model, np.random.default_rng(0).normal(size=(3, 4, 6)))


def test_an_argument_of_a_call_that_keras_2_does_not_know_is_refused():
    import keras

    x = keras.Input((4,))
    layer = keras.layers.Dense(2, name="wide")
    model = keras.Model(x, layer(x))
    next(iter(layer._inbound_nodes)).arguments.kwargs["width"] = 3
    next(iter(layer._inbound_nodes)).arguments._single_positional_tensor = None
    with pytest.raises(ModelError, match=r"'wide' \(Dense\) is called with 'width', which Keras 2 does not know"):
        bridge(model)
