"""The model stage: what is built, what is taken in, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages import model
from stages.artifacts import read_result
from stages.models.files import load_model
from stages.models.framework import tensorflow_turn
from stages.records import ModelResult
from tests.stages.conftest import SEED, make_context


def test_a_model_by_name_is_built_for_the_data(built: Path, prepared: Path) -> None:
    assert sorted(path.name for path in built.iterdir()) == ["model.keras", "preprocessing.json", "result.json"]
    assert (built / "preprocessing.json").read_bytes() == (prepared / "preprocessing.json").read_bytes()
    result = read_result(built, ModelResult)
    assert (result.kind, result.trained, result.proof) == ("builder", False, None)
    with tensorflow_turn(0, built.parent / "log.txt"):
        found = load_model(built)
        assert found.output_shape == (None, 3)
        assert found.count_params() == result.parameters


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(make: Callable[..., Path], prepared: Path,
                                                                 built: Path) -> None:
    again, other = (make(model, data=prepared, options=model.Options(seed=seed)) for seed in (SEED, SEED + 1))
    assert (again / "model.keras").read_bytes() == (built / "model.keras").read_bytes()
    assert (other / "model.keras").read_bytes() != (built / "model.keras").read_bytes()


def test_a_keras_file_comes_trained_and_computes_what_it_did(make: Callable[..., Path], prepared: Path,
                                                             trained: Path) -> None:
    taken = make(model, data=prepared, options=model.Options(source=str(trained / "model.keras")))
    result = read_result(taken, ModelResult)
    assert (result.kind, result.trained) == ("keras2", True)
    with tensorflow_turn(0, taken.parent / "log.txt"):
        x = np.random.default_rng(0).random((5, 6, 6, 1), np.float32)
        assert np.array_equal(load_model(taken)(x).numpy(), load_model(trained)(x).numpy())


def test_a_tflite_file_is_taken_as_it_is(make: Callable[..., Path], prepared: Path, float_tflite: Path) -> None:
    taken = make(model, data=prepared, options=model.Options(source=str(float_tflite / "model.tflite")))
    assert (taken / "model.tflite").read_bytes() == (float_tflite / "model.tflite").read_bytes()
    assert read_result(taken, ModelResult).kind == "tflite"


def test_a_model_for_other_inputs_is_refused(tmp_path: Path, prepared: Path) -> None:
    import tf_keras as keras

    path = tmp_path / "other.keras"
    keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]).save(path)
    with pytest.raises(ModelError, match=r"takes inputs of shape \(8, 8, 3\); the samples have the shape \(6, 6, 1\)"):
        model.run(data=prepared, options=model.Options(source=str(path)), context=make_context(tmp_path))


def test_a_model_with_too_many_outputs_is_refused(tmp_path: Path, prepared: Path) -> None:
    import tf_keras as keras

    path = tmp_path / "other.keras"
    keras.Sequential([keras.layers.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(5)]).save(path)
    with pytest.raises(ModelError, match=r"output has the shape \(5,\); the data has 3 classes"):
        model.run(data=prepared, options=model.Options(source=str(path)), context=make_context(tmp_path))


def test_weights_are_for_applications_alone(tmp_path: Path, prepared: Path) -> None:
    with pytest.raises(ModelError, match="weights are given for small_cnn"):
        model.run(data=prepared, options=model.Options(weights="some.h5"), context=make_context(tmp_path))


@pytest.mark.parametrize(("source", "retrain"), [("small_cnn", False), ("FILE", False),
                                                ("FILE", True)])
def test_only_a_file_comes_trained_unless_it_is_to_be_trained_again(trained: Path, source: str, retrain: bool) -> None:
    source = source.replace("FILE", str(trained / "model.keras"))
    assert model.Settings(source=source, retrain=retrain).comes_trained == (source != "small_cnn" and not retrain)


def test_the_digest_follows_the_file_and_not_its_name(tmp_path: Path, trained: Path) -> None:
    content = (trained / "model.keras").read_bytes()
    for name, extra in (("a.keras", b""), ("b.keras", b""), ("c.keras", b"\0")):
        (tmp_path / name).write_bytes(content + extra)
    one, same, other = (model.source_digest(model.Settings(source=str(tmp_path / f"{name}.keras"))) for name in "abc")
    assert one == same != other


def test_an_application_is_known_in_any_case_and_a_wrong_one_by_its_near_miss() -> None:
    assert model.Settings(source="applications/mobilenetv2").origin().text == "applications/MobileNetV2"
    with pytest.raises(ModelError, match="did you mean"):
        model.Settings(source="applications/MobilNetV2").origin()
