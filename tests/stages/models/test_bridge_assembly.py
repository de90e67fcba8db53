"""Inputs, outputs, precision, trust; and that the result is a model that can be kept and converted."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.bridge import bridge, prove
from stages.models.files import MODEL_FILE, load_model, save_model
from tests.stages.models import bridge_zoo
from tests.stages.models.test_bridge_zoo import randomized

KEPT_LAYERS = ("attention", "batch_normalization", "bidirectional_lstm", "conv_2d_groups", "depthwise_2d",
               "multi_head_attention", "normalization_adapted", "rms_normalization", "separable_2d",
               "time_distributed_model")
KEPT_OPERATIONS = ("concatenate", "einsum", "gelu_tanh", "getitem_new_axis", "getitem_slices", "glu", "matmul_constant",
                   "multiply_row", "pad_channels", "power_of_constant", "reshape_across_batch", "sparsemax", "split_at",
                   "stack", "take", "transpose_batch", "where")


def two_towers():
    """Two inputs, a shared layer, two outputs."""
    import keras

    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    shared = keras.layers.Dense(3, activation="silu", name="shared")
    joined = keras.layers.Concatenate(name="joined")([shared(left), shared(right)])
    return left, right, keras.layers.Dense(2, name="small")(joined), keras.layers.Dense(5, name="large")(joined)


def both(seed=0):
    """Samples for `two_towers`."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(6, 4)).astype(np.float32) for name in ("left", "right")}


def test_several_inputs_and_outputs_keep_their_order_and_names():
    import keras

    left, right, small, large = two_towers()
    model = keras.Model([left, right], [large, small])
    twin = bridge(model).model
    assert twin.input_names == ["left", "right"]
    assert twin.output_names == ["large", "small"]
    assert twin.count_params() == model.count_params()
    prove(model, twin, both())


def test_outputs_that_are_a_mapping_stay_one_through_saving(tmp_path):
    import keras

    left, right, small, large = two_towers()
    model = keras.Model({"right": right, "left": left}, {"z": small, "a": large})
    twin = bridge(model).model
    save_model(twin, tmp_path)
    read = load_model(tmp_path)
    assert sorted(read(list(both().values()))) == ["a", "z"]
    prove(model, read, both())
    assert {name: tuple(value.shape) for name, value in read(both()).items()} == {"a": (6, 5), "z": (6, 2)}


def test_a_model_that_hands_its_input_through_is_bridged():
    import keras

    inputs = keras.Input((3,))
    model = keras.Model(inputs, [inputs, keras.layers.Dense(2)(inputs)])
    prove(model, bridge(model).model, np.ones((2, 3)))


def test_a_fixed_batch_size_is_kept_and_proven():
    import keras

    inputs = keras.Input(batch_shape=(4, 3))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    twin = bridge(model).model
    assert twin.input_shape == (4, 3)
    assert prove(model, twin, np.random.default_rng(0).random((6, 3))).samples == 6


def test_a_model_cut_out_of_another_is_bridged_from_its_own_inputs():
    import keras

    inputs = keras.Input((4,))
    middle = keras.layers.Dense(3, activation="relu", name="first")(inputs)
    whole = keras.Model(inputs, keras.layers.Dense(2, name="second")(middle))
    part = keras.Model(whole.get_layer("second").input, whole.output)
    twin = bridge(part).model
    assert [layer.name for layer in twin.layers][1:] == ["second"]
    prove(part, twin, np.random.default_rng(0).random((3, 3)))


def test_frozen_layers_stay_frozen():
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="a"), keras.layers.Dense(2, name="b")])
    model.get_layer("a").trainable = False
    twin = bridge(model).model
    assert (twin.get_layer("a").trainable, twin.get_layer("b").trainable) == (False, True)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "float64"])
