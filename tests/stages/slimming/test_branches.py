"""Branches that end in an addition: which there are, and that the model without one is the model with it at zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from device_profiles.errors import StageError
from stages.models.nested import opened
from stages.slimming.auditions import leave_out
from stages.slimming.branches import find_branches, without
from stages.slimming.proof import MOST_DIFFERENCE, prove_without
from tests.stages.slimming.graphs import SIDE, Move, build, heads, moves
from tests.stages.slimming.sight import headed


def residual(*, after: bool = True) -> Any:
    """`stem`, then (`a`, `b`) + stem, then a projection block: (`c`) + (`d`)."""
    import tf_keras as keras

    layers = keras.layers
    inputs = layers.Input((4, 4, 2), name="in")
    stem = layers.Conv2D(3, 1, activation="relu", name="stem")(inputs)
    x = layers.Conv2D(3, 3, padding="same", name="b")(layers.Conv2D(5, 3, padding="same", name="a")(stem))
    x = layers.Add(name="sum")([x, stem])
    if after:
        c, d = layers.Conv2D(4, 1, name="c")(x), layers.Conv2D(4, 3, padding="same", name="d")(x)
        x = layers.Add(name="sum2")([c, d])
    return headed(inputs, x)


def samples(model: Any) -> Any:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(3, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]


def test_each_addend_with_a_kernel_of_its_own_is_a_branch_and_the_identity_is_not() -> None:
    found = {(branch.join, branch.place): branch.layers for branch in find_branches(residual())}
    assert found == {("sum", 0): ("a", "b"), ("sum2", 0): ("c",), ("sum2", 1): ("d",)}


def test_a_branch_with_a_protected_layer_stays() -> None:
    assert {branch.layers for branch in find_branches(residual(), ["a"])} == {("c",), ("d",)}


def test_a_branch_that_something_else_reads_stays_as_far_as_it_does() -> None:
    import tf_keras as keras

    layers = keras.layers
    inputs = layers.Input((4, 4, 2))
    stem = layers.Conv2D(3, 1, name="stem")(inputs)
    a = layers.Conv2D(3, 1, name="a")(stem)
    total = layers.Add(name="sum")([layers.Conv2D(3, 1, name="b")(a), stem])
    model = headed(inputs, layers.Concatenate()([total, a]))
    assert [branch.layers for branch in find_branches(model)] == [("b",)]


def test_a_layer_that_is_called_elsewhere_too_stays() -> None:
    import tf_keras as keras

    layers = keras.layers
    inputs = layers.Input((4, 4, 2))
    shared = layers.Conv2D(2, 1, name="shared")
    x = layers.Add(name="one")([shared(inputs), inputs])
    model = headed(inputs, layers.Add(name="two")([shared(x), x]))
    assert find_branches(model) == []


def test_without_a_branch_the_addition_goes_too_and_all_else_keeps_its_weights() -> None:
    model = residual(after=False)
    branch, = find_branches(model)
    left = without(model, branch)
    assert [layer.name for layer in left.layers if layer.weights] == ["stem", "out"]
    assert not any(layer.name == "sum" for layer in left.layers)
    for name in ("stem", "out"):
        for one, other in zip(model.get_layer(name).get_weights(), left.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert prove_without(model, left, [branch.addend], samples(model)) == 0


def test_an_addition_of_three_keeps_two() -> None:
    import tf_keras as keras

    layers = keras.layers
    inputs = layers.Input((4, 4, 2))
    convs = [layers.Conv2D(2, 1, name=name)(inputs) for name in ("a", "b")]
    model = headed(inputs, layers.Add(name="sum")([*convs, inputs]))
    one, other = find_branches(model)
    assert (one.layers, other.layers) == (("a",), ("b",))
    left = without(model, one)
    assert len(left.get_layer("sum").input) == 2
    again, = find_branches(left)
    assert again.layers == ("b",)
    bare = leave_out(model, (one, again))
    assert not any(layer.name == "sum" for layer in bare.layers)
    assert prove_without(model, bare, [one.addend, again.addend], samples(model)) <= MOST_DIFFERENCE


def test_a_model_that_ends_in_the_addition_ends_in_what_is_left() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((4, 4, 2))
    model = keras.Model(inputs, keras.layers.Add(name="sum")([keras.layers.Conv2D(2, 1, name="a")(inputs), inputs]))
    branch, = find_branches(model)
    left = without(model, branch)
    x, = samples(model)
    np.testing.assert_array_equal(left(x).numpy(), x)


@pytest.mark.parametrize(("before", "after", "stays"), [("relu", "relu", False), ("linear", "relu", True),
                                                         ("relu", "tanh", True)])
def test_a_relu_after_the_addition_goes_where_its_input_has_been_through_one(
        before: str, after: str, stays: bool) -> None:
    import tf_keras as keras

    layers = keras.layers
    inputs = layers.Input((4, 4, 2))
    stem = layers.Conv2D(3, 1, activation=before, name="stem")(inputs)
    x = layers.Add(name="sum")([layers.Conv2D(3, 1, name="a")(stem), stem])
    model = headed(inputs, layers.Activation(after, name="last")(x))
    branch, = find_branches(model)
    left = without(model, branch)
    assert any(layer.name == "last" for layer in left.layers) is stays
    assert prove_without(model, left, [branch.addend], samples(model)) == 0


def test_a_branch_that_was_not_zero_is_found_out() -> None:
    model = residual(after=False)
    branch, = find_branches(model)
    left = without(model, branch)
    with pytest.raises(StageError, match="without its branches computes something else"):
        prove_without(model, left, [], samples(model))


@settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck), max_examples=4)
@given(moves, heads, st.integers(0, 1000))
def test_any_graph_without_a_branch_computes_what_it_did_with_the_addend_zero(program: list[Move], head: Any,
                                                                              seed: int) -> None:
    import tf_keras as keras

    keras.backend.clear_session()
    merged: Move = ("merged", 0, 1, 0)
    model = opened(build([*program, merged, ("conv", 1, 0, 1), merged], head))
    rng = np.random.default_rng(seed)
    inputs = [rng.normal(size=(3, SIDE, SIDE, 2)).astype(np.float32) for _ in model.inputs]
    found = find_branches(model)
    assume(found)
    for branch in found[:2]:
        left = without(model, branch)
        assert prove_without(model, left, [branch.addend], inputs) <= MOST_DIFFERENCE
        assert not {layer.name for layer in left.layers} & set(branch.layers)
