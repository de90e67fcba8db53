"""Random layers that start from (seed, epoch, place)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stages.fitting.randomness import seed_random_layers
from stages.models.framework import tensorflow_turn


def test_an_epoch_has_its_own_numbers_and_has_them_again(tmp_path: Path) -> None:
    import tf_keras as keras

    with tensorflow_turn(0, tmp_path / "log.txt"):
        model = keras.Sequential([keras.layers.Input((50,)), keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)])
        found = []
        for seed, epoch in ((1, 0), (1, 1), (2, 0), (1, 0)):
            seed_random_layers(model, seed, epoch)
            found.append(model(np.ones((1, 50), np.float32), training=True).numpy())
    assert np.array_equal(found[0], found[3])
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert {0.0, 4.0} == set(np.unique(found[0]))  # the two layers drop other units
