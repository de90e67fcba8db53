"""Names, nested and shared models, and what cannot be walked."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.bridge import bridge, prove
from stages.models.bridge.graph import fit_name, names_of, unused


def layer_names(model):
    """Names of a bridged model's layers."""
    return [layer.name for layer in bridge(model).model.layers]


def backbone(name="backbone"):
    """A nested model with layers 'conv', 'norm' and 'pool'."""
    import keras

    inputs = keras.Input((6, 6, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="pool")(x), name=name)


def test_a_nested_model_is_opened_and_its_layers_keep_their_names():
    import keras

    inputs = keras.Input((6, 6, 3), name="outer")
    model = keras.Model(inputs, keras.layers.Dense(2, name="scores")(backbone()(inputs)))
    bridged = bridge(model)
    assert [layer.name for layer in bridged.model.layers] == ["outer", "conv", "norm", "pool", "scores"]
    assert bridged.layers == 5
    prove(model, bridged.model, np.random.default_rng(0).random((3, 6, 6, 3)))


def test_only_a_name_that_is_taken_gets_the_nested_model_s_before_it():
    import keras

    inputs = keras.Input((6, 6, 3), name="outer")
    first, second = backbone("left"), backbone("right")
    joined = keras.layers.Add(name="conv")([first(inputs), second(inputs)])
    names = layer_names(keras.Model(inputs, joined))
    assert sorted(names) == ["conv", "left_conv", "norm", "outer", "pool", "right_conv", "right_norm", "right_pool"]


def test_a_nested_model_that_is_used_twice_shares_its_weights():
    import keras

    shared = backbone()
    inputs = [keras.Input((6, 6, 3), name=name) for name in ("a", "b")]
    model = keras.Model(inputs, keras.layers.Subtract()([shared(one) for one in inputs]))
    bridged = bridge(model).model
    assert bridged.count_params() == model.count_params() == shared.count_params()
    rng = np.random.default_rng(0)
    prove(model, bridged, {name: rng.random((2, 6, 6, 3)) for name in ("a", "b")})


def test_models_are_opened_however_deep_they_lie():
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="deep")], name="one")
    for name in ("two", "three"):
        model = keras.Sequential([model, keras.layers.Dense(3, name=f"after_{name}")], name=name)
    model.build((None, 4))
    assert layer_names(model)[1:] == ["deep", "after_two", "after_three"]


def test_a_frozen_backbone_stays_in_inference_mode_when_it_was_called_so():
    import keras

    inputs = keras.Input((6, 6, 3))
    bridged = bridge(keras.Model(inputs, backbone()(inputs, training=False))).model
    x = np.random.default_rng(0).random((4, 6, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(bridged(x, training=True), bridged(x, training=False))
    thawed = bridge(keras.Model(inputs, backbone()(inputs))).model
    assert np.abs(thawed(x, training=True) - thawed(x, training=False)).max() > 0.1


def test_a_nested_model_with_named_inputs_gets_each_value_under_its_name():
    import keras

    first, second = keras.Input((2,), name="zebra"), keras.Input((2,), name="ape")
    inner = keras.Model({"zebra": first, "ape": second}, keras.layers.Subtract()([first, second]), name="inner")
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    model = keras.Model([a, b], inner({"zebra": a, "ape": b}))
    twin = bridge(model).model
    np.testing.assert_allclose(twin([np.full((1, 2), 5.0), np.full((1, 2), 3.0)]), [[2.0, 2.0]])


def test_a_nested_model_converts_integers_to_the_type_of_its_input():
    import keras

    image = keras.Input((2, 2, 1), dtype="uint8", name="image")
    inner_in = keras.Input((2, 2, 1), name="inner_in")
    inner = keras.Model(inner_in, keras.ops.sqrt(inner_in), name="inner")
    model = keras.Model(image, inner(image))
    x = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1)
    twin = bridge(model).model
    assert prove(model, twin, x).scale == pytest.approx(3 ** 0.5)


def test_a_nested_model_that_is_given_another_rank_is_refused():
    import keras

    inner = keras.Sequential([keras.Input((4, 1)), keras.layers.Flatten()], name="inner")
    inputs = keras.Input((4,))
    with pytest.raises(ModelError, match=r"'inner'.*rank 2 for an input of rank 3"):
        bridge(keras.Model(inputs, inner(inputs)))


def test_a_subclassed_model_is_refused_with_the_way_out():
    import keras

    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ModelError, match=r"'own' \(Own\) computes in Python code of its own") as caught:
        bridge(Own(name="own"))
    assert "functional API" in caught.value.next_step


def test_a_subclass_of_a_functional_model_that_only_trains_in_its_own_way_is_taken():
    import keras

    class OwnStep(keras.Model):
        def train_step(self, data):
            return {}

    inputs = keras.Input((3,))
    assert bridge(OwnStep(inputs, keras.layers.Dense(2)(inputs))).layers == 2


def test_a_sequential_without_an_input_shape_is_refused_until_it_is_built():
    import keras

    model = keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(ModelError, match="has no input shape yet") as caught:
        bridge(model)
    assert "model.build" in caught.value.next_step
    model.build((None, 3))
    prove(model, bridge(model).model, np.ones((2, 3)))


def test_the_same_model_is_given_the_same_names_every_time():
    import keras

    inputs = keras.Input((6,))
    x = keras.layers.Dense(3, activation="hard_silu")(inputs)
    model = keras.Model(inputs, keras.ops.exp(x * 2 - 1) / x)
    assert layer_names(model) == layer_names(model)


def test_characters_that_tensorflow_does_not_take_are_replaced():
    assert fit_name("my layer: 1") == "my_layer__1"
    assert fit_name("_hidden") == "layer_hidden"
    assert unused("a", {"a", "a_1"}) == "a_2"


def test_a_layer_with_a_blank_in_its_name_is_bridged():
    import keras

    inputs = keras.Input((3,), name="my input")
    model = keras.Model(inputs, keras.layers.Dense(2, name="my layer")(inputs))
    assert layer_names(model) == ["my_input", "my_layer"]
    assert set(names_of(model).values()) == {"my_input", "my_layer"}
    prove(model, bridge(model).model, {"my input": np.ones((1, 3))})
