"""The networks behind the published latencies, rebuilt with random weights: only their shapes matter here.

EdgeMark's and MLPerf Tiny's networks are written from their published descriptions, EfficientNet-Lite from the scaling
rules of its README (width, depth, resolution; stem, head, first and last stage not scaled). A network is right when its
MACs and parameters agree with the published ones, which `roofline_error.py` prints.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

EFFICIENTNET_LITE = {0: (1.0, 1.0, 224), 1: (1.0, 1.1, 240), 2: (1.1, 1.2, 260), 3: (1.2, 1.4, 280), 4: (1.4, 1.8, 300)}
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
           (1, 3, 1, 6, 320))  # repeats, kernel, stride, expansion, channels

EDGEMARK_CNN: dict[str, tuple[tuple[int, int, int], str, str, bool]] = {
    # name: (input, convolutions, dense, batch normalization); "16s2": 16 channels, stride 2; "p": 2x2 max pooling
    "CNN_1": ((28, 28, 1), "4s2 6s2 8s2 g", "10", False),
    "CNN_2": ((28, 28, 1), "6s2 8s2 8s2 10s2 f", "10", False),
    "CNN_3": ((28, 28, 1), "4s1 8s2 12s2 16s2 20s2 f", "10", False),
    "CNN_4": ((28, 28, 1), "8s1 8s2 16s1 16s2 32s1 g", "64 16 10", False),
    "CNN_5": ((32, 32, 3), "16s1 16s1 p 32s2 32s1 g", "64 32 10", True),
    "CNN_6": ((32, 32, 3), "16s1 16s1 p 32s1 32s1 p 64s1 g", "100 50 10", True),
    "CNN_7": ((32, 32, 3), "16s1 16s1 p 32s1 32s1 p 64s1 64s1 p 128s1 g", "128 64 10", True),
}
EDGEMARK_FC: dict[str, tuple[int, str]] = {
    "FC_0": (1, "1"), "FC_1": (1, "5 1"), "FC_2": (1, "10 10 1"), "FC_3": (50, "16 8 10"), "FC_4": (50, "32 16 10"),
    "FC_5": (13, "64 32 16 1"), "FC_6": (13, "64 64 64 1"), "FC_7": (128, "64 32 16 10"), "FC_8": (13, "128 128 128 1"),
    "FC_9": (784, "60 32 16 10"), "FC_10": (3072, "64 32 16 10"),
}


def build(name: str) -> Any:
    """An untrained `tf_keras` model by the name that the benchmark uses."""
    import tf_keras as keras

    if name in EDGEMARK_CNN:
        return _edgemark_cnn(*EDGEMARK_CNN[name])
    if name in EDGEMARK_FC:
        size, layers = EDGEMARK_FC[name]
        return keras.Sequential([keras.layers.Input((size,)), *_dense(layers)])
    if name.startswith("EfficientNet-Lite"):
        return _efficientnet_lite(*EFFICIENTNET_LITE[int(name[-1])])
    return _OTHERS[name]()


def _dense(layers: str) -> list[Any]:
    import tf_keras as keras

    *hidden, last = [int(word) for word in layers.split()]
    scores = "softmax" if last > 1 else None
    return [keras.layers.Dense(n, activation="relu") for n in hidden] + [keras.layers.Dense(last, activation=scores)]


def _edgemark_cnn(shape: tuple[int, int, int], convolutions: str, dense: str, normalized: bool) -> Any:
    import tf_keras as keras

    layers: list[Any] = [keras.layers.Input(shape)]
    for word in convolutions.split():
        if word == "p":
            layers.append(keras.layers.MaxPooling2D())
        elif word in "gf":
            layers.append(keras.layers.GlobalAveragePooling2D() if word == "g" else keras.layers.Flatten())
        else:
            channels, stride = word.split("s")
            layers.append(keras.layers.Conv2D(int(channels), 3, int(stride), padding="same"))
            layers += [keras.layers.BatchNormalization()] * normalized
            layers.append(keras.layers.ReLU())
    return keras.Sequential([*layers, *_dense(dense)])


def _normalized(x: Any, layer: Any, activation: bool = True) -> Any:
    """Layer, batch normalization, ReLU6."""
    import tf_keras as keras

    x = keras.layers.BatchNormalization()(layer(x))
    return keras.layers.ReLU(6.0)(x) if activation else x


def _efficientnet_lite(width: float, depth: float, resolution: int) -> Any:
    """Classifier with 1,000 classes."""
    import tf_keras as keras

    inputs = keras.layers.Input((resolution, resolution, 3))
    x = _normalized(inputs, keras.layers.Conv2D(32, 3, 2, padding="same", use_bias=False))
    for number, (repeats, kernel, stride, expansion, channels) in enumerate(_STAGES):
        scaled = number not in (0, len(_STAGES) - 1)
        for repeat in range(math.ceil(repeats * depth) if scaled else repeats):
            x = _mobile_block(x, kernel, stride if repeat == 0 else 1, expansion, _round8(channels * width))
    x = _normalized(x, keras.layers.Conv2D(1280, 1, use_bias=False))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(1000, activation="softmax")(x))


def _round8(channels: float) -> int:
    """To the nearest multiple of 8, not below 90 %."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _mobile_block(x: Any, kernel: int, stride: int, expansion: int, channels: int) -> Any:
    """Inverted residual: expand, depthwise, project; added to its input where shapes agree."""
    import tf_keras as keras

    inputs, width = x, x.shape[-1]
    if expansion != 1:
        x = _normalized(x, keras.layers.Conv2D(width * expansion, 1, use_bias=False))
    x = _normalized(x, keras.layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False))
    x = _normalized(x, keras.layers.Conv2D(channels, 1, use_bias=False), activation=False)
    return keras.layers.Add()([x, inputs]) if stride == 1 and width == channels else x


