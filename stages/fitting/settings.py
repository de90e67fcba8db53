"""What a user may set for a training, and what follows from it: steps, learning rates, the optimizer."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from device_profiles.records import Record
from stages.augmentation import Augmentation

_KERNEL_RANK = 2
"""Least axes of a tensor that decays."""


class FitSettings(Record):
    """What a user may set for a training."""

    epochs: int = Field(default=30, ge=1, description="most epochs to train")
    batch_size: int = Field(default=64, ge=1, description="samples a step")
    samples_per_epoch: int | None = Field(
        default=None, ge=1, description="training samples in an epoch, drawn anew each time; unset: all of them")
    optimizer: Literal["adam", "sgd"] = Field(default="adam", description="adam, or sgd with momentum")
    learning_rate: float = Field(default=3e-3, gt=0, description="of the optimizer, at the start")
    schedule: Literal["cosine", "constant"] = Field(default="cosine", description="how the learning rate falls")
    warmup_epochs: int = Field(
        default=0, ge=0, description="first epochs, in which the learning rate rises in equal steps to its full value")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of sgd (Nesterov's); adam has its own")
    weight_decay: float = Field(
        default=0.0, ge=0, description="share of each kernel that a step takes away, times the learning rate")
    statistics_batches: int | None = Field(
        default=None, ge=0, description="batches that batch normalization's statistics are computed from anew after "
                                        "each epoch; 0: the moving averages of training stay; unset: 0, and 20 where "
                                        "clustered values are scaled")
    patience: int = Field(default=10, ge=0, description="epochs without a better validation loss to wait; 0: no end")
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced: a class counts the more the rarer it is (classification)")
    augment: Augmentation = Field(
        default=Augmentation(), description="random changes of the training samples, off by default")


def samples_in_epoch(samples: int, settings: FitSettings) -> int:
    """How many of the training samples an epoch draws its batches from."""
    return min(samples, settings.samples_per_epoch or samples)


def steps_per_epoch(samples: int, settings: FitSettings) -> int:
    """Whole batches in an epoch; which samples are left over changes with each epoch's shuffle."""
    return max(1, samples_in_epoch(samples, settings) // settings.batch_size)


def rate_at(settings: FitSettings, epoch: int) -> float:
    """Learning rate of an epoch (0-based).

    In the w warm-up epochs `rate * (epoch + 1) / (w + 1)`; then constant, or the cosine that falls from the full rate
    towards 0 over the epochs that are left.
    """
    warmup = min(settings.warmup_epochs, settings.epochs - 1)
    if epoch < warmup:
        return settings.learning_rate * (epoch + 1) / (warmup + 1)
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (epoch - warmup) / (settings.epochs - warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def make_optimizer(variables: list[Any], settings: FitSettings) -> Any:
    """The optimizer with its variables made, so that a checkpoint can be set into them.

    Weight decay is decoupled from the gradient (Loshchilov and Hutter 2019, arXiv:1711.05101): with adam it is AdamW.
    Only tensors of two axes or more decay: kernels, and neither biases nor the factors and offsets of normalizations.

    Args:
        variables: all that are trained.
        settings: see `FitSettings`.
    """
    import tf_keras as keras

    decay = settings.weight_decay or None
    if settings.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(settings.learning_rate, settings.momentum, nesterov=settings.momentum > 0,
                                         weight_decay=decay)
    else:
        optimizer = keras.optimizers.Adam(settings.learning_rate, weight_decay=decay)
    if decay:
        optimizer.exclude_from_weight_decay([variable for variable in variables if variable.shape.rank < _KERNEL_RANK])
    optimizer.build(variables)
    return optimizer

