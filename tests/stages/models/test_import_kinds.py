"""How each kind is loaded and rewritten; here in this process, where TensorFlow is imported already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.files import load_model
from stages.models.import_kinds import Work, take_in
from stages.models.importing import ImportSettings
from stages.models.origin import origin_of
from tests.stages.models import hostile


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Work]:
    """`work(text, samples, settings as keywords)`; the artifact goes into `out` of the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()

    def make(text: Any, samples: dict[str, np.ndarray] | None = None, **settings: Any) -> Work:
        return Work(origin_of(str(text)), ImportSettings(**settings), tmp_path / "out", samples, (2,), 3)
    return make


def two_inputs(keras: Any) -> Any:
    left, right = keras.layers.Input((2,), name="left"), keras.layers.Input((3,), name="right")
    x = keras.layers.Concatenate()([keras.layers.Dense(2, "relu")(left), right])
    return keras.Model([left, right], [keras.layers.Dense(2, name="first")(x), keras.layers.Dense(1, name="second")(x)])


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_a_keras_3_file_is_bridged_and_proved_on_random_samples(work: Callable[..., Work], tmp_path: Path,
                                                                name: str) -> None:
    import keras

    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.layers.Input((6, 6, 2)), keras.layers.Conv2D(4, 3, activation="hard_silu"),
                              keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, "softmax")])
    model.save(tmp_path / name)
    x = np.random.default_rng(1).random((5, 6, 6, 2), np.float32)
    expected = np.asarray(model(x))
    imported = take_in(work(name))
    assert imported.library == f"Keras {keras.__version__}"
    assert imported.parameters == model.count_params()
    assert imported.proof is not None
    assert imported.proof.on == "32 random samples"
    assert imported.proof.largest_difference <= 1e-5 * max(imported.proof.scale, 1)
    assert np.allclose(load_model(tmp_path / "out")(x).numpy(), expected, atol=1e-6)


def test_real_samples_are_used_by_input_name(work: Callable[..., Work], tmp_path: Path) -> None:
    import keras

    two_inputs(keras).save(tmp_path / "m.keras")
    samples = {"left": np.ones((7, 2), np.float32), "right": np.ones((7, 3), np.float32)}
    imported = take_in(work("m.keras", samples))
    assert imported.proof is not None
    assert (imported.proof.samples, imported.proof.on) == (7, "7 real samples")
    assert imported.inputs == {"left": (None, 2), "right": (None, 3)}
    assert list(imported.outputs.values()) == [(None, 2), (None, 1)]


def test_samples_of_another_shape_or_name_are_refused(work: Callable[..., Work], tmp_path: Path) -> None:
    import keras

    two_inputs(keras).save(tmp_path / "m.keras")
    left = np.ones((7, 2), np.float32)
    with pytest.raises(ModelError, match="has the inputs left, right; the samples are for one input"):
        take_in(work("m.keras", {"": left}))
    with pytest.raises(ModelError, match=r"takes inputs of the shape \(None, 3\) at 'right'; .* the shape \(2,\)"):
        take_in(work("m.keras", {"left": left, "right": left}))


def test_a_keras_2_file_gives_the_same_bytes_twice(work: Callable[..., Work], tmp_path: Path, tiny_keras: Any) -> None:
    tiny_keras.save(tmp_path / "m.h5")
    first = take_in(work("m.h5"))
    content = (tmp_path / "out" / "model.keras").read_bytes()
    assert take_in(work("m.h5")) == first
    assert (tmp_path / "out" / "model.keras").read_bytes() == content
    assert (first.kind, first.parameters, first.proof) == ("h5", tiny_keras.count_params(), None)


def test_trust_takes_a_lambda_and_says_what_was_overridden(work: Callable[..., Work], tmp_path: Path) -> None:
    import tf_keras

    marker = tmp_path / "marker"
    hostile.lambda_model(tf_keras, marker).save(tmp_path / "m.keras")
    marker.unlink(missing_ok=True)
    with pytest.raises(ModelError, match="is not safe to load"):
        take_in(work("m.keras"))
    assert not marker.exists()
    imported = take_in(work("m.keras", trust=True))
    assert [finding.what for finding in imported.findings] == ["a Lambda layer", "a lambda"] or [
        finding.what for finding in imported.findings] == ["a Lambda layer"]
    assert marker.exists()  # the attack is a real one: with trust its code runs


