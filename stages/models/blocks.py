"""What the named models share: the kinds of output, the checks of a sample's shape, and the reference models' blocks.

MLPerf Tiny's convolutional references (github.com/mlcommons/tiny, `benchmark/training`) are made of the same parts: a
convolution with bias and an L2 penalty of 1e-4 on its kernel, batch normalization, ReLU. The references hand the
penalty (and MobileNet also `he_normal`) to `DepthwiseConv2D` as `kernel_regularizer` and `kernel_initializer`, but that
layer reads `depthwise_regularizer` and `depthwise_initializer`. So depthwise kernels start from `glorot_uniform` and
carry no penalty there, and here.
"""

from __future__ import annotations

from typing import Any, Literal

from device_profiles.errors import ModelError

Output = Literal["softmax", "sigmoid", "linear"]
"""The last activation: softmax for one label of many, sigmoid for several at once, linear for numbers."""

L2_PENALTY = 1e-4
_NEXT = "choose another model in the run file, or other data"


def check_image(name: str, input_shape: tuple[int, ...], least: tuple[int, int], axes: str = "height, width") -> None:
    """Refuse samples that are no images, or too small ones.

    Args:
        name: of the model.
        input_shape: of one sample, without the batch axis.
        least: smallest length of the first and second axis.
        axes: what the first two axes are called.

    Raises:
        ModelError: another number of axes, or an axis that is too short.
    """
    fits = len(input_shape) == 3 and input_shape[0] >= least[0] and input_shape[1] >= least[1] and input_shape[2] >= 1
    if not fits:
        raise ModelError(f"{name} cannot take samples of the shape {tuple(input_shape)}",
                         f"({axes}, channels) of at least ({least[0]}, {least[1]}, 1)", _NEXT)


def check_vector(name: str, input_shape: tuple[int, ...]) -> None:
    """Refuse samples that are not flat.

    Args:
        name: of the model.
        input_shape: of one sample, without the batch axis.

    Raises:
        ModelError: more or fewer axes than one, or no value at all.
    """
    if len(input_shape) != 1 or input_shape[0] < 1:
        raise ModelError(f"{name} cannot take samples of the shape {tuple(input_shape)}",
                         "(values,), a flat vector of at least 1 value", _NEXT)


def convolution(x: Any, filters: int, size: int | tuple[int, int], strides: int, name: str, initializer: str) -> Any:
    """Convolution with bias, zero-padded, its kernel penalized.  # (batch, ceil(h / s), ceil(w / s), filters)."""
    import tf_keras as keras

    return keras.layers.Conv2D(filters, size, strides=strides, padding="same", kernel_initializer=initializer,
                               kernel_regularizer=keras.regularizers.L2(L2_PENALTY), name=name)(x)


def normalize(x: Any, name: str, relu: bool = True) -> Any:
    """Batch normalization and ReLU, called `<name>_norm` and `<name>_relu`; the converter folds both away."""
    import tf_keras as keras

    x = keras.layers.BatchNormalization(name=f"{name}_norm")(x)
    return keras.layers.Activation("relu", name=f"{name}_relu")(x) if relu else x


def separable(x: Any, filters: int, strides: int, name: str, initializer: str) -> Any:
    """A 3x3 depthwise and a 1x1 convolution, each normalized.  # (batch, ceil(h / s), ceil(w / s), filters)."""
    import tf_keras as keras

    x = keras.layers.DepthwiseConv2D(3, strides=strides, padding="same", name=f"{name}_depthwise")(x)
    x = normalize(x, f"{name}_depthwise")
    x = convolution(x, filters, 1, 1, f"{name}_pointwise", initializer)
    return normalize(x, f"{name}_pointwise")


def pooled_scores(x: Any, classes: int, output: Output, initializer: str) -> Any:
    """The mean over the whole map, then a dense layer.  # (batch, classes).

    The references pool with a window of the map's size and flatten, where Keras today has a layer of its own; the
    tflite model then holds AVERAGE_POOL_2D and RESHAPE instead of MEAN, which fewer microcontroller kernels do fast.
    """
    import tf_keras as keras

    x = keras.layers.AveragePooling2D(tuple(x.shape[1:3]), name="pool")(x)  # (batch, 1, 1, filters)
    x = keras.layers.Flatten(name="flatten")(x)  # (batch, filters)
    return keras.layers.Dense(classes, activation=output, kernel_initializer=initializer, name="scores")(x)
