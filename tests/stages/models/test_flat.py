"""Graphs written again as flat ones: the same outputs, ordinary layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.models.files import load_model, save_model
from stages.models.flat import as_flat

X = np.random.default_rng(0).normal(0, 1, (4, 8, 8, 3)).astype(np.float32)


def nested() -> Any:
    """As in ConvNeXt: a Sequential called twice removed, a LayerScale, and a sum written with an operator."""
    import tf_keras as keras
    from tf_keras.src.applications.convnext import LayerScale

    keras.utils.set_random_seed(3)
    inputs = keras.layers.Input((8, 8, 3), name="image")
    stem = keras.Sequential([keras.layers.Conv2D(4, 2, strides=2, name="stem_conv"),
                             keras.layers.LayerNormalization(name="stem_norm")], name="stem")
    x = stem(inputs)
    y = LayerScale(0.5, 4, name="scale")(keras.layers.Dense(4, name="dense")(x))
    x = x + y
    last = [keras.layers.Conv2D(2, 2, name="last_conv"), keras.layers.ReLU(name="last_relu")]
    model = keras.Model(inputs, keras.Sequential(last, name="last")(x))
    model.get_layer("scale").gamma.assign([1, -2, 3, 0.25])
    return model


def test_nested_layers_stand_in_a_row_and_compute_the_same() -> None:
    model = nested()
    flat = as_flat(model)
    assert [layer.name for layer in flat.layers] == ["image", "stem_conv", "stem_norm", "dense", "scale",
                                                     "operator4", "last_conv", "last_relu"]
    assert [type(layer).__name__ for layer in flat.layers].count("Add") == 1
    assert flat(X).numpy() == pytest.approx(model(X).numpy(), abs=1e-6)
    assert type(flat.get_layer("scale")).__name__ == "DepthwiseConv2D"
    assert flat.count_params() == model.count_params()


def test_the_flat_model_survives_its_file(tmp_path: Path) -> None:
    flat = as_flat(nested())
    save_model(flat, tmp_path)
    assert np.array_equal(load_model(tmp_path)(X).numpy(), flat(X).numpy())


def test_operators_become_layers_that_compute_the_same() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((8, 8, 3))
    gate = keras.layers.ReLU(6.0)(inputs + 3.0) * (1 / 6)
    model = keras.Model(inputs, keras.layers.Multiply()([inputs, gate]) * gate + inputs)
    flat = as_flat(model)
    assert sorted(type(layer).__name__ for layer in flat.layers) == [
        "Add", "InputLayer", "Multiply", "Multiply", "ReLU", "Rescaling", "Rescaling"]
    assert flat(X).numpy() == pytest.approx(model(X).numpy(), abs=1e-6)


def test_an_operator_that_has_no_layer_is_left_as_it_is() -> None:
    import tensorflow as tf
    import tf_keras as keras

    inputs = keras.layers.Input((8, 8, 3))
    model = keras.Model(inputs, tf.math.cumsum(inputs, axis=1) + 1.0)
    flat = as_flat(model)
    assert [type(layer).__name__ for layer in flat.layers] == ["InputLayer", "TFOpLambda", "Rescaling"]
    assert flat(X).numpy() == pytest.approx(model(X).numpy(), abs=1e-6)


def test_a_flat_model_is_left_as_it_is(tiny_keras: Any) -> None:
    assert as_flat(tiny_keras) is tiny_keras


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV3Small", "RegNetX002", "ConvNeXtTiny"])
def test_applications_become_ordinary_layers_that_compute_the_same(name: str) -> None:
    import tf_keras as keras

    model = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(32, 32, 3))
    flat = as_flat(model)
    kinds = {type(layer) for layer in flat.layers}
    assert all(getattr(keras.layers, kind.__name__, None) is kind for kind in kinds)
    x = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    assert flat(x).numpy() == pytest.approx(model(x).numpy(), abs=1e-5)
