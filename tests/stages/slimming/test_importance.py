"""What channels are worth, by hand and against the loss itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.datasets.prepared import Preprocessing, Split
from stages.slimming import importance
from stages.slimming.spaces import find_spaces
from stages.slimming.trace import trace
from stages.tasks import make_task
from stages.tasks.settings import TaskSettings
from stages.training import Lesson


def model_of(norm: bool = False) -> Any:
    """2 inputs, 3 hidden units, 2 outputs."""
    import tf_keras as keras

    inputs = keras.layers.Input((2,))
    x = keras.layers.Dense(3, name="hidden")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x) if norm else x
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="out")(x))
    model.get_layer("hidden").set_weights([np.array([[0.3, 0, 0], [0.4, 0.1, 0.4]]), np.zeros(3)])
    model.get_layer("out").set_weights([np.array([[0.6, 0], [0, 0], [0.3, 0]]), np.zeros(2)])
    return model


def lesson(count: int = 64) -> Lesson:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(count, 2)).astype(np.float32)
    split = Split(x, (x[:, 0] > 0).astype(np.int64))
    return Lesson(split, split, make_task(TaskSettings()), Preprocessing(inputs={}, class_names=("no", "yes")))


def test_magnitude_is_the_mean_of_both_kernels_norms_over_their_means() -> None:
    model = model_of()
    scores = importance.measure("magnitude", model, trace(model), lesson(), 8, 0)
    made, read = np.array([5.0, 1, 4]), np.array([6.0, 0, 3])  # a tenth of that; only the ratios count
    assert scores[:3] == pytest.approx((made / (10 / 3) + read / 3) / 2)


def test_scales_are_gammas_over_their_mean_and_magnitude_where_there_is_none() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((2,))
    x = keras.layers.Dense(3, name="plain")(inputs)
    x = keras.layers.Dense(2, name="normed")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="out")(x))
    model.get_layer("norm").set_weights([np.array([-3.0, 1]), np.zeros(2), np.zeros(2), np.ones(2)])
    traced = trace(model)
    scores = importance.measure("bn", model, traced, lesson(), 8, 0)
    plain, normed = find_spaces(traced)
    assert scores[normed.classes].tolist() == [1.5, 0.5]
    assert scores[plain.classes].tolist() == importance.magnitude(model, traced)[plain.classes].tolist()


def test_taylor_tells_the_change_of_the_loss_to_first_order() -> None:
    model, some = model_of(norm=True), lesson(16)
    traced = trace(model)
    scores = importance.measure("taylor", model, traced, some, 16, 0)
    out, change = model.get_layer("out"), []
    kernel, bias = out.get_weights()

    def loss() -> float:
        given = model(some.train.x).numpy()[np.arange(16), some.train.y]
        return float(-np.log(given).mean())

    whole = loss()
    for unit in range(3):
        smaller = kernel.copy()
        smaller[unit] *= 1 - 1e-2
        out.set_weights([smaller, bias])
        change.append(abs(loss() - whole) / 1e-2)
    assert find_spaces(traced)[0].classes.tolist() == [0, 1, 2]
    assert scores[:3] == pytest.approx(change, rel=0.05, abs=1e-3)
    assert scores[1] == 0  # nobody reads it


def test_taylor_is_the_same_for_the_same_seed_and_takes_no_more_samples_than_asked(
        monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of()
    traced = trace(model)
    one, same, other = (importance.taylor(model, traced, lesson(), 32, seed) for seed in (1, 1, 2))
    assert one.tolist() == same.tolist() != other.tolist()
    assert [len(y) for _, y in importance._batches(lesson(), 40, 0)] == [16, 16]
    assert [len(y) for _, y in importance._batches(lesson(5), 40, 0)] == [5]


def test_the_weights_do_not_change() -> None:
    model = model_of(norm=True)
    before = model.get_weights()
    importance.taylor(model, trace(model), lesson(), 64, 0)
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))
