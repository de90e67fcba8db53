"""Batch normalization's statistics computed anew, and nothing else moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.datasets.prepared import Split
from stages.fitting.settings import FitSettings
from stages.fitting.statistics import renewing
from stages.models.framework import tensorflow_turn

X = np.random.default_rng(4).normal(3, 2, (64, 4)).astype(np.float32)
TRAIN = Split(X, np.zeros(64, np.int64))


@pytest.fixture
def model() -> Any:
    """Batch normalization twice, the second one frozen, and a layer with a variable that training mode moves."""
    import tf_keras as keras

    class Counting(keras.layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.count = self.add_weight(name="count", initializer="zeros", trainable=False)

        def call(self, x: Any) -> Any:
            self.count.assign_add(1.0)
            return x

    return keras.Sequential([keras.layers.Input((4,)), keras.layers.BatchNormalization(name="norm"), Counting(),
                             keras.layers.BatchNormalization(name="frozen", trainable=False)])


def settings(**given: Any) -> FitSettings:
    return FitSettings(**({"batch_size": 16, "epochs": 3, "statistics_batches": 4} | given))


def test_statistics_are_the_means_over_the_batches(model: Any) -> None:
    renewing(model, TRAIN, settings(), seed=1)(0)
    norm = model.get_layer("norm")
    assert norm.moving_mean.numpy() == pytest.approx(X.mean(axis=0), rel=1e-5)  # four batches of all 64 samples
    renewing(model, TRAIN, settings(batch_size=64, statistics_batches=1), seed=1)(0)
    assert norm.moving_variance.numpy() == pytest.approx(X.var(axis=0), rel=1e-4)


def test_nothing_else_is_moved(model: Any) -> None:
    renewing(model, TRAIN, settings(), seed=1)(0)
    assert model.layers[1].count.numpy() == 0
    assert model.get_layer("frozen").moving_mean.numpy().tolist() == [0] * 4
    assert model.get_layer("norm").momentum == pytest.approx(0.99)
    assert model.get_layer("norm").gamma.numpy().tolist() == [1] * 4


def test_few_batches_are_drawn_anew_each_epoch_and_the_same_ones_by_the_same_seed(model: Any) -> None:
    renew, found = renewing(model, TRAIN, settings(statistics_batches=1), seed=1), []
    for epoch in (0, 1, 0):
        renew(epoch)
        found.append(model.get_layer("norm").moving_mean.numpy())
    assert not np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert found[0] != pytest.approx(X.mean(axis=0), rel=1e-3)


@pytest.mark.parametrize("batches", [None, 0])
def test_without_batches_the_moving_averages_stay(model: Any, batches: int | None) -> None:
    renewing(model, TRAIN, settings(statistics_batches=batches), seed=1)(0)
    assert model.get_layer("norm").moving_mean.numpy().tolist() == [0] * 4


def test_a_model_without_batch_normalization_is_left_alone(tiny_keras: Any) -> None:
    before = [weight.copy() for weight in tiny_keras.get_weights()]
    renewing(tiny_keras, Split(np.zeros((8, 6, 6, 2), np.float32), np.zeros(8, np.int64)), settings(), seed=1)(0)
    assert all(np.array_equal(one, other) for one, other in zip(before, tiny_keras.get_weights(), strict=True))


def test_the_same_seed_gives_the_same_statistics_although_there_is_dropout(tmp_path: Path) -> None:
    import tf_keras as keras

    with tensorflow_turn(0, tmp_path / "log.txt"):
        dropping = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dropout(0.5),
                                     keras.layers.BatchNormalization(name="norm")])
        renew, found = renewing(dropping, TRAIN, settings(), seed=3), []
        for _ in range(2):
            renew(0)
            found.append(np.concatenate(dropping.get_layer("norm").get_weights()))
    assert np.array_equal(*found)
