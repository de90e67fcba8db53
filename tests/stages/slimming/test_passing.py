"""Layers without kernels: what passes channels on, what joins them, and what keeps them, with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stages.slimming.trace import trace
from tests.stages.slimming.sight import fixed_of, headed, spaces_of


def keras_layers() -> Any:
    import tf_keras as keras

    return keras.layers


def start(*names: str, channels: int = 4) -> tuple[Any, ...]:
    """An input of 4x4x2 and a 1x1 convolution of it for each name."""
    inputs = keras_layers().Input((4, 4, 2), name="in")
    return (inputs, *(keras_layers().Conv2D(channels, 1, name=name)(inputs) for name in names))


@pytest.mark.parametrize("kind", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"])
def test_what_is_merged_goes_together(kind: str) -> None:
    inputs, one, other = start("one", "other")
    assert spaces_of(headed(inputs, getattr(keras_layers(), kind)()([one, other]))) == [(4, {"one": 1, "other": 1})]


@pytest.mark.parametrize(("kind", "joined"), [("Add", 1), ("Subtract", 1), ("Average", 1), ("Maximum", 1),
                                              ("Minimum", 1), ("Multiply", 0)])
def test_a_sum_joins_channels_and_a_product_gates_them(kind: str, joined: int) -> None:
    inputs, one, other = start("one", "other")
    model = headed(inputs, getattr(keras_layers(), kind)()([one, other]))
    assert len(trace(model).ledger.joined) == joined


def test_a_merge_with_the_input_keeps_channels_and_says_of_which_input() -> None:
    inputs, one = start("one", channels=2)
    model = headed(inputs, keras_layers().Add(name="sum")([one, inputs]))
    assert fixed_of(model)["one"] == "'sum' (Add) joins it with what cannot change: an input of the model"


def test_concatenated_channels_stand_one_after_the_other() -> None:
    inputs, one, other = start("one", "other")
    model = headed(inputs, keras_layers().Conv2D(3, 1, name="reads")(keras_layers().Concatenate()([one, other])))
    reads = next(cut for cut in trace(model).ledger.cuts if cut.layer == "reads" and cut.role == "reads")
    assert reads.labels.tolist() == list(range(8))
    assert spaces_of(model) == [(4, {"one": 1}), (4, {"other": 1}), (3, {"reads": 1})]


def test_what_is_concatenated_with_the_input_may_still_go() -> None:
    inputs, one = start("one")
    assert spaces_of(headed(inputs, keras_layers().Concatenate()([inputs, one]))) == [(4, {"one": 1})]


def test_maps_concatenated_along_their_height_go_together() -> None:
    inputs, one, other = start("one", "other")
    model = headed(inputs, keras_layers().Concatenate(axis=1)([one, other]))
    assert spaces_of(model) == [(4, {"one": 1, "other": 1})]
    inputs, one = start("one", channels=2)
    assert "an input" in fixed_of(headed(inputs, keras_layers().Concatenate(axis=1)([one, inputs])))["one"]


def test_the_sum_of_a_concatenation_binds_each_part_of_it() -> None:
    inputs, one, other = start("one", "other")
    wide = keras_layers().Conv2D(8, 1, name="wide")(inputs)
    model = headed(inputs, keras_layers().Add()([wide, keras_layers().Concatenate()([one, other])]))
    assert spaces_of(model) == [(4, {"one": 1, "wide": 1}), (4, {"other": 1, "wide": 1})]


@pytest.mark.parametrize("way", ["reshape", "keepdims", "vector"])
def test_squeeze_and_excitation_goes_with_its_map(way: str) -> None:
    layers = keras_layers()
    inputs, x = start("map")
    if way == "keepdims":
        s = layers.Conv2D(4, 1, name="up")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    else:
        s = layers.Dense(4, name="up")(layers.GlobalAveragePooling2D()(x))
        s = layers.Reshape((1, 1, 4))(s) if way == "reshape" else s
    assert spaces_of(headed(inputs, layers.Multiply()([x, s]))) == [(4, {"map": 1, "up": 1})]


def test_one_weight_for_all_channels_of_a_place_stays_and_the_map_may_go() -> None:
    inputs, x = start("map")
    mask = keras_layers().Conv2D(1, 1, name="mask")(x)
    model = headed(inputs, keras_layers().Multiply(name="product")([x, mask]))
    assert spaces_of(model) == [(4, {"map": 1})]
    assert fixed_of(model)["mask"] == "'product' (Multiply) spreads it over other channels"


def test_each_channel_owns_its_rows_after_flatten() -> None:
    inputs, x = start("conv")
    reads = next(cut for cut in trace(headed(inputs, x)).ledger.cuts if cut.layer == "out" and cut.role == "reads")
    assert reads.labels.tolist() == [0, 1, 2, 3] * 16


def test_a_reshape_that_spreads_channels_over_two_axes_keeps_them() -> None:
    inputs, x = start("conv")
    x = keras_layers().Reshape((16, 2, 2), name="split")(x)
    assert fixed_of(headed(inputs, x))["conv"] == "'split' (Reshape) spreads the channels over several axes"


def test_a_reshape_of_an_open_map_keeps_its_channels() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((None, None, 2))
    x = keras.layers.Reshape((-1, 4), name="open")(keras.layers.Conv2D(4, 1, name="conv")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(x)))
    assert fixed_of(model)["conv"] == "'open' (Reshape) reshapes an open axis"


@pytest.mark.parametrize("passing", [
    lambda k: k.ReLU(), lambda k: k.Dropout(0.1), lambda k: k.ZeroPadding2D(1), lambda k: k.Cropping2D(1),
    lambda k: k.MaxPooling2D(), lambda k: k.AveragePooling2D(), lambda k: k.UpSampling2D(), lambda k: k.LeakyReLU(),
    lambda k: k.Rescaling(2.0), lambda k: k.Activation("tanh"), lambda k: k.Permute((2, 1, 3)), lambda k: k.PReLU(),
    lambda k: k.Softmax(axis=1), lambda k: k.BatchNormalization(), lambda k: k.BatchNormalization(axis=1),
    lambda k: k.SpatialDropout2D(0.1), lambda k: k.GaussianNoise(0.1), lambda k: k.Resizing(3, 3),
], ids=["relu", "dropout", "padding", "cropping", "max", "average", "upsampling", "leaky", "rescaling", "tanh",
        "permute", "prelu", "softmax_height", "norm", "norm_height", "spatial", "noise", "resizing"])
def test_channels_pass(passing: Callable[[Any], Any]) -> None:
    inputs, x = start("conv")
    assert spaces_of(headed(inputs, passing(keras_layers())(x))) == [(4, {"conv": 1})]


@pytest.mark.parametrize(("keeping", "why"), [
    (lambda k: k.LayerNormalization(name="it"), "'it' (LayerNormalization) normalizes over channels"),
    (lambda k: k.GroupNormalization(2, name="it"), "'it' (GroupNormalization) normalizes over channels"),
    (lambda k: k.Softmax(name="it"), "'it' (Softmax) mixes channels"),
    (lambda k: k.Activation("softmax", name="it"), "'it' (Activation) mixes channels"),
    (lambda k: k.Rescaling([1.0, 2, 3, 4], name="it"), "'it' (Rescaling) has numbers for each channel"),
    (lambda k: k.Lambda(lambda x: x * 2, name="it"), "'it' (Lambda) is not followed"),
], ids=["layer", "group", "softmax", "activation", "rescaling", "lambda"])
def test_channels_are_kept_with_a_reason(keeping: Callable[[Any], Any], why: str) -> None:
    inputs, x = start("conv")
    assert fixed_of(headed(inputs, keeping(keras_layers())(x)))["conv"] == why


def test_a_normalization_of_another_axis_is_left_as_it_is() -> None:
    inputs, x = start("conv")
    model = headed(inputs, keras_layers().BatchNormalization(axis=1, name="norm")(x))
    assert not [cut for cut in trace(model).ledger.cuts if cut.layer == "norm"]


def test_slopes_of_each_element_are_cut_along_the_channels_alone() -> None:
    inputs, x = start("conv")
    model = headed(inputs, keras_layers().PReLU(name="slopes")(x))  # (4, 4, 4)
    assert [(cut.axis, len(cut.labels)) for cut in trace(model).ledger.cuts if cut.layer == "slopes"] == [(2, 4)]


def test_a_vector_repeated_over_time_keeps_its_channels_last() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((3,))
    x = keras.layers.RepeatVector(5)(keras.layers.Dense(4, name="dense")(inputs))
    model = keras.Model(inputs, keras.layers.Conv1D(2, 3, name="out")(x))
    assert spaces_of(model) == [(4, {"dense": 1})]


def test_labels_of_a_single_channel_lie_along_the_longest_axis() -> None:
    inputs = keras_layers().Input((4, 4, 2))
    x = keras_layers().Conv2D(1, 1, name="one")(inputs)
    model = headed(inputs, keras_layers().Reshape((16,))(x))
    out = next(cut for cut in trace(model).ledger.cuts if cut.layer == "out" and cut.role == "reads")
    assert np.unique(out.labels).tolist() == [0]
