"""The look into a file of any kind, the refusal, and that no framework takes part in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from device_profiles.errors import ModelError
from stages.models.importing import ImportSettings
from stages.models.origin import Origin, origin_of
from stages.models.untrusted import Finding, ScanLimits, refuse, refuse_untrusted, scan
from stages.models.untrusted.records import GIB, MIB
from tests.stages.models import hostile

ROOT = Path(__file__).resolve().parents[4]


def finding(number: int) -> Finding:
    return Finding(what=f"evil {number}", where=f"layer {number}", why="it is")


def test_the_refusal_lists_three_findings_and_counts_the_others() -> None:
    error = refuse(Origin(text="m.keras", kind="keras3", path=Path("m.keras")), [finding(i) for i in range(5)])
    assert error.found == ("m.keras is not safe to load: it has evil 0 in layer 0 (it is); evil 1 in layer 1 (it is); "
                           "evil 2 in layer 2 (it is); and 2 more")
    assert error.next_step.startswith("--trust-model")


def test_the_page_on_untrusted_files_shows_the_message_word_for_word(tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evil = {"class_name": "Lambda", "module": "keras.layers", "config": {"name": "evil"}}
    hostile.archive(Path("evil.keras"), hostile.sequential(evil))
    with pytest.raises(ModelError) as error:
        refuse_untrusted(origin_of("evil.keras"))
    shown = "\n".join(f"    {line}" for line in str(error.value).splitlines())
    assert shown in (ROOT / "docs" / "untrusted.md").read_text(encoding="utf-8")


def test_the_page_states_the_limits_that_hold() -> None:
    page = (ROOT / "docs" / "untrusted.md").read_text(encoding="utf-8")
    limits = ScanLimits()
    for value in (limits.members, limits.nodes, limits.graph_nodes):
        assert f"| {value:,} |" in page
    for value in (limits.file_bytes, limits.unpacked_bytes, ImportSettings().memory_bytes):
        assert f"| {value // GIB} GiB |" in page
    assert f"| {limits.config_bytes // MIB} MiB |" in page
    assert f"| {limits.ratio} times |" in page


def test_every_kind_of_file_is_looked_into(tmp_path: Path) -> None:
    evil = hostile.sequential({"class_name": "Lambda", "config": {"name": "evil"}})
    files = [hostile.archive(tmp_path / "three.keras", evil),
             hostile.archive(tmp_path / "two.keras", evil, hostile.KERAS2), hostile.h5_model(tmp_path / "m.h5", evil),
             hostile.handmade_saved_model(tmp_path / "sm", hostile.graph([hostile.node("out", "ReadFile")]))]
    assert [len(scan(origin_of(str(path)))) for path in files] == [1, 1, 1, 1]
    for path in files:
        with pytest.raises(ModelError, match="is not safe to load"):
            refuse_untrusted(origin_of(str(path)))


def test_names_and_functions_are_no_files_and_have_no_findings() -> None:
    assert scan(Origin(text="small_cnn", kind="builder")) == ()
    refuse_untrusted(Origin(text="mine:build", kind="function"))


def test_a_file_above_the_limit_is_not_opened(tmp_path: Path) -> None:
    path = hostile.archive(tmp_path / "m.keras")
    found = scan(origin_of(str(path)), limits=ScanLimits(file_bytes=100))
    assert [each.why for each in found] == ["the limit is 100 bytes"]


def test_a_custom_operator_of_a_tflite_model_is_found(tmp_path: Path) -> None:
    found = scan(origin_of(str(hostile.custom_tflite(tmp_path / "m.tflite"))))
    assert [(each.what, each.where) for each in found] == [("the custom operator 'Betainc'", "graph 0, operator 0")]


def test_a_tflite_model_of_builtin_operators_has_no_findings(tmp_path: Path, tiny_tflites: dict[str, bytes]) -> None:
    (tmp_path / "m.tflite").write_bytes(tiny_tflites["float32"])
    assert scan(origin_of(str(tmp_path / "m.tflite"))) == ()
    assert len(scan(origin_of(str(tmp_path / "m.tflite")), limits=ScanLimits(nodes=1))) == 1


def test_a_damaged_tflite_model_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"\xff\xff\xff\x00TFL3")
    found = scan(origin_of(str(tmp_path / "m.tflite")))
    assert [each.what for each in found] == ["a tflite model that is damaged"]


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_lambda_that_keras_itself_saved_is_found_and_not_run(tmp_path: Path, library: str, suffix: str) -> None:
    import importlib

    marker = tmp_path / "marker"
    path = tmp_path / f"m.{suffix}"
    hostile.lambda_model(importlib.import_module(library), marker).save(path)
    marker.unlink(missing_ok=True)
    found = scan(origin_of(str(path)))
    assert "a Lambda layer" in [each.what for each in found]
    assert "layer 'evil'" in found[0].where
    assert not marker.exists()


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_what_keras_saves_of_harmless_layers_has_no_findings(tmp_path: Path, library: str) -> None:
    import importlib

    model = harmless(importlib.import_module(library))
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        assert scan(origin_of(str(tmp_path / name))) == ()


def harmless(keras: Any) -> Any:
    """Layers with activations, regularizers, constraints and policies; nested; compiled with metrics."""
    layers = keras.layers
    inner = keras.Sequential([layers.Input((4,)), layers.Dense(4, "swish"), layers.LeakyReLU(), layers.PReLU()])
    given = layers.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(given)
    x = layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2", kernel_constraint=keras.constraints.NonNeg())(x)
    x = layers.Activation(keras.activations.gelu)(layers.BatchNormalization()(x))
    x = inner(layers.GlobalAveragePooling2D()(x))
    x = layers.Bidirectional(layers.LSTM(2))(layers.Reshape((2, 2))(x))
    model = keras.Model(given, layers.Dense(3, activation=keras.activations.softmax)(x))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def test_operations_on_tensors_of_both_keras_have_no_findings(tmp_path: Path) -> None:
    import keras
    import tensorflow as tf
    import tf_keras

    given = keras.layers.Input((4, 4, 2))
    y = keras.ops.relu6(given) * 2 + keras.ops.mean(given, axis=-1, keepdims=True)
    keras.Model(given, keras.ops.concatenate([y, given])[:, :2]).save(tmp_path / "three.keras")
    old = tf_keras.layers.Input((4, 4, 2))
    z = tf.nn.relu6(old) * 2.0 + tf.reduce_mean(old, axis=-1, keepdims=True)
    tf_keras.Model(old, tf.concat([z, old], -1)[:, :2]).save(tmp_path / "two.keras")
    assert scan(origin_of(str(tmp_path / "three.keras"))) == ()
    assert scan(origin_of(str(tmp_path / "two.keras"))) == ()


def test_a_tensorflow_call_outside_the_list_is_found_in_what_keras_saved(tmp_path: Path) -> None:
    import tensorflow as tf
    import tf_keras

    given = tf_keras.layers.Input((), dtype="string")
    tf_keras.Model(given, tf.io.decode_base64(given)).save(tmp_path / "m.keras")
    found = scan(origin_of(str(tmp_path / "m.keras")))
    assert [each.what for each in found] == ["a call of the TensorFlow function 'io.decode_base64'"]


def test_looking_into_a_file_imports_no_framework(tmp_path: Path) -> None:
    paths = [str(hostile.archive(tmp_path / "m.keras")), str(hostile.h5_model(tmp_path / "m.h5", hostile.sequential()))]
    code = (f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
            "from stages.models.origin import origin_of\nfrom stages.models.untrusted import scan\n"
            f"assert [scan(origin_of(p)) for p in {paths!r}] == [(), ()]\n"
            "assert not {'tensorflow', 'keras', 'tf_keras'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)
