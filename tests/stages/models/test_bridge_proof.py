"""The proof: what it measures, what it tolerates, and that it finds and names a layer that computes something else."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.bridge import TOLERANCE, bridge, prove
from stages.models.bridge.proof import _difference, _joined
from tests.stages.models.test_bridge_zoo import randomized


@pytest.fixture(scope="module")
def chain():
    """Conv, norm, hard_silu, a nested block, dense: (Keras 3 model, samples)."""
    import keras

    block = keras.Sequential([keras.Input((4, 4, 4)), keras.layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
                              keras.layers.ReLU(6.0, name="relu")], name="block")
    inputs = keras.Input((4, 4, 3), name="image")
    x = keras.layers.Conv2D(4, 1, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = block(keras.layers.Activation("hard_silu", name="gate")(x))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = randomized(keras.Model(inputs, keras.layers.Dense(3, name="scores")(x), name="chain"))
    return model, np.random.default_rng(0).normal(size=(20, 4, 4, 3)).astype(np.float32)


def rebuilt(twin, name, change):
    """The twin with one layer replaced by `change(layer's configuration)`."""
    import tf_keras

    def swap(layer):
        config = layer.get_config()
        return type(layer).from_config(change(config) if layer.name == name else config)

    copy = tf_keras.models.clone_model(twin, clone_function=swap)
    copy.set_weights(twin.get_weights())
    return copy


def test_the_proof_says_how_far_how_large_and_on_how_many(chain):
    model, x = chain
    proof = prove(model, bridge(model).model, x)
    assert proof.samples == 20
    assert proof.scale == pytest.approx(float(np.abs(model(x)).max()), rel=1e-6)
    assert 0 <= proof.largest_difference <= TOLERANCE


@pytest.mark.parametrize("name", ["conv", "norm", "depthwise", "scores"])
def test_a_changed_weight_is_found_in_its_layer(chain, name):
    model, x = chain
    twin = bridge(model).model
    layer = twin.get_layer(name)
    layer.set_weights([layer.get_weights()[0] * 1.01, *layer.get_weights()[1:]])
    with pytest.raises(ModelError, match=f"the first layer that differs is '{name}'"):
        prove(model, twin, x)


@pytest.mark.parametrize(("name", "argument", "value", "blamed"), [
    ("relu", "max_value", 1.0, "relu"), ("norm", "epsilon", 0.5, "norm"), ("gate_gate_relu6", "max_value", 3.0, "gate"),
    ("pool", "keepdims", True, "pool"),
])
def test_a_layer_patched_to_compute_something_else_is_named(chain, name, argument, value, blamed):
    model, x = chain
    twin = rebuilt(bridge(model).model, name, lambda config: config | {argument: value})
    with pytest.raises(ModelError, match=f"the first layer that differs is '{blamed}'") as caught:
        prove(model, twin, x)
    assert "the twin of 'chain' computes something else" in caught.value.found


def test_a_fault_of_the_bridge_itself_is_named(monkeypatch):
    import keras

    from stages.models.bridge import activations

    monkeypatch.setattr(activations, "hard_sigmoid", lambda b, x, name: b.scaled(x, name, 0.2, 0.5))
    inputs = keras.Input((5,))
    x = keras.layers.Dense(4, name="before")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Activation("hard_silu", name="faulty")(x)))
    with pytest.raises(ModelError, match=r"'faulty' \(Activation\)"):
        prove(model, bridge(model).model, np.random.default_rng(0).normal(0, 4, (8, 5)))


def test_a_difference_below_the_tolerance_of_large_logits_passes_and_above_it_not():
    import keras

    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="logits")(inputs))
    model.set_weights([np.array([[50.0], [0.0]])])
    twin = bridge(model).model
    ones = np.array([[1.0, 1.0]])
    twin.set_weights([np.array([[50.0], [4e-4]])])  # 4e-4 <= 1e-5 * 50
    assert prove(model, twin, ones).largest_difference == pytest.approx(4e-4, rel=0.02)
    twin.set_weights([np.array([[50.0], [6e-4]])])
    with pytest.raises(ModelError, match="'logits'"):
        prove(model, twin, ones)


def test_a_large_output_does_not_hide_a_small_one():
    import keras

    inputs = keras.Input((1,))
    model = keras.Model(inputs, [keras.layers.Dense(1, name=name, use_bias=False)(inputs) for name in ("huge", "tiny")])
    model.set_weights([np.array([[1e6]]), np.array([[0.5]])])
    twin = bridge(model).model
    twin.get_layer("tiny").set_weights([np.array([[0.5001]])])
    with pytest.raises(ModelError, match="'tiny'"):
        prove(model, twin, np.ones((1, 1)))


def magnifying(factor):
    """Batch normalization, then a sine that makes its last bits `factor` times as large: (model, x)."""
    import keras

    inputs = keras.Input((6, 6, 4))
    x = keras.layers.BatchNormalization(name="norm")(inputs)
    model = randomized(keras.Model(inputs, keras.ops.sin(x * factor), name="magnifying"))
    return model, np.random.default_rng(0).normal(size=(8, 6, 6, 4)).astype(np.float32)


def test_rounding_of_the_fused_kernel_that_a_network_magnifies_is_told_from_a_fault():
    model, x = magnifying(500.0)
    twin = bridge(model).model
    proof = prove(model, twin, x)
    assert proof.largest_difference <= TOLERANCE < proof.fused_difference
    assert twin.get_layer("norm").fused is True


def test_a_network_that_magnifies_rounding_without_end_is_refused():
    model, x = magnifying(1e5)
    with pytest.raises(ModelError, match="'magnifying' magnifies the last bits of its batch normalizations"):
        prove(model, bridge(model).model, x)


def test_a_fault_is_found_even_where_the_fused_kernel_s_rounding_is_magnified():
    model, x = magnifying(500.0)
    twin = bridge(model).model
    gamma, *others = twin.get_layer("norm").get_weights()
    twin.get_layer("norm").set_weights([gamma * 1.001, *others])
    with pytest.raises(ModelError, match="the first layer that differs is 'norm'"):
        prove(model, twin, x)
    assert twin.get_layer("norm").fused is True


def test_a_twin_of_another_model_is_refused(chain):
    import keras

    model, x = chain
    inputs = keras.Input((4, 4, 3))
    other = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(inputs)), name="other")
    with pytest.raises(ModelError, match="computes something else"):
        prove(model, bridge(other).model, x)


def test_samples_that_give_nan_prove_nothing(chain):
    model, x = chain
    twin = bridge(model).model
    with pytest.raises(ModelError, match="makes NaN of the samples"):
        prove(model, twin, np.full_like(x, np.nan))


def test_a_twin_that_alone_gives_nan_is_found(chain):
    model, x = chain
    twin = bridge(model).model
    twin.get_layer("scores").set_weights([np.full((4, 3), np.nan), np.zeros(3)])
    with pytest.raises(ModelError, match="the first layer that differs is 'scores'"):
        prove(model, twin, x)


@pytest.mark.parametrize(("samples", "message"), [
    (np.zeros((0, 4, 4, 3)), "no samples"), (np.zeros((2, 5, 4, 3)), r"'image' have the shape \(2, 5, 4, 3\)"),
    (np.zeros((2, 4, 4)), "have the shape"), ({"picture": np.zeros((2, 4, 4, 3))}, "are for the inputs picture"),
])
def test_samples_that_do_not_fit_are_refused(chain, samples, message):
    model, _ = chain
    with pytest.raises(ModelError, match=message):
        prove(model, bridge(model).model, samples)


def test_samples_for_several_inputs_must_be_equally_many():
    import keras

    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    model = keras.Model([a, b], keras.layers.Add()([a, b]))
    twin = bridge(model).model
    with pytest.raises(ModelError, match="not as many for each input"):
        prove(model, twin, {"a": np.ones((2, 2)), "b": np.ones((3, 2))})
    with pytest.raises(ModelError, match="of no name"):
        prove(model, twin, np.ones((2, 2)))
    assert prove(model, twin, {"b": np.ones((2, 2)), "a": np.ones((2, 2))}).scale == 2.0


def test_the_difference_of_two_arrays_by_hand():
    assert _difference(np.array([1.0, -4.0]), np.array([1.5, -4.0])).largest == 0.5
    assert _difference(np.array([1.0, -4.0]), np.array([1.5, -4.0])).scale == 4.0
    assert _difference(np.array([np.inf]), np.array([np.inf])).largest == 0.0
    assert _difference(np.array([np.inf]), np.array([1.0])).largest == np.inf
    assert _difference(np.array([1.0]), np.array([np.nan])).largest == np.inf
    assert _difference(np.zeros((2, 3)), np.zeros((3, 2))).largest == np.inf
    assert _difference(np.array([2.0]), np.array([2.0 + 3e-5])).excess == pytest.approx(1.5, rel=1e-3)


def test_batches_are_put_together_output_by_output():
    joined = _joined([[np.ones((2, 3)), np.zeros((2, 1))], [np.ones((1, 3)), np.zeros((1, 1))]])
    assert [array.shape for array in joined] == [(3, 3), (3, 1)]
