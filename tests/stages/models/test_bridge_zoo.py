"""Every layer, operation and activation that the bridge knows, each proven on random samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


IMAGE_STEPS = ("conv_2d_groups", "batch_normalization", "depthwise_2d", "separable_2d", "up_sampling_2d",
               "zero_padding_2d", "conv_2d_transpose", "random_flip", "rescaling", "average_pooling_2d", "prelu")
PLAIN_OPERATIONS = ("add", "clip", "exp", "hard_silu", "maximum", "mean_keepdims", "multiply", "relu6", "sigmoid",
                    "softmax", "subtract_constant_left", "tanh", "where", "getitem_reversed", "squareplus", "sqrt")


@settings(max_examples=8, deadline=None, derandomize=True)
@given(steps=st.lists(st.sampled_from(IMAGE_STEPS), min_size=1, max_size=4),
       operations=st.lists(st.sampled_from(PLAIN_OPERATIONS), min_size=1, max_size=5),
       nested=st.booleans(), seed=st.integers(0, 1000))
def test_random_graphs_of_layers_and_operations_are_proven(steps, operations, nested, seed):
    import keras

    inputs = keras.Input((8, 8, 4))
    x = inputs
    for step in steps:
        layer = bridge_zoo.LAYERS[step][1](keras.layers, keras.ops)
        part = keras.Sequential([keras.Input(x.shape[1:]), layer]) if nested else layer
        x = part(x)
    for operation in operations:
        other = keras.layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(x) + 0.5
        bounded = keras.ops.tanh(x)
        x = bridge_zoo.OPERATIONS[operation](keras.ops, other if operation == "sqrt" else bounded, other)
    model = randomized(keras.Model(inputs, x), seed)
    prove(model, bridge(model).model, np.random.default_rng(seed).normal(size=(3, 8, 8, 4)))
