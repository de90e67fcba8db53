"""What the channel solver sees of a small model, in a form that can be written down by hand."""

from __future__ import annotations

from typing import Any

from stages.slimming.spaces import find_spaces
from stages.slimming.trace import trace


def spaces_of(model: Any, *protect: str) -> list[tuple[int, dict[str, int]]]:
    """(classes, {layer: channels a class}) of each space."""
    return [(len(space.classes), space.layers) for space in find_spaces(trace(model, protect))]


def fixed_of(model: Any, *protect: str) -> dict[str, str]:
    """By layer, why channels stay."""
    return trace(model, protect).fixed()


def headed(inputs: Any, x: Any) -> Any:
    """The model that ends in a dense layer of two outputs called `out`."""
    import tf_keras as keras

    return keras.Model(inputs, keras.layers.Dense(2, name="out")(keras.layers.Flatten()(x)))
