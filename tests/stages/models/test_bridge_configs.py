"""Layers' arguments: carried over, left out with a note, or refused; never dropped in silence."""

from __future__ import annotations

import pytest

from device_profiles.errors import ModelError
from stages.models.bridge import bridge
from tests.stages.models.test_bridge_layers import over


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
