"""The layers that `keras.applications` brings along: classes of Keras itself that are not in `keras.layers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stages.models.bridge.builder import Builder, MakeTwin, Twin
from stages.models.bridge.records import refusal


def layer_scale(builder: Builder, layer: Any, name: str) -> Twin:
    """`x * gamma` for each channel: a depthwise 1x1 convolution, which stays trainable and can be quantized."""
    gamma = np.asarray(layer.gamma, np.float32)

    def scale(x: Any) -> Any:
        """As the layer."""
        if len(x.shape) != 4:
            raise refusal(layer, name, f"scales a tensor of rank {len(x.shape)}", "scale images", "rank 4")
        return twin(x)

    twin = builder.kl.DepthwiseConv2D(1, use_bias=False, name=name, trainable=layer.trainable)
    builder.values.append((twin, [gamma.reshape(1, 1, -1, 1)]))
    builder.note(name, "x * gamma written as a depthwise 1x1 convolution")
    return scale


def stochastic_depth(builder: Builder, layer: Any, name: str) -> Twin:
    """Paths dropped at random in training: Dropout with one draw a sample."""
    def drop(x: Any, training: bool | None = None) -> Any:
        """As the layer."""
        if name not in made:
            made[name] = builder.kl.Dropout(layer.drop_path_rate, noise_shape=(None,) + (1,) * (len(x.shape) - 1),
                                            name=name)
        return made[name](x, training=training)

    made: dict[str, Any] = {}
    builder.note(name, "written as Dropout with one draw a sample")
    return drop


def scaled_residual(builder: Builder, layer: Any, name: str) -> Twin:
    """`first + second * scale`."""
    builder.note(name, "first + second * scale written as Rescaling and Add")

    def add(inputs: Any) -> Any:
        """As the layer."""
        first, second = inputs
        second = builder.scaled(second, f"{name}_scaled", float(layer.scale))
        return builder.add_layer_as("Add", name)([first, second])

    return add


APPLICATIONS: Mapping[str, MakeTwin] = {
    "LayerScale": layer_scale, "StochasticDepth": stochastic_depth, "CustomScaleLayer": scaled_residual,
}
