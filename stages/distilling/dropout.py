"""Dropout of a student while a teacher teaches it.

A teacher runs in inference mode. Where values of the student are dropped at random, its outputs scatter around what
they would be in use, and the distance to the teacher's outputs counts that scatter as a fault: training makes smaller
what is dropped, whatever it is good for. `docs/distillation.md` has what that costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

KINDS = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout", "AlphaDropout")


def dropout_layers(model: Any) -> list[Any]:
    """Layers that drop values, inside wrappers and other layers too."""
    return [layer for layer in model._flatten_layers() if type(layer).__name__ in KINDS]


@contextmanager
def without_dropout(model: Any) -> Iterator[None]:
    """Nothing is dropped in calls of a `tf_keras.Model`, in training mode neither; rates are put back afterwards."""
    rates = [(layer, layer.rate) for layer in dropout_layers(model)]
    for layer, _ in rates:
        layer.rate = 0.0
    try:
        yield
    finally:
        for layer, rate in rates:
            layer.rate = rate
