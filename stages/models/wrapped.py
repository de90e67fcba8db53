"""Layers and outputs by their own names where they were wrapped: `quant_scores` is `scores`."""

from __future__ import annotations

from typing import Any

_MODULES = ("tensorflow_model_optimization", "stages.clustering")
"""Where the classes of the wrappers are."""


def plain_name(layer: Any) -> str:
    """The name of the layer inside its wrappers; of any other layer its own."""
    while type(layer).__module__.startswith(_MODULES) and hasattr(layer, "layer"):
        layer = layer.layer
    return str(layer.name)


def name_outputs_plainly(model: Any) -> None:
    """Call a wrapped model's outputs what they were called before, which is how a task knows them.

    Args:
        model: a functional or Sequential `tf_keras.Model`; changed in place.
    """
    names = []
    for tensor, name in zip(model.outputs, model.output_names, strict=True):
        layer = tensor._keras_history.layer
        names.append(plain_name(layer) if plain_name(layer) != layer.name else name)
    model.output_names = names
