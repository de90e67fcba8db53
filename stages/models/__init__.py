"""Keras models: those that can be named, and how a model is kept in a file. `BUILDERS` lists them by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from device_profiles.errors import ModelError, with_near_miss
from stages.models import applications, autoencoder, ds_cnn, mlp, mobilenet_v1_025, resnet8, small_cnn
from stages.models.blocks import Output

Builder = Callable[..., Any]
"""`builder(input_shape, classes, output="softmax")` gives an untrained, uncompiled `tf_keras.Model`."""

BUILDERS: dict[str, Builder] = {
    "small_cnn": small_cnn.build,
    "mlp": mlp.build,
    "resnet8": resnet8.build,
    "ds_cnn": ds_cnn.build,
    "mobilenet_v1_025": mobilenet_v1_025.build,
    "autoencoder": autoencoder.build,
}

MODEL_NAMES = (*BUILDERS, *(applications.PREFIX + name for name in applications.NAMES))
"""Every model that can be named."""


def model_name(name: str) -> str:
    """A model's name in its canonical spelling: `applications/mobilenetv2` is `applications/MobileNetV2`.

    Args:
        name: a key of `BUILDERS`, or `applications/` and the name of one of `tf_keras.applications`.

    Raises:
        ModelError: no such model; the nearest name is said. Nothing heavy is imported.
    """
    if name in BUILDERS:
        return name
    if name.startswith(applications.PREFIX):
        return applications.PREFIX + applications.application_name(name)
    raise ModelError(with_near_miss(f"no model is called '{name}'", name, [*MODEL_NAMES, *applications.NAMES]),
                     ", ".join([*sorted(BUILDERS), f"{applications.PREFIX}NAME"]), "set model in the run file")


def build_model(name: str, input_shape: tuple[int, ...], classes: int, output: Output = "softmax",
                weights: Path | str | None = None) -> Any:
    """A `tf_keras.Model`, untrained but for the weights that are asked for.

    Args:
        name: as `model_name` takes it.
        input_shape: of one sample, without the batch axis.
        classes: how many outputs there are.
        output: the last activation.
        weights: of an application's backbone: see `applications.build`.

    Raises:
        ModelError: no such model, or it cannot take inputs of this shape, or these weights.
    """
    name = model_name(name)
    if name.startswith(applications.PREFIX):
        return applications.build(name, input_shape, classes, output, weights)
    if weights is not None:
        raise ModelError(f"{name} has no pretrained weights; '{weights}' was given for it",
                         f"weights for {applications.PREFIX}NAME alone", "leave the weights out")
    builder = BUILDERS[name]
    # a builder that knows two arguments alone is good for all that ends in a softmax
    return builder(input_shape, classes) if output == "softmax" else builder(input_shape, classes, output)
