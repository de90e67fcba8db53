"""Post-training formats: calibration sets are balanced and from the training split, and odd ones are warned of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stages import quantize
from stages.datasets.prepared import read_split
from stages.quantizing import post_training
from stages.records import CalibrationReport
from tests.stages.conftest import SEED, make_context


def test_the_calibration_set_is_balanced_and_from_the_training_split(tmp_path: Path, prepared: Path) -> None:
    context = make_context(tmp_path)
    options = quantize.Options(format="int8", calibration_samples=30, seed=SEED)
    result = quantize.run(data=prepared, options=options, context=context)
    samples, train = np.load(context.out / "calibration.npy"), read_split(prepared, "train").x
    assert result.calibration_class_counts == (10, 10, 10)
    assert result.calibration_samples == len(samples) == 30
    assert all((train == sample).all(axis=(1, 2, 3)).any() for sample in samples)
    assert json.loads((context.out / "recipe.json").read_text("utf-8"))["method"] == "static"


def test_a_format_without_ranges_has_no_calibration_set(tmp_path: Path, prepared: Path) -> None:
    context = make_context(tmp_path)
    result = quantize.run(data=prepared, options=quantize.Options(format="dynamic", seed=SEED), context=context)
    assert (result.calibration_samples, result.calibration_class_counts) == (0, ())
    assert [path.name for path in context.out.iterdir()] == ["recipe.json"]


def test_a_calibration_set_that_stretches_the_ranges_is_warned_of() -> None:
    report = CalibrationReport(strategy="balanced", samples=20, available=99, outlier_count=2, duplicates=1, inputs={})
    far, twice = post_training.calibration_warnings(report)
    assert far.startswith("2 of 20 calibration samples reach far out")
    assert twice == "1 of 20 calibration samples repeat others"
    assert post_training.calibration_warnings(report.model_copy(update={"outlier_count": 0, "duplicates": 0})) == ()


@pytest.mark.parametrize(("given", "algorithm", "corrected"), [
    ({"format": "int8"}, None, False), ({"format": "int4"}, "gptq", False), ({"format": "mixed"}, "gptq", False),
    ({"format": "int4", "algorithm": "mse"}, "mse", True), ({"format": "int4", "bias_correction": True}, "gptq", True),
    ({"format": "int8", "algorithm": "gptq"}, "gptq", False),
    ({"format": "int8", "bias_correction": True}, "minmax", True),
    ({"format": "int4", "algorithm": "minmax", "bias_correction": False}, "minmax", False),
    ({"format": "float16", "algorithm": "gptq"}, None, False)])
def test_how_weights_become_integers_follows_from_format_and_settings(given: dict[str, object], algorithm: str | None,
                                                                      corrected: bool) -> None:
    weights = quantize.Options.model_validate(given).weights
    assert (weights.algorithm if weights else None) == algorithm
    assert (weights.bias_correction if weights else False) is corrected


def test_4_bit_weights_are_written_into_the_recipe_with_their_samples(tmp_path: Path, prepared: Path) -> None:
    context = make_context(tmp_path)
    result = quantize.run(data=prepared, context=context, options=quantize.Options(
        format="int4", int4_keep=("last",), calibration_samples=12, seed=SEED))
    weights = json.loads((context.out / "recipe.json").read_text("utf-8"))["weights"]
    assert (weights["bits"], weights["keep"], weights["algorithm"]) == (4, ["last"], "gptq")
    assert (result.algorithm, result.bias_correction, result.calibration_samples) == ("gptq", False, 12)


def test_dynamic_with_corrected_biases_has_samples_to_correct_them_by(tmp_path: Path, prepared: Path) -> None:
    context = make_context(tmp_path)
    quantize.run(data=prepared, context=context, options=quantize.Options(
        format="dynamic", bias_correction=True, calibration_samples=12, seed=SEED))
    assert len(np.load(context.out / "calibration.npy")) == 12
