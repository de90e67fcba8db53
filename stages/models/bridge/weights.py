"""Weights copied from Keras 3 layers to their twins, by name and shape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.models.bridge.records import refusal

_RENAMED = {("DepthwiseConv1D", "kernel"): "depthwise_kernel", ("DepthwiseConv2D", "kernel"): "depthwise_kernel"}
_LORA = ("lora_kernel_a", "lora_kernel_b", "lora_embeddings_a", "lora_embeddings_b")


def copy_weights(pairs: Iterable[tuple[Any, Any]]) -> None:
    """Give each twin the weights of its Keras 3 layer.

    Args:
        pairs: (Keras 3 layer, built `tf_keras` layer).

    Raises:
        ModelError: the two have other weights, or of other shapes.
    """
    import tf_keras

    values: list[tuple[Any, NDArray[Any]]] = []
    for layer, twin in pairs:
        values += _matched(layer, twin)
    tf_keras.backend.batch_set_value(values)


def _matched(layer: Any, twin: Any) -> list[tuple[Any, NDArray[Any]]]:
    """(variable of the twin, value) for all of a layer's weights.

    Both libraries call a weight by the same last word (`kernel`), but list frozen and trained ones in another order; so
    the n-th `kernel` of the one belongs to the n-th of the other.
    """
    kind = type(layer).__name__
    names = [weight.path.split("/")[-1] for weight in layer.weights]
    sources = _by_name(zip([_RENAMED.get((kind, name), name) for name in names], layer.weights, strict=True))
    targets = _by_name((weight.name.split("/")[-1].split(":")[0], weight) for weight in twin.weights)
    sources = {key: weight for key, weight in sources.items() if key[0] not in _LORA}
    if sources.keys() != targets.keys():
        other = sorted(f"{name}" for name, _ in sources.keys() ^ targets.keys())
        raise refusal(layer, layer.name, f"has other weights than its twin in Keras 2: {', '.join(other)}")
    found = []
    for key, target in targets.items():
        value = _value(layer, sources[key])
        if value.shape != tuple(target.shape):
            raise refusal(layer, layer.name, f"has a weight '{key[0]}' of shape {value.shape}; its twin's is "
                          f"{tuple(target.shape)}")
        found.append((target, value))
    return found


def _by_name(named: Iterable[tuple[str, Any]]) -> dict[tuple[str, int], Any]:
    """Variables by (name, how many of this name came before)."""
    seen: dict[str, int] = defaultdict(int)
    found = {}
    for name, variable in named:
        found[name, seen[name]] = variable
        seen[name] += 1
    return found


def _value(layer: Any, weight: Any) -> NDArray[Any]:
    """A weight as an array; float types as float32, low-rank (LoRA) updates added in."""
    import keras

    if getattr(layer, "lora_enabled", False) and weight is getattr(layer, "_kernel", None):
        weight = layer.kernel
    if getattr(layer, "lora_enabled", False) and weight is getattr(layer, "_embeddings", None):
        weight = layer.embeddings
    value = np.asarray(keras.ops.convert_to_numpy(weight))
    return value if np.issubdtype(value.dtype, np.integer) else value.astype(np.float32)
