"""What becomes of inputs and outputs: the table of formats, wishes and normalizations, and what engines say to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import StoreError
from device_profiles.tflite import read_tflite
from stages import convert
from stages.converting import interface
from stages.datasets.prepared import Preprocessing, write_preprocessing
from stages.engines.client import EngineWorker
from stages.engines.inputs import normalization_for
from stages.engines.registry import ENGINES
from stages.recipes import rules_for
from stages.records import ConvertResult, Normalization, TensorSpec
from tests.stages.conftest import make_context

Engines = Callable[[str], EngineWorker]
BYTE = Normalization(kind="minmax", scale=(255.0,))
CENTRED = Normalization(kind="fixed", offset=(128.0,), scale=(128.0,))
HALF = Normalization(kind="symmetric", offset=(127.5,), scale=(127.5,))
CHANNELS = Normalization(kind="standard", offset=(100.3, 90.0), scale=(50.0, 44.4))
FORMATS = ("float32", "float16", "dynamic", "int8", "int16x8")


def spec(normalization: Normalization, dtype: str = "uint8") -> TensorSpec:
    return TensorSpec(shape=(6, 6, 2), dtype=dtype, normalization=normalization)


def stored(count: int = 48) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, 6, 6, 2), np.uint8)


def converted(folder: Path, float_model: bytes, normalization: Normalization, number_format: str, dtype: str = "uint8",
              **settings: Any) -> tuple[ConvertResult, Path]:
    """The convert stage on a float32 tflite model and data with a normalization."""
    source, recipe = folder / "source", folder / "recipe"
    for each in (source, recipe):
        each.mkdir(parents=True, exist_ok=True)
    (source / "model.tflite").write_bytes(float_model)
    write_preprocessing(source, Preprocessing(inputs={"input": spec(normalization, dtype)}))
    (recipe / "recipe.json").write_text(json.dumps({"format": number_format, "rules": rules_for(number_format)}))
    offset, scale = np.float32(normalization.offset), np.float32(normalization.scale)
    np.save(recipe / "calibration.npy", ((stored() - offset) / scale).astype(np.float32))
    context = make_context(folder / "made")
    options = convert.Options(format=number_format, **settings)
    return convert.run(source=source, recipe=recipe, options=options, context=context), context.out


def outputs(worker: EngineWorker, result: ConvertResult, folder: Path, normalization: Normalization) -> np.ndarray:
    """Outputs over all stored samples, fed as the record says."""
    np.save(folder / "x.npy", stored())
    worker.load((folder / "model.tflite").read_bytes())
    worker.open(folder / "x.npy", normalization_for(result, Preprocessing(inputs={"input": spec(normalization)})))
    return worker.predict_rows(0, len(stored()))[0]


@pytest.mark.parametrize(("number_format", "wish", "normalization", "wanted", "fold"), [
    ("int8", "auto", BYTE, "uint8", "quantization"), ("int8", "int8", BYTE, "int8", "quantization"),
    ("int8", "float32", BYTE, "float32", "operators"), ("int8", "auto", HALF, "uint8", "quantization"),
    ("int8", "auto", CHANNELS, "uint8", "operators"), ("float32", "auto", CENTRED, "uint8", "quantization"),
    ("float32", "auto", HALF, "uint8", "operators"), ("float32", "float32", BYTE, "float32", "operators"),
    ("float32", "int8", BYTE, "", "operators"), ("int16x8", "auto", BYTE, "uint8", "quantization"),
    ("int8", "auto", Normalization(kind="fixed", offset=(300.0,)), "uint8", "operators"),
    ("int8", "auto", Normalization(kind="none"), "uint8", "quantization"),
    ("float32", "float32", Normalization(kind="none"), "float32", ""),
])
def test_how_a_normalization_gets_into_the_model(
        tiny_tflites: dict[str, bytes], number_format: str, wish: Any, normalization: Normalization, wanted: str,
        fold: str) -> None:
    (found,) = interface.plan_inputs(tiny_tflites["float32"], Preprocessing(inputs={"input": spec(normalization)}),
                                     number_format, wish, fold=True)
    assert (found.wanted, found.fold, found.field) == (wanted, fold, "input")


@pytest.mark.parametrize(("number_format", "wish", "wanted"), [
    ("int8", "uint8", "uint8"), ("int8qat", "float32", "float32"), ("int16x8", "float32", "float32"),
    ("int16x8", "uint8", ""), ("float32", "int8", ""), ("int8", "auto", "")])
def test_without_folding_integer_formats_alone_change_their_type(
        tiny_tflites: dict[str, bytes], number_format: str, wish: Any, wanted: str) -> None:
    (found,) = interface.plan_inputs(tiny_tflites["float32"], None, number_format, wish, fold=False)
    assert (found.wanted, found.fold) == (wanted, "")


@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize("normalization", [BYTE, CENTRED])
def test_a_raw_byte_gives_the_same_numbers_as_the_normalized_value(
        engine: str, normalization: Normalization, tiny_tflites: dict[str, bytes], tmp_path: Path,
        engines: Engines) -> None:
    for wish in ("uint8", "int8"):
        made = [converted(tmp_path / f"{wish}{fold}", tiny_tflites["float32"], normalization, "int8", input_type=wish,
                          fold_preprocessing=fold) for fold in (True, False)]
        (folded, _), _ = made
        assert (folded.folded, list(folded.folded_by.values())) == (True, ["quantization"])
        one, other = (outputs(engines(engine), result, folder, normalization) for result, folder in made)
        np.testing.assert_array_equal(one, other)
    operators = read_tflite((made[0][1] / "model.tflite").read_bytes()).graphs[0].operators
    assert operators[0].name == "CONV_2D"  # an int8 input takes the byte with its highest bit flipped, and no operator


@pytest.mark.parametrize("number_format", FORMATS)
@pytest.mark.parametrize("normalization", [BYTE, HALF, CHANNELS])
def test_every_format_takes_stored_bytes_in_every_engine_that_takes_the_format(
        number_format: str, normalization: Normalization, tiny_tflites: dict[str, bytes], tmp_path: Path,
        engines: Engines) -> None:
    expected = outputs(engines("litert"), *converted(tmp_path / "float", tiny_tflites["float32"], normalization,
                                                     "float32"), normalization)
    result, folder = converted(tmp_path / "folded", tiny_tflites["float32"], normalization, number_format,
                               fold_preprocessing=True)
    assert list(result.input_types.values()) == ["uint8"]
    for engine in ENGINES:
        if engine == "tflm" and number_format in ("float16", "dynamic"):
            continue
        found = outputs(engines(engine), result, folder, normalization)
        assert abs(found - expected).max() < {"float32": 1e-5, "int8": 0.06}.get(number_format, 0.02)


def test_an_offset_between_two_bytes_is_told(tiny_tflites: dict[str, bytes], tmp_path: Path) -> None:
    result, _ = converted(tmp_path, tiny_tflites["float32"], HALF, "int8", fold_preprocessing=True)
    assert len(result.warnings) == 1
    assert "subtracts 127.5" in result.warnings[0]
    assert "shifts every input by 0.5 of a step" in result.warnings[0]


@pytest.mark.parametrize("output", ["float32", "uint8", "int8"])
@pytest.mark.parametrize("wish", ["float32", "uint8", "int8"])
def test_integer_formats_have_the_types_that_were_asked_for(wish: Any, output: Any, tiny_tflites: dict[str, bytes],
                                                            tmp_path: Path, engines: Engines) -> None:
    result, folder = converted(tmp_path / "a", tiny_tflites["float32"], BYTE, "int8", input_type=wish,
                               output_type=output)
    plain, plain_folder = converted(tmp_path / "b", tiny_tflites["float32"], BYTE, "int8")
    assert (list(result.input_types.values()), list(result.output_types.values())) == ([wish], [output])
    assert result.folded is False
    np.testing.assert_allclose(outputs(engines("litert"), result, folder, BYTE),
                               outputs(engines("litert"), plain, plain_folder, BYTE), atol=1 / 256 + 1e-6)


def test_the_record_says_what_the_device_feeds(tiny_tflites: dict[str, bytes], tmp_path: Path) -> None:
    result, folder = converted(tmp_path, tiny_tflites["float32"], BYTE, "float32", fold_preprocessing=True)
    (name,) = result.input_types
    assert (result.signature, result.input_shapes, result.folded) == ("serving_default", {name: (6, 6, 2)}, True)
    assert result.output_types == {"dense": "float32"}
    assert (folder / "unfolded.tflite").read_bytes() == tiny_tflites["float32"]
    assert (folder / "preprocessing.json").exists()


def test_a_float_model_that_is_given_stays_byte_for_byte(tiny_tflites: dict[str, bytes], tmp_path: Path) -> None:
    result, folder = converted(tmp_path, tiny_tflites["float32"], BYTE, "float32")
    assert (folder / "model.tflite").read_bytes() == tiny_tflites["float32"]
    assert result.converter == "as given"
    assert not (folder / "unfolded.tflite").exists()


def test_other_formats_start_from_the_model_before_it_was_folded(tiny_tflites: dict[str, bytes],
                                                                 tmp_path: Path) -> None:
    _, folder = converted(tmp_path / "float", tiny_tflites["float32"], BYTE, "float32", fold_preprocessing=True)
    direct, _ = converted(tmp_path / "direct", tiny_tflites["float32"], BYTE, "int8", fold_preprocessing=True)
    context = make_context(tmp_path / "chained")
    chained = convert.run(source=folder, recipe=tmp_path / "direct" / "recipe", context=context,
                          options=convert.Options(format="int8", fold_preprocessing=True))
    assert chained.sha256 == direct.sha256


def test_float_features_are_folded_as_operators_and_fed_as_floats(tiny_tflites: dict[str, bytes],
                                                                  tmp_path: Path) -> None:
    result, folder = converted(tmp_path, tiny_tflites["float32"], CHANNELS, "float32", "float32",
                               fold_preprocessing=True)
    assert (list(result.input_types.values()), list(result.folded_by.values())) == (["float32"], ["operators"])
    assert [each.name for each in read_tflite((folder / "model.tflite").read_bytes()).graphs[0].operators][:2] == [
        "MUL", "ADD"]


def test_folding_without_preprocessing_is_refused(tiny_tflites: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(tiny_tflites["float32"])
    with pytest.raises(StoreError, match=r"preprocessing\.json"):
        convert.run(source=tmp_path, options=convert.Options(fold_preprocessing=True), context=make_context(tmp_path))
