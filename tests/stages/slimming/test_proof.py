"""The proof finds what is wrong, and names where it begins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device_profiles.errors import StageError
from stages.slimming.proof import prove, run
from stages.slimming.rebuild import Removed, rebuild
from stages.slimming.trace import trace


def network() -> Any:
    """Its channels are far from zero where their inputs are: a removal changes what the original computes."""
    import tf_keras as keras

    keras.utils.set_random_seed(4)
    inputs = keras.layers.Input((4, 4, 2), name="in")
    x = keras.layers.Conv2D(6, 3, name="conv", bias_initializer="ones")(inputs)
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization(name="norm", beta_initializer="ones")(x))
    return keras.Model(inputs, keras.layers.Dense(3, name="out")(keras.layers.Flatten()(x)))


def samples() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(5, 4, 4, 2)).astype(np.float32)


def test_a_right_removal_is_proven_although_the_outputs_change() -> None:
    model = network()
    traced = trace(model)
    removed = Removed(traced, [0, 4])
    narrow = rebuild(model, removed)
    assert prove(model, narrow, traced, removed, samples()) <= 1e-6
    assert np.abs(model(samples()) - narrow(samples())).max() > 0.1


@pytest.mark.parametrize(("layer", "weight"), [("conv", 0), ("norm", 1), ("out", 0)])
def test_a_weight_that_is_off_fails_the_proof_and_its_layer_is_named(layer: str, weight: int) -> None:
    model = network()
    traced = trace(model)
    removed = Removed(traced, [0, 4])
    narrow = rebuild(model, removed)
    weights = narrow.get_layer(layer).get_weights()
    weights[weight] += 1e-3
    narrow.get_layer(layer).set_weights(weights)
    with pytest.raises(StageError, match=f"computes something else: '{layer}' differs") as caught:
        prove(model, narrow, traced, removed, samples())
    assert str(caught.value).endswith(f"allowed: at most 1e-05\n  next: protect '{layer}' with slim.protect")


def test_channels_in_another_order_fail_the_proof() -> None:
    model = network()
    traced = trace(model)
    removed = Removed(traced, [0])
    narrow = rebuild(model, removed)
    conv = narrow.get_layer("conv")
    conv.set_weights([conv.get_weights()[0][..., ::-1], conv.get_weights()[1]])
    with pytest.raises(StageError, match="'conv' differs"):
        prove(model, narrow, traced, removed, samples())


def test_a_removed_channel_that_is_not_a_number_does_not_reach_the_outputs() -> None:
    model = network()
    kernel, bias = model.get_layer("conv").get_weights()
    kernel[..., 2] = np.nan
    model.get_layer("conv").set_weights([kernel, bias])
    traced = trace(model)
    removed = Removed(traced, [2])
    assert prove(model, rebuild(model, removed), traced, removed, samples()) <= 1e-6


def test_an_output_that_is_not_a_number_fails_the_proof() -> None:
    model = network()
    model.get_layer("out").set_weights([np.full((24, 3), np.nan), np.zeros(3)])
    traced = trace(model)
    removed = Removed(traced, [2])
    with pytest.raises(StageError, match="'out' differs by nan"):
        prove(model, rebuild(model, removed), traced, removed, samples())


def test_running_call_by_call_is_what_the_model_gives() -> None:
    model = network()
    found = run(model, samples())
    assert np.allclose(found["out", 0, 0], model(samples(), training=False), atol=1e-6)
    assert found["in", 0, 0].shape == (5, 4, 4, 2)


def test_several_inputs_may_come_by_name_and_a_layer_may_be_called_twice() -> None:
    import tf_keras as keras

    one, other = keras.layers.Input((3,), name="one"), keras.layers.Input((3,), name="other")
    shared, both = keras.layers.Dense(4, name="shared"), keras.layers.Concatenate()
    model = keras.Model([one, other], keras.layers.Dense(2)(both([shared(one), shared(other)])))
    traced = trace(model)
    removed = Removed(traced, [1])
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    narrow = rebuild(model, removed)
    assert prove(model, narrow, traced, removed, {"other": x[1], "one": x[0]}) <= 1e-6
    assert sorted(key for key in run(model, list(x)) if key[0] == "shared") == [("shared", 0, 0), ("shared", 1, 0)]
