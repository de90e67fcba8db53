"""What the bridge returns, and how it refuses. Imports no sibling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from device_profiles.errors import ModelError
from device_profiles.records import Record

TOLERANCE = 1e-5
FUSED_TOLERANCE = 1e-3
ALLOWED = "layers and keras.ops with a twin in Keras 2 (docs/bridge.md lists them)"
_INSTEAD = "replace it with layers that have a twin, or give litesmith a float .tflite file of the model"


@dataclass(frozen=True)
class Bridged:
    """A Keras 3 model made anew in `tf_keras`.

    Attributes:
        model: a flat `tf_keras.Model`; nested only inside `TimeDistributed`.
        layers: how many layers it has, inputs included.
        changed: by layer name, what was written another way than in Keras 3.
    """

    model: Any
    layers: int
    changed: Mapping[str, str]


class Proof(Record):
    """Both models on the same samples, in inference mode.

    Attributes:
        largest_difference: absolute, in units of the output, of the output that comes nearest to its bound.
        scale: that output's largest absolute value in Keras 3.
        samples: how many samples were used.
        fused_difference: None where the figures above are those of the twin as it is. Else, in a deep network, the last
            bits that Keras 2's fused batch normalization rounds in another way grew beyond the bound; the figures
            above are without the fused kernel, this one is with it.
    """

    largest_difference: float
    scale: float
    samples: int
    fused_difference: float | None = None


def refusal(operation: Any, name: str, why: str, next_step: str = _INSTEAD, allowed: str = ALLOWED) -> ModelError:
    """The error for a layer or operation that cannot be bridged.

    Args:
        operation: of Keras 3.
        name: of the layer as the user knows it.
        why: continues the sentence "the layer 'x' (Class) ...".
        next_step: what the user can do.
        allowed: what would have been right.
    """
    return ModelError(f"the layer '{name}' ({type(operation).__name__}) {why}", allowed, next_step)
