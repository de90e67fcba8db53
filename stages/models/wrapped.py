"""Layers and outputs by their own names where TFMOT has wrapped them: `quant_scores` is `scores`."""

from __future__ import annotations

from typing import Any

_MODULE = "tensorflow_model_optimization"


def plain_name(layer: Any) -> str:
    """The name of the layer inside TFMOT's wrappers; of any other layer its own."""
    while type(layer).__module__.startswith(_MODULE) and hasattr(layer, "layer"):
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
