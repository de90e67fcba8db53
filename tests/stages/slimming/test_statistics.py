"""Batch normalization statistics taken anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.datasets.prepared import Split
from stages.slimming.statistics import renew


def model_of(trainable: bool = True) -> Any:
    import tf_keras as keras

    inputs = keras.layers.Input((2,))
    x = keras.layers.BatchNormalization(name="norm", momentum=0.7, trainable=trainable)(inputs)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dropout(0.9)(x)))


def split(count: int = 128) -> Split:
    rng = np.random.default_rng(0)
    return Split(rng.normal([1, -2], [2, 3], (count, 2)).astype(np.float32), np.zeros(count, np.int64))


def test_statistics_become_those_of_the_samples_batch_by_batch_and_the_momentum_comes_back() -> None:
    model, some = model_of(), split()
    renew(model, some, 0)
    norm = model.get_layer("norm")
    assert norm.moving_mean.numpy() == pytest.approx(some.x.mean(0), abs=1e-5)
    assert norm.moving_variance.numpy() == pytest.approx(some.x.var(0), rel=0.05)  # mean of two batches' variances
    assert norm.momentum == 0.7


def test_the_same_seed_gives_the_same_statistics_although_there_is_dropout() -> None:
    found = []
    for _ in range(2):
        model = model_of()
        renew(model, split(2000), 3)
        found.append(np.concatenate(model.get_layer("norm").get_weights()))
    assert np.array_equal(*found)


def test_a_normalization_that_does_not_learn_keeps_its_statistics() -> None:
    model = model_of(trainable=False)
    renew(model, split(), 0)
    assert model.get_layer("norm").moving_mean.numpy().tolist() == [0, 0]
