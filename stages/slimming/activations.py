"""Which activations work on each element by itself, so that a channel can go without the others noticing."""

from __future__ import annotations

from typing import Any

ALONE = ("linear", "relu", "relu6", "elu", "selu", "gelu", "tanh", "sigmoid", "hard_sigmoid", "swish", "silu",
         "hard_swish", "hard_silu", "softplus", "softsign", "exponential", "leaky_relu", "mish")
"""Names of functions in `tf_keras.activations` and `tf.nn`."""
_HOMES = ("tf_keras", "keras", "tensorflow")


def acts_alone(activation: Any) -> bool:
    """Whether an activation, a function or a layer, works on each element by itself; unknown ones do not."""
    if activation is None:
        return True
    name = getattr(activation, "__name__", "") or type(activation).__name__
    known = name in (*ALONE, "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU")
    home = getattr(activation, "__module__", "").partition(".")[0]
    return known and home in _HOMES
