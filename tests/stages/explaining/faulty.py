"""Tiny networks, each with one fault planted in it, as float32 and int8 tflite models with samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device_profiles.tflite import read_tflite
from stages.converting.quantizing import PostTraining
from stages.explain import Case, explain
from stages.explaining.pairs import Pairing, pair_up
from stages.explaining.runs import Bench, Source
from stages.recipes import rules_for
from stages.records import CalibrationReport, ExplainResult

SHAPE, COUNT = (8, 8, 4), 96


@dataclass(frozen=True)
class Subject:
    """A float model, its int8 model, and where their samples lie."""

    plain: Source
    made: Source
    samples: Path

    def pairing(self) -> Pairing:
        return pair_up(read_tflite(self.made.content).graphs[0], read_tflite(self.plain.content).graphs[0])

    def bench(self, count: int = COUNT) -> Bench:
        return Bench(self.samples, count, self.samples.parent / "log.txt")

    def explain(self, calibration: CalibrationReport | None = None) -> ExplainResult:
        return explain(self.made, self.plain, self.bench(), Case("int8", "int8", calibration))


def samples(seed: int = 3) -> np.ndarray:
    """(96, 8, 8, 4) float32, 0 to 1."""
    return np.random.default_rng(seed).random((COUNT, *SHAPE), dtype=np.float32)


def healthy(keras: Any) -> Any:
    """conv, conv, pool, dense without softmax: nothing is wrong with it."""
    keras.utils.set_random_seed(4)
    layers = keras.layers
    return keras.Sequential([
        layers.Input(SHAPE), layers.Conv2D(16, 3, padding="same", activation="relu", name="first"),
        layers.Conv2D(8, 3, padding="same", activation="relu", name="second"),
        layers.AveragePooling2D(2, name="pool"), layers.Flatten(name="flat"), layers.Dense(3, name="scores")])


def outlier_weight(keras: Any) -> Any:
    """In `second` one weight of channels 1 and 5 is 40 times the others, on an input channel that is always zero."""
    model = healthy(keras)
    _silence(model, 7)
    kernel, bias = model.get_layer("second").get_weights()
    kernel[1, 1, 7, 1] = kernel[1, 1, 7, 5] = 40 * np.abs(kernel).max()
    model.get_layer("second").set_weights([kernel, bias])
    return model


def dead_channels(keras: Any) -> Any:
    """Channels 2 and 7 of `first` are zero on all samples."""
    model = healthy(keras)
    _silence(model, 2, 7)
    return model


def _silence(model: Any, *channels: int) -> None:
    kernel, bias = model.get_layer("first").get_weights()
    kernel[..., list(channels)] = -np.abs(kernel[..., list(channels)])
    bias[list(channels)] = -0.01
    model.get_layer("first").set_weights([kernel, bias])


def outlier_channel(keras: Any) -> Any:
    """Channel 3 of `first` reaches 60 times as far as the others; the next layer takes it back."""
    model = healthy(keras)
    kernel, bias = model.get_layer("first").get_weights()
    kernel[..., 3] *= 60
    model.get_layer("first").set_weights([kernel, bias])
    kernel, bias = model.get_layer("second").get_weights()
    kernel[:, :, 3] /= 60
    model.get_layer("second").set_weights([kernel, bias])
    return model


def _normalized(keras: Any, build: Callable[[Any, Any], Any]) -> Any:
    """A network of its own middle, with a batch normalization whose factors are uneven."""
    keras.utils.set_random_seed(4)
    layers = keras.layers
    given = layers.Input(SHAPE)
    hidden = build(layers, given)
    model = keras.Model(given, layers.Dense(3, name="scores")(layers.GlobalAveragePooling2D(name="pool")(hidden)))
    gamma, beta, mean, variance = model.get_layer("norm").get_weights()
    rng = np.random.default_rng(0)
    model.get_layer("norm").set_weights([rng.uniform(0.1, 4, gamma.shape), beta + 0.1, mean, variance])
    return model


def activation_before_norm(keras: Any) -> Any:
    """conv with ReLU, then batch normalization."""
    return _normalized(keras, lambda layers, x: layers.BatchNormalization(name="norm")(
        layers.Conv2D(8, 3, activation="relu", name="conv")(x)))


def norm_read_twice(keras: Any) -> Any:
    """A convolution whose output goes to a batch normalization and past it."""
    def build(layers: Any, x: Any) -> Any:
        conv = layers.Conv2D(8, 3, name="conv")(x)
        return layers.Multiply(name="both")([layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(conv)),
                                             layers.Activation("tanh", name="tanh")(conv)])
    return _normalized(keras, build)


def folded_norm(keras: Any) -> Any:
    """conv, batch normalization, ReLU: as it should be."""
    return _normalized(keras, lambda layers, x: layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(
        layers.Conv2D(8, 3, name="conv")(x))))


def unequal_branches(keras: Any) -> Any:
    """An addition of a branch 200 times as large as the other."""
    keras.utils.set_random_seed(4)
    layers = keras.layers
    given = layers.Input(SHAPE)
    small, large = (layers.Conv2D(8, 3, activation="relu", name=name)(given) for name in ("small", "large"))
    hidden = layers.Add(name="sum")([small, large])
    hidden = layers.Conv2D(4, 3, name="last")(hidden)
    model = keras.Model(given, layers.Dense(3, name="scores")(layers.Flatten(name="flat")(hidden)))
    kernel, bias = model.get_layer("large").get_weights()
    model.get_layer("large").set_weights([kernel * 200, bias])
    return model


def converted(model: Any) -> bytes:
    """A `tf_keras.Model` as a float32 tflite model."""
    import tensorflow as tf

    return bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())


def subject(folder: Path, plain: bytes, calibration: np.ndarray | None = None, number_format: str = "int8") -> Subject:
    """The model in both forms.

    Args:
        folder: for the samples.
        plain: the float32 tflite model.
        calibration: samples that set the ranges; None: those that are looked at.
        number_format: of `made`.
    """
    values = samples()
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "samples.npy", values)
    work = PostTraining(plain, rules_for(number_format))
    made = work.quantize(work.calibrate(values if calibration is None else calibration), {})
    return Subject(Source(plain, {}, "float32"), Source(made, {}, number_format), folder / "samples.npy")
