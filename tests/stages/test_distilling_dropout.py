"""Dropout is off while a teacher teaches, and back on afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.distillation import Distillation, TaughtLoss
from stages.distilling.dropout import KINDS, dropout_layers, without_dropout
from stages.tasks import TaskSettings, make_task
from tests.stages.test_distillation import giving

MANY = 4096


def dropping(kind: str = "Dropout", rate: float = 0.5, *, nested: bool = False) -> Any:
    """A model that gives what it gets, some of it dropped."""
    import tf_keras as keras

    shape = (MANY,) if kind in ("Dropout", "GaussianDropout", "AlphaDropout") else (*[2] * int(kind[-2]), MANY)
    inner = keras.Sequential([keras.layers.Input(shape), getattr(keras.layers, kind)(rate)])
    return keras.Sequential([keras.layers.Input(shape), inner]) if nested else inner


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_drops_nothing_inside_and_as_before_outside(kind: str) -> None:
    model = dropping(kind)
    ones = np.ones((1, *model.input_shape[1:]), np.float32)
    with without_dropout(model):
        assert (np.asarray(model(ones, training=True)) == 1).all()
    assert (np.asarray(model(ones, training=True)) != 1).any()


def looked_at(model: Any, seen: list[float]) -> None:
    with without_dropout(model):
        seen += [layer.rate for layer in dropout_layers(model)]
        raise KeyError


def test_rates_are_put_back_after_a_fault_and_models_inside_models_are_reached() -> None:
    model = dropping(rate=0.3, nested=True)
    seen: list[float] = []
    with pytest.raises(KeyError):
        looked_at(model, seen)
    assert seen == [0.0]
    assert [layer.rate for layer in dropout_layers(model)] == [0.3]


@pytest.mark.parametrize(("dropout", "alike"), [(False, True), (True, False)])
def test_a_taught_student_drops_only_where_that_is_asked_for(dropout: bool, alike: bool) -> None:
    import tensorflow as tf
    import tf_keras as keras

    teacher = giving(3, 0)
    inputs = keras.layers.Input((4,))
    spread = keras.layers.Dense(2, kernel_initializer="ones", use_bias=False)(keras.layers.Dropout(0.5)(inputs))
    student = keras.Model(inputs, spread)
    task = make_task(TaskSettings.model_validate("regression"))
    measure = TaughtLoss(student, teacher, task, np.dtype(np.float32), Distillation(alpha=1, dropout=dropout), 0)
    zeros, ones = np.zeros((MANY, 2), np.float32), np.ones((MANY, 4), np.float32)
    losses = np.asarray(tf.function(lambda x: measure(x, zeros))(ones))
    # outputs (4, 4) of four ones against (3, 0): (1 + 16) / 2; dropped ones are 0, the others 2
    assert bool((losses == 8.5).all()) is alike
    assert [layer.rate for layer in dropout_layers(student)] == [0.5]
