"""Layers that hold other layers."""

from __future__ import annotations

import numpy as np

from stages.models.bridge import bridge, prove
from tests.stages.models.test_bridge_layers import over


def test_weights_are_matched_by_name_where_frozen_ones_come_in_another_order():
    import keras

    inner = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(), keras.layers.Dense(3)])
    model = over((2, 4), keras.layers.TimeDistributed(inner))
    for weight in model.weights:
        weight.assign(np.random.default_rng(len(weight.path)).uniform(0.5, 1, weight.shape))
    prove(model, bridge(model).model, np.random.default_rng(0).normal(size=(3, 2, 4)))


def test_a_model_inside_time_distributed_stays_nested_and_its_activations_are_rewritten():
    import keras

    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="hard_silu", name="d")], name="inner")
    model = over((2, 4), keras.layers.TimeDistributed(inner, name="frames"))
    made = bridge(model)
    frames = made.model.get_layer("frames").layer
    assert [layer.name for layer in frames.layers][1:] == [
        "d", "d_hard_silu_gate_plus3", "d_hard_silu_gate_relu6", "d_hard_silu_gate_sixth", "d_hard_silu"]
    prove(model, made.model, np.random.default_rng(0).normal(size=(3, 2, 4)))
