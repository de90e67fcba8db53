"""Models inside models: opened, they compute the same, layer by layer under names that can be told apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from stages.models.folding import largest_difference
from stages.models.framework import tensorflow_turn
from stages.models.nested import opened


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """`tf_keras` in a turn of its own."""
    with tensorflow_turn(1, tmp_path_factory.mktemp("turn") / "log.txt") as keras:
        yield keras


def samples(model: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.normal(0, 1, (4, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]


def backbone(keras: Any, name: str = "backbone") -> Any:
    inputs = keras.layers.Input((6, 6, 2), name=f"{name}_in")
    x = keras.layers.Conv2D(3, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm", moving_mean_initializer="ones")(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="pool")(x), name=name)


def test_a_sequential_model_on_a_backbone_becomes_flat(turn: Any) -> None:
    model = turn.Sequential([turn.layers.Input((6, 6, 2)), backbone(turn), turn.layers.Dense(3, name="head")])
    flat = opened(model)
    assert [layer.name for layer in flat.layers][1:] == ["conv", "norm", "pool", "head"]
    assert largest_difference(model, flat, samples(model)) == 0
    assert flat.count_params() == model.count_params()


def test_a_backbone_that_is_called_twice_stays_one(turn: Any) -> None:
    one, two = (turn.layers.Input((6, 6, 2), name=name) for name in ("one", "two"))
    inner = backbone(turn)
    model = turn.Model([one, two], [turn.layers.Subtract(name="less")([inner(one), inner(two)])])
    flat = opened(model)
    assert len(flat.get_layer("conv").inbound_nodes) == 2
    assert flat.input_names == ["one", "two"]
    assert flat.output_names == ["less"]
    assert largest_difference(model, flat, samples(model)) == 0


def test_equal_names_are_told_apart_by_the_model_they_are_in(turn: Any) -> None:
    inputs = turn.layers.Input((6, 6, 2))
    x = turn.layers.Conv2D(2, 1, name="conv")(inputs)
    model = turn.Model(inputs, turn.layers.Add()([backbone(turn, "left")(x), backbone(turn, "right")(x)]))
    flat = opened(model)
    names = sorted(layer.name for layer in flat.layers if "conv" in layer.name)
    assert names == ["conv", "left_conv", "right_conv"]
    assert largest_difference(model, flat, samples(model)) == 0


def test_functions_and_models_in_models_are_opened_too(turn: Any) -> None:
    import tensorflow as tf

    inputs = turn.layers.Input((6, 6, 2))
    middle = turn.Sequential([turn.layers.Input((6, 6, 2)), backbone(turn), turn.layers.Dense(2, name="inner")])
    model = turn.Model(inputs, turn.layers.Dense(2)(tf.abs(middle(inputs * 2.0)) + 1.0))
    flat = opened(model)
    assert not any(hasattr(layer, "layers") for layer in flat.layers)
    assert largest_difference(model, flat, samples(model)) == 0


def test_an_output_of_an_inner_model_keeps_the_name_that_it_had(turn: Any) -> None:
    inputs = turn.layers.Input((6, 6, 2))
    model = turn.Model(inputs, [backbone(turn)(inputs), turn.layers.Flatten(name="other")(inputs)])
    flat = opened(model)
    assert flat.output_names == model.output_names == ["backbone", "other"]
    assert largest_difference(model, flat, samples(model)) == 0


def test_a_flat_model_is_given_back(turn: Any) -> None:
    model = backbone(turn)
    assert opened(model) is model
