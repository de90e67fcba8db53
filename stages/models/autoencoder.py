"""`autoencoder`: MLPerf Tiny's anomaly detector; 269,992 parameters on 640 inputs.

Source: github.com/mlcommons/tiny, `benchmark/training/anomaly_detection/keras_model.py`, the baseline of DCASE 2020
task 2: four dense layers of 128, a bottleneck of 8, four of 128, each with batch normalization and ReLU, and a linear
output of the input's length. The reconstruction error of a sample is its anomaly score.
"""

from __future__ import annotations

from typing import Any

from stages.models.blocks import Output, check_vector, normalize

UNITS = {"encoder1": 128, "encoder2": 128, "encoder3": 128, "encoder4": 128, "bottleneck": 8,
         "decoder1": 128, "decoder2": 128, "decoder3": 128, "decoder4": 128}
"""Units of each hidden layer, by its name."""


def build(input_shape: tuple[int, ...], classes: int = 0, output: Output = "linear") -> Any:  # noqa: ARG001
    """An untrained `tf_keras.Model` with as many outputs as inputs.

    Args:
        input_shape: (values,). With 8 values or fewer the bottleneck is no narrower than the input.
        classes: not read: there are none. It is here because every builder is called alike.
        output: not read: a reconstruction is linear, whatever the range of the inputs.

    Raises:
        ModelError: the samples are not flat.
    """
    import tf_keras as keras

    check_vector("autoencoder", input_shape)
    inputs = keras.layers.Input(input_shape, name="input")
    x = inputs
    for name, units in UNITS.items():
        x = normalize(keras.layers.Dense(units, name=name)(x), name)
    outputs = keras.layers.Dense(input_shape[0], name="reconstruction")(x)  # (batch, values)
    return keras.Model(inputs, outputs, name="autoencoder")
