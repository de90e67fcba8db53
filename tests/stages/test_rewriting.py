"""Operators in front of and behind a tflite model change its surface and nothing between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.tflite import read_tflite
from stages.converting.rewriting import Surface, scaled_in_front, with_signature, without_prefix
from stages.engines.client import EngineWorker
from stages.engines.registry import ENGINES
from stages.engines.signature import read_names
from stages.records import Normalization
from tests.stages import two_by_two


def run(content: bytes, engine: str, log: Path, *samples: np.ndarray) -> tuple[Any, list[np.ndarray]]:
    with EngineWorker(engine, log=log) as worker:
        return worker.load(content), worker.predict(*samples)


def unsigned(content: bytes) -> bytes:
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    model.signatureDefs = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def test_a_model_without_a_signature_gets_one_that_a_runner_takes(tiny_tflites: dict[str, bytes],
                                                                  tiny_samples: np.ndarray) -> None:
    from ai_edge_litert.interpreter import Interpreter

    bare = unsigned(tiny_tflites["float32"])
    assert read_names(bare).signature == ""
    signed = with_signature(bare)
    names = read_names(signed)
    assert names.signature == "serving_default"
    runner = Interpreter(model_content=signed).get_signature_runner("serving_default")
    found = runner(**{names.inputs[0]: tiny_samples[:3]})[names.outputs[0]]
    assert found.shape == (3, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_a_wrappers_prefix_is_taken_off_the_names(tiny_tflites: dict[str, bytes]) -> None:
    stripped = without_prefix(tiny_tflites["float32"], "den")
    assert read_names(stripped).outputs == ("se",)
    assert read_names(stripped).inputs == read_names(tiny_tflites["float32"]).inputs
    assert without_prefix(tiny_tflites["float32"], "quant_") is tiny_tflites["float32"]


def test_a_model_with_a_signature_stays_as_it_is(tiny_tflites: dict[str, bytes]) -> None:
    assert with_signature(tiny_tflites["int8"]) == tiny_tflites["int8"]


@pytest.mark.parametrize("engine", list(ENGINES))
def test_scaling_in_front_equals_scaling_before(engine: str, tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray,
                                                tmp_path: Path) -> None:
    steps = Normalization(kind="standard", offset=(10.0, 20.0), scale=(50.0, 4.0))
    raw = tiny_samples * np.float32([50, 4]) + np.float32([10, 20])
    content = scaled_in_front(tiny_tflites["float32"], {0: steps})
    assert [each.name for each in read_tflite(content).graphs[0].operators][:2] == ["MUL", "ADD"]
    assert read_names(content) == read_names(tiny_tflites["float32"])
    _, (expected,) = run(tiny_tflites["float32"], engine, tmp_path / "log", tiny_samples)
    _, (found,) = run(content, engine, tmp_path / "log", raw)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_scaling_nothing_leaves_the_bytes(tiny_tflites: dict[str, bytes]) -> None:
    assert scaled_in_front(tiny_tflites["float32"], {}) is tiny_tflites["float32"]


def test_only_the_named_input_of_several_is_scaled(tmp_path: Path) -> None:
    content = two_by_two.convert(two_by_two.build(), two_by_two.stored(), "float32")
    names = read_names(content).inputs
    age = names.index("age")
    scaled = scaled_in_front(content, {age: Normalization(kind="fixed", offset=(40.0,), scale=(12.0,))})
    given = two_by_two.normalized(two_by_two.stored(5))
    expected = run(content, "litert", tmp_path / "log", *(given[name] for name in names))[1]
    given["age"] = two_by_two.stored(5)["age"]
    found = run(scaled, "litert", tmp_path / "log", *(given[name] for name in names))[1]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("engine", list(ENGINES))
def test_integer_inputs_and_outputs_become_floats_or_bytes(engine: str, tiny_tflites: dict[str, bytes],
                                                           tiny_samples: np.ndarray, tmp_path: Path) -> None:
    _, (expected,) = run(tiny_tflites["int8"], engine, tmp_path / "log", tiny_samples)
    surface = Surface(tiny_tflites["int8"])
    scale, zero_point = surface.quantization(0)
    surface.put_before(0, "QUANTIZE", "uint8", scale, zero_point + 128)
    surface.put_behind(0, "DEQUANTIZE", "float32")
    loaded, (found,) = run(surface.content(), engine, tmp_path / "log", tiny_samples)
    assert (loaded.inputs[0].dtype, loaded.inputs[0].zero_point) == ("uint8", zero_point + 128)
    assert (loaded.outputs[0].dtype, loaded.outputs[0].scale) == ("float32", 0.0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_an_operator_code_is_shared_and_raised_where_sixteen_bits_need_it(tiny_tflites: dict[str, bytes]) -> None:
    surface = Surface(tiny_tflites["int16x8"])
    surface.put_before(0, "QUANTIZE", "float32")
    surface.put_behind(0, "DEQUANTIZE", "float32")
    operators = read_tflite(surface.content()).graphs[0].operators
    assert (operators[0].name, operators[0].version) == ("QUANTIZE", 2)
    assert (operators[-1].name, operators[-1].version) == ("DEQUANTIZE", 3)


def test_the_same_change_gives_the_same_bytes(tiny_tflites: dict[str, bytes]) -> None:
    steps = {0: Normalization(kind="fixed", scale=(255.0,))}
    assert scaled_in_front(tiny_tflites["float32"], steps) == scaled_in_front(tiny_tflites["float32"], steps)