def _autoencoder() -> Any:
    """MLPerf Tiny anomaly detection: 640, four times 128, 8, four times 128, 640."""
    import tf_keras as keras

    layers: list[Any] = [keras.layers.Input((640,))]
    for width in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        layers += [keras.layers.Dense(width), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    return keras.Sequential([*layers, keras.layers.Dense(640)])


def _ds_cnn() -> Any:
    """MLPerf Tiny keyword spotting."""
    import tf_keras as keras

    inputs = x = keras.layers.Input((49, 10, 1))
    x = _normalized(x, keras.layers.Conv2D(64, (10, 4), 2, padding="same"))
    for _ in range(4):
        x = _normalized(x, keras.layers.DepthwiseConv2D(3, padding="same"))
        x = _normalized(x, keras.layers.Conv2D(64, 1))
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D((25, 5))(x))
    return keras.Model(inputs, keras.layers.Dense(12, activation="softmax")(x))


def _resnet8() -> Any:
    """MLPerf Tiny image classification."""
    import tf_keras as keras

    inputs = x = keras.layers.Input((32, 32, 3))
    x = _normalized(x, keras.layers.Conv2D(16, 3, padding="same"))
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        y = _normalized(x, keras.layers.Conv2D(channels, 3, stride, padding="same"))
        y = _normalized(y, keras.layers.Conv2D(channels, 3, padding="same"), activation=False)
        x = keras.layers.Conv2D(channels, 1, stride, padding="same")(x) if stride > 1 else x
        x = keras.layers.ReLU()(keras.layers.Add()([x, y]))
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(x))
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))


def _application(name: str, size: int, **options: Any) -> Callable[[], Any]:
    def make() -> Any:
        import tf_keras as keras

        return getattr(keras.applications, name)(input_shape=(size, size, 3), weights=None, **options)

    return make


_OTHERS: dict[str, Callable[[], Any]] = {
    "TinyMLPerf_AE": _autoencoder, "TinyMLPerf_DS_CNN": _ds_cnn, "TinyMLPerf_ResNet": _resnet8,
    "TinyMLPerf_MBNet": _application("MobileNet", 96, alpha=0.25, classes=2),
    "MobileNetV1": _application("MobileNet", 224), "NASNet mobile": _application("NASNetMobile", 224),
    "Inception_ResNet_V2": _application("InceptionResNetV2", 299),
}


def convert(model: Any, number_format: str) -> bytes:
    """The plain converter; integer formats are calibrated on one random sample, since only the shapes matter."""
    import numpy as np
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if number_format != "float32":
        sample = np.random.default_rng(1).random((1, *model.input_shape[1:]), dtype=np.float32)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample] for _ in range(2))
        kinds = {"int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
                 "int16x8": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8}
        converter.target_spec.supported_ops = [kinds[number_format]]
        kind = tf.int8 if number_format == "int8" else tf.int16
        converter.inference_input_type = converter.inference_output_type = kind
    return bytes(converter.convert())
