"""TFMOT's pruning wrappers, put on with a schedule for each kernel, and kept in force to the end of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stages.pruning.kernels import DEPTHWISE, GROUP, NONZERO, variable_of

_UPDATES_PER_EPOCH = 4


@dataclass(frozen=True)
class Ramp:
    """How the share of zeros grows.

    Attributes:
        initial: share that it starts from.
        epochs: that it grows for.
        steps: of gradient in these epochs.
    """

    initial: float
    epochs: int
    steps: int


def wrap_pruning(source: Any, shares: Mapping[str, float], ramp: Ramp, pattern: bool) -> Any:
    """The model with TFMOT's pruning wrappers, ready for its first step.

    Args:
        source: a flat `tf_keras.Model`; its layers are used again.
        shares: of zeros, by layer; layers with none are left alone.
        ramp: see `Ramp`; a pattern is there from the first step on.
        pattern: two zeros in every four weights instead of the smallest of all.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    api = tfmot.sparsity.keras

    def wrap(layer: Any) -> Any:
        """The layer in a pruning wrapper, or as it is."""
        share = shares.get(layer.name, 0.0)
        if not share:
            return layer
        if type(layer).__name__ == DEPTHWISE:  # TFMOT's registry has the layer without its kernel
            layer.get_prunable_weights = lambda: [variable_of(layer)]
        schedule = _schedule(share, ramp)
        if pattern:
            return api.prune_low_magnitude(layer, schedule, sparsity_m_by_n=(GROUP - NONZERO, GROUP))
        return api.prune_low_magnitude(layer, schedule)

    wrapped = keras.models.clone_model(source, clone_function=wrap)
    for layer in wrapped.layers:
        if hasattr(layer, "pruning_step"):
            layer.pruning_step.assign(0)  # TFMOT's UpdatePruningStep callback does this in Keras' own fit
    return wrapped


def zero_again(wrapped: Any) -> None:
    """Undo what the last gradient step did to pruned weights."""
    for layer in wrapped.layers:
        if hasattr(layer, "pruning_obj"):
            layer.pruning_obj.weight_mask_op()


def strip_pruning(wrapped: Any) -> Any:
    """The plain model with the pruned kernels."""
    import tensorflow_model_optimization as tfmot

    return tfmot.sparsity.keras.strip_pruning(wrapped)


def _schedule(share: float, ramp: Ramp) -> Any:
    """How the share of zeros grows: along a polynomial, or at once where the ramp has no room for two updates.

    Masks change on steps 1, 1 + every, 1 + 2 * every, ...; the ramp ends on one of these, or its last rise is left out.
    """
    import tensorflow_model_optimization as tfmot

    api = tfmot.sparsity.keras
    every = max(1, ramp.steps // (ramp.epochs * _UPDATES_PER_EPOCH))
    last = 1 + (ramp.steps - 1) // every * every
    if last == 1:
        return api.ConstantSparsity(share, begin_step=1, end_step=1, frequency=1)
    return api.PolynomialDecay(initial_sparsity=min(ramp.initial, share), final_sparsity=share, begin_step=1,
                               end_step=last, frequency=every)
