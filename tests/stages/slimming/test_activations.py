"""Activations that act on each element by themselves, and those that mix channels or may do so."""

from __future__ import annotations

import pytest

from stages.slimming.activations import ALONE, acts_alone


@pytest.mark.parametrize("name", ["linear", "relu", "swish", "gelu", "hard_sigmoid", "mish", "exponential"])
def test_an_elementwise_activation_acts_alone(name: str) -> None:
    import tf_keras as keras

    assert acts_alone(keras.activations.get(name))


@pytest.mark.parametrize("name", ["softmax"])
def test_an_activation_over_the_channels_does_not(name: str) -> None:
    import tf_keras as keras

    assert not acts_alone(keras.activations.get(name))


def test_functions_of_tensorflow_and_layers_are_known_too() -> None:
    import tensorflow as tf
    import tf_keras as keras

    assert acts_alone(tf.nn.relu6)
    assert acts_alone(keras.layers.ReLU(6.0))
    assert not acts_alone(keras.layers.Softmax())


def test_a_user_s_own_function_does_not_act_alone_even_under_a_known_name() -> None:
    def relu(x: float) -> float:
        return x

    assert not acts_alone(relu)
    assert not acts_alone(lambda x: x)


def test_the_elementwise_activations_of_keras_leave_other_elements_alone() -> None:
    import numpy as np
    import tensorflow as tf
    import tf_keras as keras

    x = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
    changed = x.copy()
    changed[:, 1] += 1
    known = [name for name in ALONE if hasattr(keras.activations, name)]
    assert len(known) > 10
    for name in known:
        function = keras.activations.get(name)
        one, other = (np.asarray(function(tf.constant(each)))[:, ::2] for each in (x, changed))
        assert np.array_equal(one, other), name