def test_another_precision_is_computed_in_float32_and_said(policy):
    import keras

    inputs = keras.Input((6,))
    x = keras.layers.Dense(4, activation="relu", dtype=policy, name="half")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="full")(x * 2))
    bridged = bridge(model)
    assert bridged.changed == {"half": f"computed in float32 instead of {policy}"}
    assert bridged.model.get_layer("half").compute_dtype == "float32"
    prove(model, bridged.model, np.random.default_rng(0).random((5, 6)))
    assert model.get_layer("half").dtype_policy.name == policy


@pytest.mark.parametrize("model", [None, "model.keras", 3])
def test_what_is_no_keras_3_model_is_refused(model):
    with pytest.raises(ModelError, match="the bridge was given a"):
        bridge(model)


def test_a_keras_2_model_is_refused(tiny_keras):
    with pytest.raises(ModelError, match="tf_keras"):
        bridge(tiny_keras)


def test_text_inputs_are_refused():
    import keras

    words = keras.Input((1,), dtype="string", name="words")
    inputs = keras.Input((1,))
    with pytest.raises(ModelError, match=r"'words'.*takes text"):
        bridge(keras.Model([words, inputs], [inputs + 1.0, words]))


def test_a_lambda_is_refused_without_being_run():
    import keras

    ran = []
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: ran.append(1) or x * 2, name="mine")(inputs))
    ran.clear()
    with pytest.raises(ModelError, match=r"'mine' \(Lambda\) carries Python code") as caught:
        bridge(model)
    assert ran == []
    assert "--trust-model" in caught.value.next_step


def test_a_trusted_lambda_of_keras_ops_becomes_layers():
    import keras

    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: keras.ops.relu(x) * 2, name="mine")(inputs))
    bridged = bridge(model, trust=True)
    assert [type(layer).__name__ for layer in bridged.model.layers] == ["InputLayer", "ReLU", "Rescaling"]
    assert "its function was run" in bridged.changed["mine"]
    prove(model, bridged.model, np.random.default_rng(0).normal(size=(4, 3)))


def test_a_trusted_lambda_of_tensorflow_becomes_layers(tmp_path):
    import keras
    import tensorflow as tf

    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: tf.math.atan(x) + 1.0)(inputs))
    save_model(bridge(model, trust=True).model, tmp_path)
    prove(model, load_model(tmp_path), np.random.default_rng(0).normal(size=(4, 3)))


@pytest.mark.parametrize("name", KEPT_LAYERS)
def test_a_bridged_layer_survives_saving_and_loading(name, tmp_path):
    import keras

    shape, make = bridge_zoo.LAYERS[name]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, make(keras.layers, keras.ops)(inputs))
    model = model if "adapted" in name else randomized(model)
    save_model(bridge(model).model, tmp_path)
    prove(model, load_model(tmp_path), np.random.default_rng(1).normal(size=(3, *shape)))


@pytest.mark.parametrize("name", KEPT_OPERATIONS)
def test_a_bridged_operation_survives_saving_and_loading(name, tmp_path):
    import keras

    x, y = keras.Input((6, 6, 4), name="x"), keras.Input((6, 6, 4), name="y")
    made = bridge_zoo.OPERATIONS[name](keras.ops, x, y)
    model = keras.Model([x, y], [*made, y] if isinstance(made, list | tuple) else [made, y])
    save_model(bridge(model).model, tmp_path)
    rng = np.random.default_rng(2)
    prove(model, load_model(tmp_path), {"x": rng.normal(size=(2, 6, 6, 4)), "y": rng.uniform(0.5, 2, (2, 6, 6, 4))})


def test_a_bridged_model_is_the_same_bytes_every_time(tmp_path):
    import keras

    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, activation="hard_silu")(inputs)
    model = keras.Model(inputs, keras.ops.mean(x, axis=(1, 2)) - 1)
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        files.append((save_model(bridge(model).model, tmp_path / name)).read_bytes())
    assert files[0] == files[1]
    assert (tmp_path / "one" / MODEL_FILE).exists()
