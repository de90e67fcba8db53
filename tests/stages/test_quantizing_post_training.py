"""Post-training formats: calibration sets are balanced and from the training split, and odd ones are warned of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

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
