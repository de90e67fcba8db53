"""`mlp`: two hidden dense layers for tabular data; 64 and 32 units with batch normalization and ReLU.

Batch normalization is folded into the dense layer by the converter, so it costs nothing on the device, and it keeps
the activations of all units in one range: one int8 scale for the whole tensor then fits each of them.
"""

from __future__ import annotations

from typing import Any

from stages.models.blocks import Output, check_vector, normalize

UNITS = (64, 32)


def build(input_shape: tuple[int, ...], classes: int, output: Output = "softmax") -> Any:
    """An untrained `tf_keras.Model`.

    Args:
        input_shape: (values,).
        classes: how many outputs there are: classes, labels or targets.
        output: the last activation.

    Raises:
        ModelError: the samples are not flat.
    """
    import tf_keras as keras

    check_vector("mlp", input_shape)
    inputs = keras.layers.Input(input_shape, name="input")
    x = inputs
    for number, units in enumerate(UNITS, 1):
        x = normalize(keras.layers.Dense(units, name=f"dense{number}")(x), f"dense{number}")  # (batch, units)
    outputs = keras.layers.Dense(classes, activation=output, name="scores")(x)  # (batch, classes)
    return keras.Model(inputs, outputs, name="mlp")
