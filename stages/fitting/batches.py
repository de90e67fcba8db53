"""An epoch's batches: drawn, augmented and weighted by (seed, epoch) alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError
from stages.augmentation import Augmentation, Layout, augment, check_augmentation
from stages.datasets.labels import are_classes
from stages.datasets.prepared import Split
from stages.fitting.settings import FitSettings, samples_in_epoch, steps_per_epoch
from stages.models.arrays import Array

STEPS_PER_CALL = 16
CALL_BYTES = 64 << 20
"""Samples of so many bytes go to TensorFlow in one call, or of one step where that is more."""

Batches = tuple[Array, Array, NDArray[np.float32]]


def batches(train: Split, weights: NDArray[np.float32], settings: FitSettings, seed: int,
            epoch: int) -> Iterator[Batches]:
    """The epoch's batches, several at a time.  # x (steps, batch, *shape), y (steps, batch, ...), (steps, batch).

    Args:
        train: what to draw from.
        weights: (samples,) of each sample, from `sample_weights`.
        settings: see `FitSettings`.
        seed: with `epoch`, of the shuffle and the augmentation.
        epoch: 0-based.
    """
    samples = len(train.y)
    count = steps_per_epoch(samples, settings)
    size = min(settings.batch_size, samples_in_epoch(samples, settings))
    order = np.random.default_rng((seed, epoch)).permutation(samples)[:count * size].reshape(count, size)
    step_bytes = size * train.x.dtype.itemsize * math.prod(train.x.shape[1:])
    together = min(STEPS_PER_CALL, max(1, CALL_BYTES // max(1, step_bytes)))
    layout = _layout(train, settings.augment)
    for start in range(0, count, together):
        rows = order[start:start + together]
        x = train.x[rows.reshape(-1)]  # (steps * batch, *shape)
        if settings.augment.enabled():
            x = augment(x, settings.augment, np.random.default_rng((seed, epoch, start)), layout)
        yield x.reshape(*rows.shape, *x.shape[1:]), train.y[rows], weights[rows]


def sample_weights(y: Array, settings: FitSettings) -> NDArray[np.float32]:
    """A weight for each sample, 1 on average; "balanced" gives each class the same total: n / (classes * n_class).

    Raises:
        StageError: balanced weights for labels that are no classes.
    """
    if settings.class_weights == "none":
        return np.ones(len(y), np.float32)
    if y.dtype.names is not None or not are_classes(y):
        raise StageError("class_weights is balanced, but the labels are no classes", "class_weights: none",
                         "set class_weights to none, or the task to classification")
    counts = np.bincount(y)
    return (len(y) / (np.count_nonzero(counts) * counts[y])).astype(np.float32)


def _layout(train: Split, settings: Augmentation) -> Layout:
    """What the axes of a sample are, as far as the augmentation wants to know.

    Raises:
        StageError: an augmentation that the samples cannot have.
    """
    if not settings.enabled():
        return "vector"
    if train.x.dtype.names is not None:
        raise StageError(f"augment asks for {', '.join(settings.enabled())}, but the samples have several inputs",
                         "samples with one input", "leave augment out")
    shape = train.x.shape[1:]
    layout: Layout = "vector"
    if len(shape) == 3:
        layout = "spectrogram" if {"time_shift", "spec_augment"} & set(settings.enabled()) else "image"
    check_augmentation(settings, layout, shape)
    return layout
