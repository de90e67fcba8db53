"""What the bridge does with layers' arguments, weights and wrappers, and which it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.bridge import bridge, prove
from stages.models.bridge.layers import LAYERS


def over(shape, *layers):
    """A Sequential model."""
    import keras

    return keras.Sequential([keras.Input(shape), *layers])


def test_every_layer_of_keras_is_either_known_or_refused_with_its_name():
    import keras

    classes = {kind.__name__ for kind in vars(keras.layers).values() if isinstance(kind, type)}
    unknown = set(LAYERS) - classes - {"LayerScale", "StochasticDepth", "CustomScaleLayer"}
    assert unknown == set()
    assert classes - set(LAYERS) >= {"StringLookup", "MelSpectrogram", "TFSMLayer", "JaxLayer", "RandomCrop"}


def test_a_custom_layer_is_refused_even_if_it_is_called_like_one_of_keras():
    import keras

    class Dense(keras.layers.Layer):
        def call(self, x):
            return x

    for kind in (Dense, type("LayerScale", (Dense,), {"__module__": "keras.src.applications.convnext"})):
        with pytest.raises(ModelError, match=r"'own' \(\w+\) is a custom layer") as caught:
            bridge(over((3,), kind(name="own")))
        assert caught.value.allowed
        assert caught.value.next_step


def test_a_layer_without_twin_is_refused_by_name_and_class():
    import keras

    x = keras.Input((4, 6))
    model = keras.Model(x, keras.layers.GroupQueryAttention(3, 4, 2, name="grouped")(x, x))
    with pytest.raises(ModelError, match=r"'grouped' \(GroupedQueryAttention\) has no twin in Keras 2"):
        bridge(model)


@pytest.mark.parametrize(("build", "message"), [
    (lambda k: k.Resizing(4, 4, antialias=True), "antialias=True, which Keras 2 does not know"),
    (lambda k: k.LSTM(3, stateful=True), "keeps its state"),
    (lambda k: k.LSTM(3, recurrent_activation="hard_sigmoid"), "recurrent_activation 'hard_sigmoid'"),
    (lambda k: k.Dense(3, activation=lambda x: x * 2), "not one of Keras' own"),
    (lambda k: k.Bidirectional(k.RNN(k.LSTMCell(3))), "cannot be run in both directions"),
    (lambda k: k.AdaptiveAveragePooling1D(4), r"pools \(6,\) to \(4,\)"),
    (lambda k: k.CenterCrop(9, 2), r"crops \(6, 6\) to \(9, 2\)"),
    (lambda k: k.RMSNormalization(axis=1), "normalizes axis"),
])
def test_what_an_argument_asks_for_is_never_dropped_in_silence(build, message):
    import keras

    layer = build(keras.layers)
    images = type(layer).__name__ in ("Resizing", "CenterCrop")
    shape = {"LSTM": (5, 4), "Bidirectional": (5, 4)}.get(type(layer).__name__, (6, 6, 2) if images else (6, 4))
    inputs = keras.Input(batch_shape=(2, *shape))
    with pytest.raises(ModelError, match=message):
        bridge(keras.Model(inputs, layer(inputs)))


def test_integer_images_are_not_resized_because_keras_3_rounds_them():
    import keras

    inputs = keras.Input((8, 8, 1), dtype="uint8")
    with pytest.raises(ModelError, match="resizes uint8 images"):
        bridge(keras.Model(inputs, keras.layers.Resizing(4, 4, dtype="uint8")(inputs)))


def test_regularizers_and_constraints_of_keras_go_along_for_fine_tuning():
    import keras

    made = bridge(over((3,), keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2),
                                                kernel_constraint=keras.constraints.MaxNorm(3), name="d")))
    layer = made.model.get_layer("d")
    assert (float(layer.kernel_regularizer.l1), float(layer.kernel_regularizer.l2)) == pytest.approx((0.1, 0.2))
    assert layer.kernel_constraint.max_value == 3
    assert made.changed == {}


def test_a_regularizer_of_the_user_s_own_is_left_out_and_said():
    import keras

    @keras.saving.register_keras_serializable("tests")
    class Own(keras.regularizers.Regularizer):
        def __call__(self, x):
            return keras.ops.sum(x)

        def get_config(self):
            return {}

    made = bridge(over((3,), keras.layers.Dense(2, kernel_regularizer=Own(), name="d")))
    assert "kernel_regularizer left out" in made.changed["d"]
    assert made.model.get_layer("d").kernel_regularizer is None


def test_quantized_weights_are_refused():
    import keras

    model = over((4,), keras.layers.Dense(4, name="d"))
    model.quantize("int8")
    with pytest.raises(ModelError, match=r"'d' .* holds weights quantized to int8"):
        bridge(model)


def test_a_low_rank_update_is_added_into_the_kernel():
    import keras

    layer = keras.layers.Dense(4, name="d")
    model = over((5,), layer)
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.random.default_rng(0).normal(size=(2, 4)))
    made = bridge(model)
    prove(model, made.model, np.random.default_rng(1).normal(size=(4, 5)))
    assert made.changed == {"d": "low-rank (LoRA) update added into the kernel"}
    assert made.model.count_params() == 24


def test_weights_are_matched_by_name_where_frozen_ones_come_in_another_order():
    import keras

    inner = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(), keras.layers.Dense(3)])
    model = over((2, 4), keras.layers.TimeDistributed(inner))
    for weight in model.weights:
        weight.assign(np.random.default_rng(len(weight.path)).uniform(0.5, 1, weight.shape))
    prove(model, bridge(model).model, np.random.default_rng(0).normal(size=(3, 2, 4)))


def test_a_layer_with_other_weights_than_its_twin_is_refused():
    import keras

    layer = keras.layers.Dense(2, name="d")
    model = over((3,), layer)
    layer._lock = False
    layer._tracker.unlock()
    layer.extra = layer.add_weight(shape=(7,), name="extra")
    with pytest.raises(ModelError, match=r"'d'.*other weights than its twin in Keras 2: extra"):
        bridge(model)


def test_augmentation_is_dropped_and_said():
    import keras

    made = bridge(over((6, 6, 3), keras.layers.RandomFlip(name="flip"), keras.layers.RandomZoom(0.1, name="zoom"),
                       keras.layers.Flatten(name="flat")))
    assert [layer.name for layer in made.model.layers][1:] == ["flat"]
    assert sorted(made.changed) == ["flip", "zoom"]
    assert "dropped" in made.changed["flip"]


def test_rescaling_of_a_byte_image_gives_floats():
    import keras

    inputs = keras.Input((4, 4, 3), dtype="uint8")
    model = keras.Model(inputs, keras.layers.Rescaling(1 / 255)(keras.layers.RandomFlip()(inputs)))
    twin = bridge(model).model
    assert twin.inputs[0].dtype.name == "uint8"
    assert prove(model, twin, np.full((1, 4, 4, 3), 255, np.uint8)).scale == pytest.approx(1.0)


def test_a_layer_of_keras_applications_is_trainable_in_keras_2():
    import keras
    from keras.src.applications.convnext import LayerScale, StochasticDepth
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    inputs = keras.Input((4, 4, 3))
    x = LayerScale(0.3, 3, name="gamma")(inputs)
    x = StochasticDepth(0.25, name="drop")(x)
    model = keras.Model(inputs, CustomScaleLayer(0.17, name="sum")([x, inputs]))
    model.get_layer("gamma").gamma.assign([1.0, -2.0, 0.5])
    made = bridge(model)
    np.testing.assert_allclose(made.model(np.ones((1, 4, 4, 3)))[0, 0, 0], [1.17, -1.83, 0.67], rtol=1e-6)
    assert made.model.get_layer("gamma").trainable_weights[0].shape == (1, 1, 3, 1)
    assert made.model.get_layer("drop").noise_shape == (None, 1, 1, 1)
    assert sorted(made.changed) == ["drop", "gamma", "sum"]
    prove(model, made.model, np.random.default_rng(0).normal(size=(3, 4, 4, 3)))


def test_a_call_that_is_fixed_to_training_is_noted_because_inference_overrides_it():
    import keras

    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dropout(0.5, name="drop")(inputs, training=True))
    made = bridge(model)
    assert "training=True" in made.changed["drop"]
    prove(model, made.model, np.ones((3, 4)))


def test_normalization_by_channel_and_over_two_axes_is_that_of_keras_3():
    import keras

    layer = keras.layers.Normalization(axis=(1, 3))
    layer.adapt(np.random.default_rng(0).normal(3, 2, (20, 4, 5, 2)))
    model = over((4, 5, 2), layer)
    prove(model, bridge(model).model, np.random.default_rng(1).normal(size=(3, 4, 5, 2)))
