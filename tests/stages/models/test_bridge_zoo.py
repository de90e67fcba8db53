"""Every layer, operation and activation that the bridge knows, each proven on random samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.models.bridge import bridge, prove
from tests.stages.models import bridge_zoo


def randomized(model: Any, seed: int = 0) -> Any:
    """The model with weights drawn anew, moving statistics included, so that no layer is a neutral one."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        low, high = (0.5, 1.5) if "variance" in weight.path or "gamma" in weight.path else (-0.6, 0.6)
        if weight.dtype == "float32":
            weight.assign(rng.uniform(low, high, weight.shape).astype(np.float32))
    return model


@pytest.mark.parametrize("name", sorted(bridge_zoo.LAYERS))
def test_the_layer_computes_the_same_in_keras_2(name):
    import keras

    shape, make = bridge_zoo.LAYERS[name]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, make(keras.layers, keras.ops)(inputs))
    model = model if name == "normalization_adapted" else randomized(model)
    samples = np.random.default_rng(1).normal(size=(5, *shape)).astype(np.float32)
    proof = prove(model, bridge(model).model, samples)
    assert proof.largest_difference <= 1e-5 * max(1, proof.scale)
    assert proof.scale > 0


@pytest.mark.parametrize("name", sorted(bridge_zoo.OPERATIONS))
def test_the_operation_computes_the_same_in_keras_2(name):
    import keras

    x, y = keras.Input((6, 6, 4), name="x"), keras.Input((6, 6, 4), name="y")
    made = bridge_zoo.OPERATIONS[name](keras.ops, x, y)
    outputs = [*made, y] if isinstance(made, list | tuple) else [made, y]
    model = keras.Model([x, y], outputs)
    rng = np.random.default_rng(2)
    samples = {"x": rng.normal(size=(3, 6, 6, 4)).astype(np.float32),
               "y": rng.uniform(0.5, 2, (3, 6, 6, 4)).astype(np.float32)}
    bridged = bridge(model)
    prove(model, bridged.model, samples)
    assert not [layer for layer in bridged.model.layers if type(layer).__name__ == "Lambda"]


@pytest.mark.parametrize("name", bridge_zoo.ACTIVATIONS)
def test_the_activation_computes_the_same_in_a_dense_layer_and_alone(name):
    import keras

    inputs = keras.Input((6,))
    x = keras.layers.Dense(8, activation=name, name="kernel")(inputs)
    model = randomized(keras.Model(inputs, keras.layers.Activation(name)(x)))
    samples = np.random.default_rng(3).normal(0, 3, (20, 6)).astype(np.float32)
    bridged = bridge(model)
    prove(model, bridged.model, samples)
    assert bridged.model.get_layer("kernel").kernel.shape == (6, 8)
