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
                                                     "tf.__operators__.add", "last_conv", "last_relu"]
    assert flat(X).numpy() == pytest.approx(model(X).numpy(), abs=1e-6)
    assert type(flat.get_layer("scale")).__name__ == "DepthwiseConv2D"
    assert flat.count_params() == model.count_params()


def test_the_flat_model_survives_its_file(tmp_path: Path) -> None:
    flat = as_flat(nested())
    save_model(flat, tmp_path)
    assert np.array_equal(load_model(tmp_path)(X).numpy(), flat(X).numpy())


def test_a_flat_model_is_left_as_it_is(tiny_keras: Any) -> None:
    assert as_flat(tiny_keras) is tiny_keras