def test_a_listed_class_is_loaded_and_saved(work: Callable[..., Work], tmp_path: Path) -> None:
    (tmp_path / "gates_for_kinds.py").write_text(
        "import tf_keras\nclass Gate(tf_keras.layers.Layer):\n    def call(self, x):\n        return x * 2\n")
    layer = {"module": "gates_for_kinds", "class_name": "Gate", "registered_name": "Gate", "config": {"name": "gate"},
             "build_config": {"input_shape": [None, 2]}}
    import h5py

    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.create_group("vars")
    hostile.archive(tmp_path / "m.keras", hostile.sequential(layer, keras=2), hostile.KERAS2, weights=path.read_bytes())
    imported = take_in(work("m.keras", custom_objects=("gates_for_kinds:Gate",)))
    assert (imported.artifact, imported.parameters, imported.findings) == ("model.keras", 0, ())


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_a_builder_is_called_with_shape_and_classes(work: Callable[..., Work], tmp_path: Path, library: str) -> None:
    (tmp_path / f"own_{library}.py").write_text(
        f"import {library} as k\ndef build(shape, classes):\n"
        "    return k.Sequential([k.layers.Input(shape), k.layers.Dense(classes, 'softmax', name='scores')])\n")
    imported = take_in(work(f"own_{library}:build"))
    assert list(imported.inputs.values()) == [(None, 2)]
    assert list(imported.outputs.values()) == [(None, 3)]
    assert imported.parameters == 2 * 3 + 3
    assert (imported.proof is not None) == (library == "keras")


def test_the_seed_decides_what_a_builder_starts_from(work: Callable[..., Work], tmp_path: Path) -> None:
    (tmp_path / "own_seeded.py").write_text(
        "def build(shape, classes):\n    import tf_keras as k\n"
        "    return k.Sequential([k.layers.Input(shape), k.layers.Dense(classes, name='scores')])\n")
    contents = []
    for seed in (1, 1, 2):
        take_in(work("own_seeded:build", seed=seed))
        contents.append((tmp_path / "out" / "model.keras").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_a_builder_that_returns_no_model_is_refused(work: Callable[..., Work], tmp_path: Path) -> None:
    (tmp_path / "own_nothing.py").write_text("def build(shape, classes):\n    return {'layers': 3}\n")
    with pytest.raises(ModelError, match=r"own_nothing:build returned a builtins\.dict"):
        take_in(work("own_nothing:build"))


def test_a_subclassed_model_is_refused_by_name(work: Callable[..., Work], tmp_path: Path) -> None:
    (tmp_path / "own_subclass.py").write_text(
        "import tf_keras as k\nclass Net(k.Model):\n    def call(self, x):\n        return x\n"
        "def build(shape, classes):\n    return Net()\n")
    with pytest.raises(ModelError, match=r"is a subclassed model \(Net\)"):
        take_in(work("own_subclass:build"))


def test_a_lambda_layer_of_a_function_s_model_is_refused_by_name_until_it_is_trusted(work: Callable[..., Work],
                                                                                     tmp_path: Path) -> None:
    (tmp_path / "own_lambda.py").write_text(
        "import tf_keras as k\ndef build(shape, classes):\n    x = k.Input((2,))\n"
        "    return k.Model(x, k.layers.Dense(2)(k.layers.Lambda(lambda t: 2 * t, name='doubled')(x)))\n")
    with pytest.raises(ModelError, match=r"own_lambda:build has a Lambda layer, .*: doubled"):
        take_in(work("own_lambda:build"))
    assert take_in(work("own_lambda:build", trust=True)).layers == 3


def test_a_saved_model_becomes_a_float_tflite_model_that_agrees(work: Callable[..., Work], tmp_path: Path) -> None:
    from device_profiles.tflite import read_tflite

    hostile.saved_model(tmp_path / "sm", "none", tmp_path / "unused")
    samples = {"": np.random.default_rng(1).random((9, 2), np.float32)}
    imported = take_in(work("sm", samples))
    assert (imported.kind, imported.artifact) == ("saved_model", "model.tflite")
    assert imported.inputs == {"x": (None, 2)}
    assert imported.outputs == {"scores": (None, 2)}
    assert imported.proof is not None
    assert (imported.proof.on, imported.proof.largest_difference) == ("9 real samples", 0.0)
    assert imported.library.startswith("TensorFlow 2.")
    assert "no Keras model" in imported.warnings[0]
    model = read_tflite((tmp_path / "out" / "model.tflite").read_bytes())
    assert model.signatures == ("serving_default",)
    assert model.graphs[0].tensors[model.graphs[0].inputs[0]].shape_signature == (-1, 2)


def test_a_tflite_model_without_signature_is_taken_with_a_warning(work: Callable[..., Work], tmp_path: Path) -> None:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, 2), tf.float32)])
    def serve(x: Any) -> Any:
        return tf.nn.relu(x)

    content = tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()]).convert()
    (tmp_path / "m.tflite").write_bytes(content)
    from device_profiles.tflite import read_tflite

    imported = take_in(work("m.tflite"))
    assert any("no signature" in warning for warning in imported.warnings) == (not read_tflite(content).signatures)
