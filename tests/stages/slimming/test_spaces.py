"""Spaces of channels and the costs that follow from how many are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.slimming.spaces import Cost, Costs, find_spaces
from stages.slimming.trace import trace
from tests.stages.slimming.sight import headed

SHAPES: dict[str, tuple[int, ...]] = {"small_cnn": (8, 8, 1), "mlp": (12,), "resnet8": (32, 32, 3),
                                      "ds_cnn": (49, 10, 1), "mobilenet_v1_025": (96, 96, 3), "autoencoder": (64,)}


def costs_of(model: Any) -> tuple[Costs, np.ndarray]:
    """The model's costs and the counts with everything kept."""
    traced = trace(model)
    spaces = find_spaces(traced)
    return Costs(traced, spaces, model), np.array([len(space.classes) for space in spaces], np.int64)


def residual() -> Any:
    import tf_keras as keras

    inputs = keras.layers.Input((4, 4, 2))
    x = keras.layers.Conv2D(4, 1, name="stem")(inputs)  # 16 * 2 * 4 MACs
    y = keras.layers.Conv2D(6, 3, padding="same", name="inner")(x)  # 16 * 9 * 4 * 6
    y = keras.layers.Conv2D(4, 1, name="back")(y)  # 16 * 6 * 4
    return headed(inputs, keras.layers.BatchNormalization()(keras.layers.Add()([x, y])))  # 64 * 2


def test_costs_follow_the_counts_by_hand() -> None:
    model = residual()
    costs, full = costs_of(model)
    assert full.tolist() == [4, 6]  # the trunk, the inner channels
    macs, parameters = costs.macs(), costs.parameters()
    assert macs(full) == 128 + 3456 + 384 + 128
    assert macs(np.array([3, 2])) == 16 * 2 * 3 + 16 * 9 * 3 * 2 + 16 * 2 * 3 + 16 * 3 * 2
    assert parameters(full) == model.count_params()
    assert parameters(np.array([3, 2])) == (2 * 3 + 3) + (27 * 2 + 2) + (2 * 3 + 3) + 4 * 3 + (48 * 2 + 2)


def test_channels_that_an_addition_joins_are_told_from_those_inside_a_block() -> None:
    assert [(list(space.layers), space.joined) for space in find_spaces(trace(residual()))] == [
        (["stem", "back"], True), (["inner"], False)]


def test_what_a_step_saves_is_the_difference_of_two_costs() -> None:
    costs, full = costs_of(residual())
    for cost in (costs.macs(), costs.parameters()):
        saved = cost.saved(full, np.array([2, 3]))
        assert saved == pytest.approx([cost(full) - cost(full - [2, 0]), cost(full) - cost(full - [0, 3])])


def test_a_class_that_a_layer_reads_several_times_saves_several_times() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((4, 4, 2))
    x = keras.layers.Conv2D(4, 1, name="conv")(inputs)
    costs, full = costs_of(headed(inputs, keras.layers.Concatenate()([x, x])))
    assert costs.macs().saved(full, np.array([1])).tolist() == [16 * 2 + 16 * 2 * 2]


def test_a_linear_cost_falls_by_the_same_for_every_class() -> None:
    costs, full = costs_of(residual())
    cost = costs.linear(10.0, np.array([0.5, 1.0]), full)
    assert (cost(full), cost(full - [2, 1])) == (10.0, 8.0)
    assert cost.saved(full, np.array([2, 2])).tolist() == [1.0, 2.0]


def test_many_choices_cost_what_each_costs() -> None:
    cost = Cost([2.0], np.array([[1.0], [3.0]]), np.array([[[1.0, 0.0]], [[0.0, 2.0]]]))  # 2 (1 + a) (3 + 2 b)
    assert cost.of_each(np.array([[1, 1], [2, 0]])).tolist() == [20.0, 18.0]


@pytest.mark.parametrize("name", [
    "small_cnn", "mlp", *(pytest.param(name, marks=pytest.mark.slow) for name in
                          ("resnet8", "ds_cnn", "autoencoder", "mobilenet_v1_025"))])
def test_macs_are_those_of_the_tflite_model_before_and_after(name: str) -> None:
    import tensorflow as tf

    from device_profiles.workload import read_workload
    from stages.models import build_model
    from stages.slimming.rebuild import Removed, rebuild

    model = build_model(name, SHAPES[name], 10)
    traced = trace(model)
    spaces = find_spaces(traced)
    costs, full = costs_of(model)
    removed = Removed(traced, [int(root) for space in spaces for root in space.classes[::3]])
    kept = full - np.array([len(space.classes[::3]) for space in spaces])
    for each, counts in ((model, full), (rebuild(model, removed), kept)):
        tflite = tf.lite.TFLiteConverter.from_keras_model(each).convert()
        assert read_workload(tflite).macs == costs.macs()(counts)
        assert each.count_params() == costs.parameters()(counts)


def test_macs_of_every_followed_kernel_are_those_of_the_tflite_model() -> None:
    import tensorflow as tf
    import tf_keras as keras

    from device_profiles.workload import read_workload

    k = keras.layers
    inputs = k.Input((8, 8, 3))
    x = k.Conv2D(8, 3, strides=2, padding="same")(inputs)
    x = k.SeparableConv2D(6, 3, depth_multiplier=2)(k.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x))
    x = k.Conv2DTranspose(4, 3, strides=2, padding="same")(k.Conv2D(6, 3, groups=3, padding="same")(x))
    x = k.Conv1D(5, 3, padding="causal")(k.Reshape((16, 4))(x))
    model = keras.Model(inputs, k.Dense(2)(k.Dense(3)(k.Flatten()(x))))
    costs, full = costs_of(model)
    assert read_workload(tf.lite.TFLiteConverter.from_keras_model(model).convert()).macs == costs.macs()(full)
