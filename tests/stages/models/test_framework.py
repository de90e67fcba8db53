"""TensorFlow's turn: the same start for everyone, and nothing left behind."""

from __future__ import annotations

import logging
import random
import warnings
from pathlib import Path

import numpy as np

from stages.models import build_model
from stages.models.framework import tensorflow_turn


def first_weights(log: Path, seed: int) -> tuple[str, np.ndarray]:
    with tensorflow_turn(seed, log) as keras:
        return keras.layers.Dense(1).name, build_model("small_cnn", (8, 8, 1), 10).get_weights()[0]


def test_a_turn_starts_the_same_whatever_ran_before(tmp_path: Path) -> None:
    import tf_keras as keras

    log = tmp_path / "log.txt"
    name, weights = first_weights(log, 3)
    keras.layers.Dense(1)
    np.random.rand(5)
    name_again, again = first_weights(log, 3)
    assert name == name_again == "dense"
    assert np.array_equal(weights, again)
    assert not np.array_equal(weights, first_weights(log, 4)[1])


def test_the_random_state_of_others_is_put_back(tmp_path: Path) -> None:
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    first_weights(tmp_path / "log.txt", 9)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_warnings_and_log_lines_go_to_the_log_and_handlers_come_back(tmp_path: Path) -> None:
    log, handlers = tmp_path / "log.txt", logging.getLogger("absl").handlers[:]
    with tensorflow_turn(0, log):
        warnings.warn("a word of warning", UserWarning, stacklevel=1)
        logging.getLogger("absl").warning("a line of absl")
    text = log.read_text("utf-8")
    assert "a word of warning" in text
    assert "a line of absl" in text
    assert logging.getLogger("absl").handlers == handlers


def test_random_layers_draw_from_a_state_that_can_be_set(tmp_path: Path) -> None:
    with tensorflow_turn(0, tmp_path / "log.txt") as keras:
        dropout = keras.layers.Dropout(0.5)
        ones = np.ones((1, 64), np.float32)
        dropout(ones, training=True)
        draws = []
        for _ in range(2):
            dropout._random_generator._generator.reset_from_seed(7)
            draws.append(dropout(ones, training=True).numpy().tolist())
    assert draws[0] == draws[1]
    assert set(draws[0][0]) == {0.0, 2.0}
