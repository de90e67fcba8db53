"""Conversion: every format is made, runs, repeats itself byte for byte, and says clearly what it cannot take."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import LitesmithError, ModelError, StageError, StoreError, TfliteError
from stages import convert, quantize
from stages.datasets.prepared import read_split
from stages.engines.signature import read_names
from stages.models.files import load_model, save_model
from stages.models.framework import tensorflow_turn
from stages.models.qat import load_qat
from stages.records import ConvertResult
from stages.variants import FORMATS
from tests.stages.conftest import SEED, make_context

TYPES = {"float32": np.float32, "float16": np.float32, "dynamic": np.float32, "int8": np.int8, "int8qat": np.int8,
         "int16x8": np.int16, "int4": np.int8}
MADE = [name for name in FORMATS if name != "mixed"]  # its recipe rests on a sensitivity artifact
TOLERANCES = {"float32": 1e-5, "float16": 5e-3, "dynamic": 0.05, "int8": 0.08, "int8qat": 0.05, "int16x8": 0.05,
              "int4": 0.25}


@pytest.fixture(scope="module")
def converted(make: Callable[..., Path], prepared: Path, trained: Path, float_tflite: Path,
              qat_model: Path) -> dict[str, tuple[Path, Path | None, Path]]:
    """By format: source, recipe, and the convert artifact made from them."""
    made = {}
    for name, kind in convert.SOURCE.items():
        if name not in MADE:
            continue
        source = {"keras": trained, "tflite": float_tflite}[kind] if name != "int8qat" else qat_model
        recipe = None
        if name in quantize.POST_TRAINING:
            options = quantize.Options(format=name, calibration_samples=30, seed=SEED)
            recipe = make(quantize, data=prepared, options=options)
        artifact = make(convert, source=source, recipe=recipe, options=convert.Options(format=name))
        made[name] = source, recipe, artifact
    return made


def interpret(folder: Path, x: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Outputs of all samples in one batch, dequantized, and the details of the input."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(folder / "model.tflite"))
    details = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(details["index"], x.shape)
    interpreter.allocate_tensors()
    if details["dtype"] != np.float32:
        scale, zero = details["quantization"]
        limits = np.iinfo(details["dtype"])
        x = np.clip(np.round(x / scale) + zero, limits.min, limits.max).astype(details["dtype"])
    interpreter.set_tensor(details["index"], x)
    interpreter.invoke()
    output = interpreter.get_output_details()[0]
    values = interpreter.get_tensor(output["index"])
    if output["dtype"] != np.float32:
        scale, zero = output["quantization"]
        values = (values.astype(np.float32) - zero) * scale
    return values, details


def test_every_format_of_the_grammar_has_a_source() -> None:
    assert set(convert.SOURCE) == set(FORMATS)


@pytest.mark.parametrize("name", MADE)
def test_a_format_follows_its_keras_model_on_a_whole_batch(name: str, converted: Any, prepared: Path, trained: Path,
                                                           tmp_path: Path) -> None:
    x = read_split(prepared, "test").x
    with tensorflow_turn(0, tmp_path / "log.txt"):
        model = load_qat(converted[name][0]) if name == "int8qat" else load_model(trained)
        expected = model(x, training=False).numpy()
    outputs, _ = interpret(converted[name][2], x)
    assert outputs == pytest.approx(expected, abs=TOLERANCES[name])


@pytest.mark.parametrize("name", MADE)
def test_a_format_has_its_input_type_and_an_open_batch_axis(name: str, converted: Any, prepared: Path) -> None:
    _, details = interpret(converted[name][2], read_split(prepared, "test").x)
    assert details["dtype"] == TYPES[name]
    assert details["shape_signature"].tolist() == [-1, 6, 6, 1]


@pytest.mark.parametrize("name", MADE)
def test_converting_again_gives_the_same_bytes(name: str, converted: Any, tmp_path: Path) -> None:
    source, recipe, artifact = converted[name]
    context = make_context(tmp_path)
    result = convert.run(source=source, recipe=recipe, options=convert.Options(format=name), context=context)
    content = (context.out / "model.tflite").read_bytes()
    assert content == (artifact / "model.tflite").read_bytes()
    assert result.tflite_bytes == len(content)
    assert result.sha256 == hashlib.sha256(content).hexdigest()
    tool = {"keras": "TFLiteConverter 2.", "tflite": "litert-quantizer 0."}[convert.SOURCE[name]]
    assert result.converter.startswith(tool)


@pytest.mark.parametrize("name", ["int8", "int8qat", "int16x8", "int4", "float32"])
def test_the_operators_hold_no_shape_arithmetic_and_no_float_islands(name: str, converted: Any) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(converted[name][2] / "model.tflite"))
    assert [node["op_name"] for node in interpreter._get_ops_details() if node["op_name"] != "DELEGATE"] == [
        "CONV_2D", "CONV_2D", "MAX_POOL_2D", "CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]


def test_smaller_formats_are_smaller(converted: Any) -> None:
    size = {name: (made[2] / "model.tflite").stat().st_size for name, made in converted.items()}
    assert size["float32"] > 1.5 * size["float16"] > 1.5 * size["int8"]


def test_fully_connected_dynamic_weights_have_one_scale(converted: Any) -> None:
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(model_path=str(converted["dynamic"][2] / "model.tflite")).get_tensor_details()
    scales = {tuple(t["shape"]): len(t["quantization_parameters"]["scales"]) for t in details if t["dtype"] == np.int8}
    assert scales[(3, 48)] == 1  # tflite-runtime reads no more than one here
    assert scales[(48, 3, 3, 32)] == 48


def test_a_qat_model_names_its_outputs_as_its_float_model_does(converted: Any) -> None:
    qat, plain = (read_names((converted[name][2] / "model.tflite").read_bytes()) for name in ("int8qat", "float32"))
    assert qat == plain


def test_an_operator_that_tflite_lacks_is_named_with_its_layer(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    with tensorflow_turn(0, context.log) as keras:
        import tensorflow as tf

        inputs = keras.layers.Input((4,))
        outputs = keras.layers.Dense(2, name="last")(tf.math.digamma(keras.layers.Dense(4, name="first")(inputs)))
        save_model(keras.Model(inputs, outputs), tmp_path)
    with pytest.raises(StageError) as caught:
        convert.run(source=tmp_path, options=convert.Options(format="float32"), context=context)
    assert caught.value.found == (
        "cannot convert to float32: TFLite has no operator for tf.Digamma in the layer 'tf.math.digamma'")
    assert "ERROR_NEEDS_CUSTOM_OPS" in context.log.read_text("utf-8")
    assert not list(context.out.iterdir())


def refused(kind: type[LitesmithError], folder: Path, **given: Any) -> LitesmithError:
    number_format = given.pop("format")
    with pytest.raises(kind) as caught:
        convert.run(options=convert.Options(format=number_format), context=make_context(folder), **given)
    return caught.value


def test_an_unknown_format_is_refused(tmp_path: Path, trained: Path) -> None:
    error = refused(StageError, tmp_path, source=trained, format="int7")
    assert error.found == "nothing converts to the format 'int7'"
    assert "int16x8" in error.allowed


def test_a_missing_or_foreign_recipe_is_refused(tmp_path: Path, converted: Any) -> None:
    source, _, _ = converted["int8"]
    assert "needs a recipe" in refused(StageError, tmp_path, source=source, format="int8").found
    other = converted["dynamic"][1]
    assert "is for dynamic" in refused(StageError, tmp_path, source=source, recipe=other, format="int8").found


def test_a_recipe_without_its_calibration_set_is_refused(tmp_path: Path, converted: Any) -> None:
    source, recipe, _ = converted["int8"]
    (tmp_path / "recipe.json").write_bytes((recipe / "recipe.json").read_bytes())
    assert "no whole recipe" in refused(StoreError, tmp_path, source=source, recipe=tmp_path, format="int8").found


@pytest.mark.parametrize("content", [b"", b"not a tflite model at all", b"\x1c\x00\x00\x00TFL3 and then nothing"])
def test_a_damaged_float_tflite_model_is_refused(tmp_path: Path, converted: Any, content: bytes) -> None:
    (tmp_path / "model.tflite").write_bytes(content)
    assert refused(TfliteError, tmp_path, source=tmp_path, recipe=converted["int8"][1], format="int8")
    assert not (tmp_path / "out" / "model.tflite").exists()


def test_a_missing_source_is_refused(tmp_path: Path, converted: Any) -> None:
    assert refused(StoreError, tmp_path, source=tmp_path, recipe=converted["int8"][1], format="int8")
    assert refused(ModelError, tmp_path, source=tmp_path, format="float32")


def test_the_result_says_what_was_made(tmp_path: Path, trained: Path) -> None:
    result = convert.run(source=trained, options=convert.Options(format="float16"), context=make_context(tmp_path))
    assert isinstance(result, ConvertResult)
    assert result.summary == f"{result.tflite_bytes:,} bytes, weights kept as 16-bit floats"


@pytest.mark.parametrize("name", MADE)
def test_names_that_no_runtime_needs_stay_out_of_the_file_but_beside_it(name: str, converted: Any,
                                                                        prepared: Path) -> None:
    artifact = converted[name][2]
    small, named = (artifact / "model.tflite").read_bytes(), (artifact / "named.tflite").read_bytes()
    assert len(small) < len(named)
    x = read_split(prepared, "test").x[:8]
    beside = artifact.parent / f"named-{name}"
    beside.mkdir(exist_ok=True)
    (beside / "model.tflite").write_bytes(named)
    np.testing.assert_array_equal(interpret(artifact, x)[0], interpret(beside, x)[0])


def test_a_file_that_is_not_to_be_shrunk_has_nothing_beside_it(tmp_path: Path, converted: Any) -> None:
    source, _, artifact = converted["float32"]
    context = make_context(tmp_path)
    convert.run(source=source, options=convert.Options(format="float32", shrink=False), context=context)
    assert (context.out / "model.tflite").read_bytes() == (artifact / "named.tflite").read_bytes()
    assert not (context.out / "named.tflite").exists()
