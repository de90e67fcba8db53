"""`small_cnn`: three 3x3 convolutions for small images; 19,450 parameters on 8x8x1 inputs and 10 classes.

Convolution, batch normalization, ReLU in this order: the converter folds the normalization into the convolution, and
quantization-aware training knows the pattern. The global average pool leaves a dense layer of 48 inputs whatever the
image's size, and no reshape, so the tflite model can be resized to any batch and stays clean for microcontrollers.
"""

from __future__ import annotations

from typing import Any

from stages.models.blocks import Output, check_image

FILTERS = (16, 32, 48)
LEAST_SIDE = 2  # halved once
DROPOUT = 0.2
MOMENTUM = 0.9  # Keras' 0.99 needs some 500 steps to follow the batches; small data has 20 an epoch


def build(input_shape: tuple[int, ...], classes: int, output: Output = "softmax") -> Any:
    """An untrained `tf_keras.Model`.

    Args:
        input_shape: (height, width, channels), each side at least 2.
        classes: how many outputs there are.
        output: the last activation.

    Raises:
        ModelError: the samples are no images, or too small for the pooling.
    """
    import tf_keras as keras

    check_image("small_cnn", input_shape, (LEAST_SIDE, LEAST_SIDE))
    inputs = keras.layers.Input(input_shape, name="input")
    x = _block(inputs, FILTERS[0], 1)
    x = _block(x, FILTERS[1], 2)
    x = keras.layers.MaxPooling2D(name="pool")(x)  # (batch, height / 2, width / 2, 32)
    x = _block(x, FILTERS[2], 3)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)  # (batch, 48)
    x = keras.layers.Dropout(DROPOUT, name="dropout")(x)
    outputs = keras.layers.Dense(classes, activation=output, name="scores")(x)  # (batch, classes)
    return keras.Model(inputs, outputs, name="small_cnn")


def _block(x: Any, filters: int, number: int) -> Any:
    """Convolution, normalization, ReLU.  # (batch, height, width, filters)."""
    import tf_keras as keras

    x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{number}")(x)
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"norm{number}")(x)
    return keras.layers.ReLU(name=f"relu{number}")(x)
