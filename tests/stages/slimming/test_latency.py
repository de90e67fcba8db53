"""Milliseconds of a Keras model: predicted by a profile, or measured here beside the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import StageError
from device_profiles.loader import load_profile
from device_profiles.predictor import predict_latency
from device_profiles.workload import read_workload
from stages.slimming import latency
from stages.slimming.latency import as_tflite, make_clock


def convolutions(width: int, count: int = 3) -> Any:
    import tf_keras as keras

    inputs = x = keras.layers.Input((16, 16, 3))
    for _ in range(count):
        x = keras.layers.Conv2D(width, 3, padding="same")(x)
    return keras.Model(inputs, x)


def test_a_profile_that_predicts_is_asked_about_the_converted_model(tmp_path: Path) -> None:
    model, profile = convolutions(8), load_profile("iot")
    clock = make_clock(profile, "float32", model, None, tmp_path / "log.txt")
    predicted = predict_latency(read_workload(as_tflite(model, "float32", None, tmp_path / "log.txt")), profile)
    assert predicted.figure is not None
    assert clock(model) == predicted.figure.value
    assert clock(convolutions(4)) < clock(model)


def test_int8_is_predicted_in_int8(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype(np.float32)
    content = as_tflite(convolutions(4), "int8", x, tmp_path / "log.txt")
    assert read_workload(content).number_format == "int8"
    with pytest.raises(StageError, match="the model has several inputs"):
        as_tflite(convolutions(4), "int8", None, tmp_path / "log.txt")


def test_what_a_profile_cannot_predict_is_an_error_that_says_why(tmp_path: Path) -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((4, 3))
    model = keras.Model(inputs, keras.layers.LSTM(2, unroll=False)(inputs))
    with pytest.raises(StageError, match=r"profile 'iot' cannot predict the model in float32|cannot be converted"):
        make_clock(load_profile("iot"), "float32", model, None, tmp_path / "log.txt")(model)


def test_a_model_that_the_converter_refuses_is_an_error_in_one_line(tmp_path: Path) -> None:
    import tensorflow as tf
    import tf_keras as keras

    inputs = keras.layers.Input((4,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: tf.py_function(lambda y: y, [x], tf.float32))(inputs))
    with pytest.raises(StageError, match="cannot be converted") as caught:
        as_tflite(model, "float32", None, tmp_path / "log.txt")
    assert str(caught.value).endswith("next: set slim.budget to macs")


def test_a_smaller_model_measures_faster_and_the_original_as_fast_as_itself(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "_ROUNDS", 5)
    monkeypatch.setattr(latency, "_WARM_UP_S", 0.05)
    original = convolutions(64)
    clock = make_clock(load_profile("cpu"), "float32", original, None, tmp_path / "log.txt")
    whole_ms = clock(original)
    assert 0.7 * whole_ms < clock(original) < 1.4 * whole_ms
    assert clock(convolutions(8)) < 0.5 * whole_ms
