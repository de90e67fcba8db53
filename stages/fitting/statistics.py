"""Batch normalization's statistics, computed anew for the weights as they are.

In training they follow the batches as moving averages. Where small steps move weights by much (from one shared value to
the next), or channels were just removed, the averages are those of weights that are no longer there, and a model that
is good in training mode is poor in use. M. Nagel et al. 2022, "Overcoming oscillations in quantization-aware training",
arXiv:2203.11086.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.datasets.prepared import Split
from stages.fitting.batches import batches
from stages.fitting.randomness import seed_random_layers
from stages.fitting.settings import FitSettings, samples_in_epoch
from stages.models.arrays import as_mapping, given_inputs, tensor_specs


def renewing(model: Any, train: Split, settings: FitSettings, seed: int) -> Callable[[int], None]:
    """What sets the moving averages to the mean over `settings.statistics_batches` batches, in training mode.

    All other variables stay as they are.

    Args:
        model: a `tf_keras.Model`; layers in wrappers are found, and frozen ones keep what they have.
        train: what the batches are drawn from, augmented as in training.
        settings: see `FitSettings`.
        seed: with the epoch, of the batches, which are not those of the epoch.

    Returns:
        A function of the epoch (0-based). It does nothing where there is no batch normalization.
    """
    norms = [layer for layer in model._flatten_layers() if _follows_batches(layer)]
    statistics = [variable for norm in norms for variable in (norm.moving_mean, norm.moving_variance)]
    wanted = settings.statistics_batches
    if not statistics or not wanted:
        return _leave
    compiled = _compile(model, norms, statistics, train)
    drawn = samples_in_epoch(len(train.y), settings)
    few = settings.model_copy(update={
        "samples_per_epoch": min(drawn, wanted * settings.batch_size)})
    weights: NDArray[np.float32] = np.ones(len(train.y), np.float32)

    def renew(epoch: int) -> None:
        """Once."""
        seed_random_layers(model, seed, settings.epochs + epoch)
        others = _others(model, statistics)
        sums, count = [np.zeros(variable.shape, np.float64) for variable in statistics], 0
        for x, _, weight in batches(train, weights, few, seed, settings.epochs + epoch):
            for total, found in zip(sums, compiled(as_mapping(x)), strict=True):
                total += found.numpy()
            count += len(weight)
        for variable, total in zip(statistics, sums, strict=True):
            variable.assign((total / count).astype(np.float32))
        for variable, value in others:
            variable.assign(value)

    return renew


def _follows_batches(layer: Any) -> bool:
    """Whether a layer has statistics that training moves."""
    return "BatchNormalization" in type(layer).__name__ and bool(layer.trainable)


def _leave(_epoch: int) -> None:
    """The moving averages as they are."""


def _compile(model: Any, norms: list[Any], statistics: list[Any], train: Split) -> Any:
    """A compiled function over several batches: the sum of each batch's own statistics."""
    import tensorflow as tf

    given = given_inputs(model, train.x.dtype)

    def run(x: Any) -> list[Any]:
        """All batches in turn.  # x (steps, batch, *shape)."""
        sums = [tf.zeros_like(variable) for variable in statistics]
        for i in tf.range(tf.shape(tf.nest.flatten(x)[0])[0]):
            model(given(tf.nest.map_structure(lambda part, i=i: part[i], x)), training=True)
            sums = [total + variable for total, variable in zip(sums, statistics, strict=True)]
        return sums

    traced = tf.function(run, input_signature=[tensor_specs(train.x, 2)])
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # while it is traced: a moving average of the last batch alone
    try:
        return traced.get_concrete_function()
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _others(model: Any, statistics: list[Any]) -> list[tuple[Any, NDArray[Any]]]:
    """Variables that training mode may move (ranges, pruning steps), with their values."""
    own = {variable.ref() for variable in statistics}
    return [(variable, variable.numpy()) for variable in model.non_trainable_variables if variable.ref() not in own]
