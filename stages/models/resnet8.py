"""`resnet8`: MLPerf Tiny's image classification model; 78,666 parameters on 32x32x3 inputs and 10 classes.

Source: github.com/mlcommons/tiny, `benchmark/training/image_classification/keras_model.py`, `resnet_v1_eembc` with
16 filters as in its trained file `pretrainedResnet.h5`. Three stacks of one residual block each; the second and third
halve the image and double the filters, and their shortcut is a 1x1 convolution without normalization.
"""
from __future__ import annotations

from typing import Any

from stages.models.blocks import Output, check_image, convolution, normalize, pooled_scores

FILTERS = (16, 32, 64)
LEAST_SIDE = 4  # halved twice


def build(input_shape: tuple[int, ...], classes: int, output: Output = "softmax") -> Any:
    """An untrained `tf_keras.Model`.

    Args:
        input_shape: (height, width, channels); sides of at least `LEAST_SIDE`. The reference pools with a square
            window of the shorter side; here the window is the whole map, which is the same on square images.
        classes: how many outputs there are.
        output: the last activation.

    Raises:
        ModelError: the samples are no images, or too small.
    """
    import tf_keras as keras

    check_image("resnet8", input_shape, (LEAST_SIDE, LEAST_SIDE))
    inputs = keras.layers.Input(input_shape, name="input")
    x = normalize(_convolution(inputs, FILTERS[0], 3, 1, "stem"), "stem")
    x = _residual(x, FILTERS[0], 1, "stack1")
    x = _residual(x, FILTERS[1], 2, "stack2")  # (batch, height / 2, width / 2, 32)
    x = _residual(x, FILTERS[2], 2, "stack3")  # (batch, height / 4, width / 4, 64)
    return keras.Model(inputs, pooled_scores(x, classes, output, "he_normal"), name="resnet8")


def _residual(x: Any, filters: int, strides: int, name: str) -> Any:
    """Two convolutions beside a shortcut.  # (batch, ceil(h / s), ceil(w / s), filters)."""
    import tf_keras as keras

    y = normalize(_convolution(x, filters, 3, strides, f"{name}_conv1"), f"{name}_conv1")
    y = normalize(_convolution(y, filters, 3, 1, f"{name}_conv2"), f"{name}_conv2", relu=False)
    if strides > 1:
        x = _convolution(x, filters, 1, strides, f"{name}_shortcut")
    x = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.Activation("relu", name=f"{name}_relu")(x)


def _convolution(x: Any, filters: int, size: int, strides: int, name: str) -> Any:
    """A convolution as the reference starts it."""
    return convolution(x, filters, size, strides, name, "he_normal")
