"""Layers with kernels: which channels go together, and their multiply-accumulates, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.slimming import kernels
from stages.slimming.spaces import Costs, find_spaces
from stages.slimming.trace import trace
from tests.stages.slimming.sight import fixed_of, headed, spaces_of


def image(channels: int = 2, side: int = 4) -> Any:
    import tf_keras as keras

    return keras.layers.Input((side, side, channels), name="in")


def layers() -> Any:
    import tf_keras as keras

    return keras.layers


def macs(model: Any) -> dict[str, float]:
    """By layer, with all channels."""
    found: dict[str, float] = {}
    for work in trace(model).ledger.work:
        reads, makes = (1 if labels is None else len(labels) for labels in (work.reads, work.makes))
        found[work.layer] = found.get(work.layer, 0) + work.factor * reads * makes
    return found


def test_macs_of_every_kind_of_kernel_are_those_of_the_formulas() -> None:
    x = inputs = image()
    x = layers().Conv2D(6, 3, name="conv")(x)  # 2 x 2: 4 * 9 * 2 * 6
    x = layers().DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise")(x)  # 4 * 9 * 12
    x = layers().Conv2D(8, 3, padding="same", groups=2, name="grouped")(x)  # 4 * 9 * 6 * 8
    x = layers().SeparableConv2D(5, 3, padding="same", depth_multiplier=2, name="separable")(x)  # 4*9*16 + 4*16*5
    x = layers().Conv2DTranspose(3, 2, strides=2, name="transposed")(x)  # from 2 x 2: 4 * 4 * 5 * 3
    model = headed(inputs, x)  # from 4 x 4: 48 * 2
    assert macs(model) == {"conv": 432, "depthwise": 432, "grouped": 1728, "separable": 896, "transposed": 240,
                           "out": 96}


def test_a_depthwise_convolution_passes_its_channels_on_each_as_often_as_its_multiplier() -> None:
    inputs = image()
    x = layers().DepthwiseConv2D(3, depth_multiplier=2, name="deep")(layers().Conv2D(4, 1, name="conv")(inputs))
    model = headed(inputs, x)
    assert spaces_of(model) == [(4, {"conv": 1})]
    cuts = {(cut.layer, cut.axis): cut.labels.tolist() for cut in trace(model).ledger.cuts if cut.layer == "deep"}
    assert cuts == {("deep", 2): [0, 1, 2, 3], ("deep", 0): [0, 0, 1, 1, 2, 2, 3, 3]}


@pytest.mark.parametrize(("groups", "space"), [
    (2, (2, {"first": 2, "grouped": 2})),  # two channels a group, two groups: a whole group is no coarser
    (4, (4, {"first": 1, "grouped": 1})),
])
def test_whole_groups_go_where_they_are_no_larger_than_their_number(groups: int, space: Any) -> None:
    inputs = image()
    x = layers().Conv2D(4, 1, name="first")(inputs)
    x = layers().Conv2D(4, 3, groups=groups, name="grouped")(x)
    assert spaces_of(headed(inputs, x)) == [space]


def test_groups_of_many_channels_lose_the_same_places_in_each() -> None:
    inputs = image()
    x = layers().Conv2D(8, 1, name="first")(inputs)
    x = layers().Conv2D(6, 3, groups=2, name="grouped")(x)
    assert spaces_of(headed(inputs, x)) == [(4, {"first": 2}), (3, {"grouped": 2})]


def test_groups_that_read_the_input_keep_their_number() -> None:
    inputs = image(4)
    model = headed(inputs, layers().Conv2D(6, 3, groups=2, name="grouped")(inputs))
    assert spaces_of(model) == [(3, {"grouped": 2})]
    assert macs(model)["grouped"] == 4 * 9 * 2 * 6


def test_a_layer_that_is_called_twice_unites_what_both_calls_read() -> None:
    inputs = image()
    one, other = (layers().Conv2D(3, 1, name=name)(inputs) for name in ("one", "other"))
    shared = layers().Conv2D(5, 3, name="shared")
    x = layers().Concatenate()([shared(one), shared(other)])
    assert spaces_of(headed(inputs, x)) == [(3, {"one": 1, "other": 1}), (5, {"shared": 1})]


@pytest.mark.parametrize("input_first", [True, False])
def test_a_layer_that_also_reads_the_input_keeps_what_it_reads(input_first: bool) -> None:
    inputs = image(3)
    one = layers().Conv2D(3, 1, name="one")(inputs)
    shared = layers().Conv2D(5, 3, name="shared")
    calls = [shared(each) for each in ((inputs, one) if input_first else (one, inputs))]
    model = headed(inputs, layers().Add()(calls))
    assert spaces_of(model) == [(5, {"shared": 1})]
    assert fixed_of(model)["one"] == "an input of the model"


def test_the_softmax_inside_a_layer_keeps_its_channels() -> None:
    inputs = image()
    x = layers().Conv2D(4, 1, activation="softmax", name="soft")(inputs)
    assert fixed_of(headed(inputs, x))["soft"] == "the activation of 'soft' mixes its channels"


def test_an_embedding_s_columns_are_channels() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((3,))
    model = headed(inputs, layers().Embedding(9, 4, name="table")(inputs))
    assert spaces_of(model) == [(4, {"table": 1})]
    traced = trace(model)
    spaces = find_spaces(traced)
    assert Costs(traced, spaces, model).parameters()(np.array([4])) == 9 * 4 + 3 * 4 * 2 + 2


def test_a_dense_layer_on_another_axis_than_the_channels_keeps_them() -> None:
    inputs = image()
    x = layers().Permute((1, 3, 2))(layers().Conv2D(4, 1, name="conv")(inputs))
    model = headed(inputs, layers().Dense(3, name="across")(x))
    assert fixed_of(model)["conv"] == "'across' (Dense) reads channels along another axis than its last"
    assert spaces_of(model) == [(3, {"across": 1})]


def test_layers_with_kernels_are_known_by_their_class() -> None:
    assert kernels.has_kernel(layers().Dense(2))
    assert not kernels.has_kernel(layers().ReLU())
