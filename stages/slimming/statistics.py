"""Batch normalization statistics of a narrower model, taken anew.

What reads fewer channels has other means and variances than were learnt. Training lets the statistics follow slowly
(Keras: 1 % a step), so a fine-tuning would first be judged by statistics of a model that is no more. Only batch
normalization runs in training mode here: dropout would draw random numbers that a run which goes on cannot draw again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from stages.datasets.prepared import Split
from stages.models.arrays import as_mapping, given_inputs
from stages.slimming.proof import run

_BATCHES, _BATCH = 16, 64


def renew(model: Any, train: Split, seed: int) -> None:
    """Set moving means and variances to the means over some batches; layers that do not learn keep theirs.

    Args:
        model: a functional or Sequential `tf_keras.Model`; changed in place.
        train: gives the samples.
        seed: which ones.
    """
    norms = [layer for layer in model.layers if _follows_batches(layer)]
    if not norms:
        return
    rows = np.random.default_rng(seed).permutation(len(train.y))[:_BATCHES * _BATCH]
    given = given_inputs(model, train.x.dtype)
    with _momentum_kept(norms):
        for number, start in enumerate(range(0, len(rows), _BATCH)):
            for layer in norms:
                layer.momentum = number / (number + 1)  # of the mean so far, so that each batch counts alike
            part = np.sort(rows[start:start + _BATCH])
            run(model, given(as_mapping(train.x[part])), training=frozenset(layer.name for layer in norms))


def _follows_batches(layer: Any) -> bool:
    """Whether a layer has statistics that training moves."""
    return "BatchNormalization" in type(layer).__name__ and bool(layer.trainable)


@contextmanager
def _momentum_kept(norms: list[Any]) -> Iterator[None]:
    """Put the layers' momentum back."""
    before = [layer.momentum for layer in norms]
    try:
        yield
    finally:
        for layer, momentum in zip(norms, before, strict=True):
            layer.momentum = momentum
