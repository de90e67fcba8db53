"""The narrower model: names, settings, slices of weights, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stages.models.files import load_model, save_model
from stages.slimming.rebuild import Removed, rebuild
from stages.slimming.trace import trace
from tests.stages.slimming.sight import headed


def without(model: Any, *gone: int) -> Any:
    return rebuild(model, Removed(trace(model), gone))


def test_weights_are_the_slices_that_stay() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((2, 2, 1))
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Conv2D(3, 1, name="conv")(inputs))
    model = headed(inputs, x)
    for layer in model.layers:
        layer.set_weights([np.arange(weight.size, dtype=np.float32).reshape(weight.shape) for weight in
                           layer.get_weights()])
    narrow = without(model, 1)
    assert narrow.get_layer("conv").kernel.numpy().ravel().tolist() == [0, 2]
    assert [weight.tolist() for weight in narrow.get_layer("norm").get_weights()] == [[0, 2]] * 4
    rows = narrow.get_layer("out").kernel.numpy()[:, 0] / 2
    assert rows.tolist() == [0, 2, 3, 5, 6, 8, 9, 11]  # of places 0 to 3, channels 0 and 2
    assert model.get_layer("conv").filters == 3


def test_the_original_is_not_changed_and_names_and_kinds_stay() -> None:
    import tf_keras as keras

    rows = [keras.layers.Input((3,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(2, name="b")]
    model = keras.Sequential(rows, name="row")
    before = model.get_weights()
    narrow = without(model, 0, 3)
    assert isinstance(narrow, keras.Sequential)
    assert (narrow.name, [layer.name for layer in narrow.layers]) == ("row", ["a", "b"])
    assert [layer.units for layer in narrow.layers] == [2, 2]
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))


def test_a_reshape_gets_its_new_length() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((2, 2, 1))
    x = keras.layers.Reshape((1, 1, 4), name="fixed")(keras.layers.GlobalAveragePooling2D()(
        keras.layers.Conv2D(4, 1)(inputs)))
    narrow = without(headed(inputs, keras.layers.Reshape((1, 1, -1), name="open")(x)), 2)
    assert narrow.get_layer("fixed").target_shape == (1, 1, 3)
    assert narrow.get_layer("open").target_shape == (1, 1, -1)


def test_whole_groups_go_with_their_number() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((4, 4, 2))
    x = keras.layers.Conv2D(8, 3, groups=4, name="grouped")(keras.layers.Conv2D(4, 1, name="first")(inputs))
    narrow = without(headed(inputs, x), 1)
    grouped = narrow.get_layer("grouped")
    assert (grouped.groups, grouped.filters, grouped.kernel.shape) == (3, 6, (3, 3, 1, 6))


def test_settings_of_a_layer_stay_and_the_model_is_saved_and_read_back(tmp_path: Path) -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((4, 4, 2))
    frozen = keras.layers.Conv2D(4, 3, kernel_regularizer=keras.regularizers.L2(0.1), trainable=False, name="conv")
    narrow = without(headed(inputs, keras.layers.Dropout(0.25, name="drop")(frozen(inputs))), 0)
    save_model(narrow, tmp_path)
    again = load_model(tmp_path)
    conv = again.get_layer("conv")
    assert (conv.filters, conv.trainable, float(conv.kernel_regularizer.l2)) == (3, False, np.float32(0.1))
    assert again.get_layer("drop").rate == 0.25
    x = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32)
    assert np.array_equal(again(x), narrow(x))


def test_what_was_removed_and_what_is_kept_make_up_all() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((3,))
    removed = Removed(trace(headed(inputs, keras.layers.Dense(4, name="a")(inputs))), [1, 3])
    labels = np.array([0, 1, 2, 3, 1])
    assert (removed.kept(labels).tolist(), removed.gone(labels).tolist()) == ([0, 2], [1, 3, 4])
