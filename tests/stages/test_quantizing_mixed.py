"""Mixed: from sensitivity to a tflite model with a format for each layer, and what cannot be met."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import StageError, UsageError
from device_profiles.loader import load_profile
from device_profiles.tflite import read_tflite
from stages import convert, quantize, sensitivity
from stages.datasets.prepared import read_split
from stages.quantizing.options import MixedSettings
from stages.records import QuantizeResult
from tests.stages.conftest import SEED, make_context
from tests.stages.test_convert import interpret


@pytest.fixture(scope="module")
def measured(make: Callable[..., Path], float_tflite: Path, prepared: Path) -> Path:
    """A sensitivity artifact of `small_cnn`."""
    return make(sensitivity, tflite=float_tflite, data=prepared, options=sensitivity.Options(
        formats=("int4", "int8", "int16x8", "float32"), calibration_samples=30, workers=2, seed=SEED))


@pytest.fixture
def mix(measured: Path, float_tflite: Path, prepared: Path, tmp_path: Path) -> Callable[..., QuantizeResult]:
    def run(device: str = "", **given: Any) -> QuantizeResult:
        mixed = MixedSettings(**({"formats": ("int4", "int8", "float32"), "profile": device} | given))
        options = quantize.Options(format="mixed", mixed=mixed, calibration_samples=30, seed=SEED,
                                   device=load_profile(device) if device else None)
        return quantize.run(data=prepared, tflite=float_tflite, sensitivity=measured, options=options,
                            context=make_context(tmp_path))
    return run


def chosen(result: QuantizeResult) -> list[str]:
    assert result.mixing is not None
    return list(result.mixing.formats.values())


def converted(tmp_path: Path, float_tflite: Path) -> Path:
    context = make_context(tmp_path / "converted")
    convert.run(source=float_tflite, recipe=tmp_path / "out", options=convert.Options(format="mixed"), context=context)
    return context.out


def test_the_recipe_gives_each_layer_its_format(mix: Callable[..., QuantizeResult], float_tflite: Path, tmp_path: Path,
                                                prepared: Path) -> None:
    result = mix(fixed={"0:CONV_2D": "float32", "1:CONV_2D": "int4", "3:CONV_2D": "int8", "5:FULLY_CONNECTED": "int4"},
                 drop_points=100)
    assert chosen(result) == ["float32", "int4", "int8", "int4"]
    folder = converted(tmp_path, float_tflite)
    graph = read_tflite((folder / "model.tflite").read_bytes()).graphs[0]
    kinds = [graph.tensors[each.inputs[1]].dtype for each in graph.operators
             if each.name in ("CONV_2D", "FULLY_CONNECTED")]
    assert kinds == ["float32", "int4", "int8", "int4"]
    assert result.mixing is not None
    assert result.mixing.boundaries == sum(each.name in ("QUANTIZE", "DEQUANTIZE") for each in graph.operators) == 1
    x = read_split(prepared, "test").x
    wanted, _ = interpret(float_tflite, x)
    found, _ = interpret(folder, x)
    assert found == pytest.approx(wanted, abs=0.25)
    assert result.not_quantized == {label: "chosen" for label in result.mixing.formats if label.startswith("0:")}


def test_the_cheapest_formats_are_taken_where_much_may_be_lost(mix: Callable[..., QuantizeResult]) -> None:
    result = mix(drop_points=100)
    assert set(chosen(result)) == {"int4"}
    assert result.mixing is not None
    assert result.mixing.rounds[result.mixing.chosen].accepted
    assert result.method == "mixed"
    assert (result.algorithm, result.bias_correction) == ("gptq", False)


def test_a_budget_of_bytes_is_kept_in_the_file(mix: Callable[..., QuantizeResult], tmp_path: Path,
                                               float_tflite: Path) -> None:
    smallest = mix(drop_points=100).mixing
    assert smallest is not None
    budget = smallest.rounds[smallest.chosen].tflite_bytes + 3000
    result = mix(budget=budget)
    assert result.mixing is not None
    assert "int8" in chosen(result) or "float32" in chosen(result)
    assert (converted(tmp_path, float_tflite) / "model.tflite").stat().st_size <= budget


def test_latency_on_a_profile_is_predicted_with_its_conversions(mix: Callable[..., QuantizeResult]) -> None:
    result = mix("iot", cost="latency", drop_points=100, formats=("int8", "int4"))
    assert result.mixing is not None
    assert set(chosen(result)) <= {"int8", "int4"}
    assert result.mixing.profile == "iot"
    assert 0 < result.mixing.predicted_cost < 1000


def test_the_same_call_gives_the_same_recipe(mix: Callable[..., QuantizeResult], tmp_path: Path) -> None:
    mix(drop_points=100)
    first = (tmp_path / "out" / "recipe.json").read_bytes()
    mix(drop_points=100)
    assert (tmp_path / "out" / "recipe.json").read_bytes() == first
    recipe = json.loads(first)
    assert set(recipe["weights"]["layers"].values()) == {4}
    assert len(np.load(tmp_path / "out" / "calibration.npy")) == 30


def test_a_fixed_layer_that_is_not_there_is_refused(mix: Callable[..., QuantizeResult]) -> None:
    with pytest.raises(StageError, match="the model has no layer '9:CONV_2D'"):
        mix(fixed={"9:CONV_2D": "int8"})


def test_a_fixed_format_outside_the_candidates_is_refused(mix: Callable[..., QuantizeResult]) -> None:
    with pytest.raises(StageError, match="cannot be int16x8") as caught:
        mix(fixed={"0:CONV_2D": "int16x8"})
    assert "int4, int8, float32" in caught.value.allowed


def test_a_format_that_the_profile_does_not_run_is_refused(mix: Callable[..., QuantizeResult]) -> None:
    with pytest.raises(UsageError, match="the profile 'iot' does not run dynamic"):
        mix("iot", formats=("int8", "dynamic"))


def test_a_budget_that_nothing_keeps_is_refused_with_the_least(mix: Callable[..., QuantizeResult]) -> None:
    with pytest.raises(StageError, match="a budget of 100 bytes cannot be kept: the least here is"):
        mix(budget=100)


def test_a_budget_that_the_float_model_keeps_is_refused(mix: Callable[..., QuantizeResult]) -> None:
    with pytest.raises(StageError, match="mixed would leave every layer in float32: least drop at 10,000,000 bytes"):
        mix(budget=10_000_000, formats=("float32",))


def test_mixed_without_sensitivity_is_refused(tmp_path: Path, prepared: Path) -> None:
    with pytest.raises(StageError, match="rests on how sensitive each layer is"):
        quantize.run(data=prepared, options=quantize.Options(format="mixed"), context=make_context(tmp_path))


def test_latency_needs_a_profile() -> None:
    with pytest.raises(ValueError, match=r"give quantize\.mixed\.profile"):
        MixedSettings(cost="latency")


@pytest.mark.parametrize(("wish", "first", "found"), [
    ("auto", "int8", "int8"), ("float32", "int8", "float32"), ("uint8", "int8", "uint8"),
    ("auto", "float32", "float32"), ("uint8", "float32", "float32")])
def test_the_device_feeds_what_the_first_layer_takes_or_what_is_wished(
        mix: Callable[..., QuantizeResult], tmp_path: Path, float_tflite: Path, prepared: Path, wish: Any, first: str,
        found: str) -> None:
    mix(fixed={"0:CONV_2D": first}, drop_points=100)
    context = make_context(tmp_path / wish)
    result = convert.run(source=float_tflite, recipe=tmp_path / "out", context=context,
                         options=convert.Options(format="mixed", input_type=wish))
    assert list(result.input_types.values()) == [found]
    if found != "uint8":
        x = read_split(prepared, "test").x
        assert interpret(context.out, x)[0] == pytest.approx(interpret(float_tflite, x)[0], abs=0.3)
