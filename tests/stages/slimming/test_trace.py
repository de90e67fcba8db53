"""Following a whole model: protection, outputs, inputs, what has no graph, and calls that are not followed."""

from __future__ import annotations

from typing import Any

import pytest

from device_profiles.errors import ModelError, StageError
from stages.slimming.trace import BY_USER, calls, trace
from tests.stages.slimming.sight import fixed_of, headed, spaces_of


def two_convolutions() -> Any:
    import tf_keras as keras

    inputs = keras.layers.Input((4, 4, 2), name="in")
    x = keras.layers.Conv2D(4, 1, activation="relu", name="first")(inputs)
    return headed(inputs, keras.layers.ReLU(name="last")(keras.layers.Conv2D(6, 1, name="second")(x)))


def test_what_a_user_protects_stays_by_name_by_pattern_and_by_a_layer_that_makes_no_channels() -> None:
    assert fixed_of(two_convolutions(), "first") == {"first": BY_USER, "out": "an output of the model"}
    assert spaces_of(two_convolutions(), "*st") == []
    assert fixed_of(two_convolutions(), "last")["second"] == BY_USER


def test_a_protected_layer_that_is_not_there_is_refused_with_the_near_miss() -> None:
    with pytest.raises(ModelError, match=r"slim\.protect names 'secnd', which no layer matches; did you mean 'second'"):
        trace(two_convolutions(), ["secnd"])


def test_outputs_and_inputs_keep_their_channels() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((4, 4, 2))
    x = keras.layers.Conv2D(4, 1, name="seen")(inputs)
    model = keras.Model(inputs, [x, keras.layers.Conv2D(3, 1, name="other")(x)])
    assert fixed_of(model) == {"seen": "an output of the model", "other": "an output of the model"}
    reads = [cut for cut in trace(model).ledger.cuts if cut.layer == "seen" and cut.role == "reads"]
    assert reads == []


def test_a_layer_with_some_channels_in_an_output_says_how_many() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((4, 4, 2))
    wide, narrow = keras.layers.Conv2D(6, 1, name="wide")(inputs), keras.layers.Conv2D(4, 1, name="narrow")(inputs)
    joined = keras.layers.Concatenate()([narrow, keras.layers.Conv2D(2, 1, name="rest")(inputs)])
    total = keras.layers.Add()([wide, joined])
    model = keras.Model(inputs, [keras.layers.Conv2D(1, 1, name="out")(total), narrow])
    assert fixed_of(model)["wide"] == "4 of 6 channels: an output of the model"
    assert spaces_of(model) == [(2, {"wide": 1, "rest": 1})]


def test_a_model_of_its_own_code_is_refused() -> None:
    import tf_keras as keras

    class Own(keras.Model):
        """Calls a layer from code."""

        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(StageError, match=r"\(Own\) has no graph of layers"):
        trace(Own(name="mine"))


def test_channels_first_are_kept() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((2, 4, 4))
    x = keras.layers.Permute((3, 1, 2), name="turned")(keras.layers.Conv2D(4, 1, name="conv")(inputs))
    model = headed(inputs, keras.layers.MaxPooling2D(data_format="channels_first", name="pool")(x))
    assert fixed_of(model)["conv"] == "'pool' (MaxPooling2D) has its channels first"


def test_tensors_in_other_arguments_are_not_followed() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((5, 3))
    one, other = keras.layers.Dense(4, name="one")(inputs), keras.layers.Dense(4, name="other")(inputs)
    model = headed(inputs, keras.layers.MultiHeadAttention(2, 2, name="attention")(one, other))
    assert fixed_of(model)["one"] == fixed_of(model)["other"] == "'attention' (MultiHeadAttention) is not followed"


def test_a_function_of_tensorflow_keeps_its_neighbours() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((4, 4, 2))
    x = keras.layers.Conv2D(4, 1, name="conv")(inputs) * 2.0
    model = headed(inputs, keras.layers.Conv2D(3, 1, name="behind")(x))
    function = x.node.layer.name  # "tf.math.multiply", with a number where this process has made one before
    assert fixed_of(model)["conv"] == f"'{function}' (TFOpLambda) is not followed"
    assert spaces_of(model) == [(3, {"behind": 1})]


def test_a_user_s_class_with_a_known_name_is_not_followed() -> None:
    import tf_keras as keras

    class Dense(keras.layers.Dense):
        """Not Keras' own."""

    inputs = keras.layers.Input((3,))
    model = headed(inputs, Dense(4, name="mine")(keras.layers.Dense(5, name="before")(inputs)))
    assert fixed_of(model)["before"] == "'mine' (Dense) is not followed"


def test_calls_come_in_an_order_in_which_they_can_be_made_and_are_counted_by_layer() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((3,), name="in")
    shared = keras.layers.Dense(3, name="shared")
    model = keras.Model(inputs, shared(shared(inputs)))
    assert [(node.layer.name, number) for number, node in calls(model)] == [("in", 0), ("shared", 0), ("shared", 1)]
    assert fixed_of(model)["shared"] == "an output of the model"
