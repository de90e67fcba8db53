"""The calibration set and recipe of a post-training format, which the convert stage carries out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stages import calibration
from stages.context import StageContext
from stages.datasets.prepared import read_preprocessing, read_split
from stages.datasets.records import TRAIN
from stages.quantizing.options import CALIBRATION_FILE, Options, calibration_rows, write_recipe
from stages.recipes import rules_for
from stages.records import CalibrationReport, QuantizeResult
from stages.variants import CALIBRATED_FORMATS


def choose_recipe(data: Path, options: Options, context: StageContext) -> QuantizeResult:
    """The calibration set and recipe of a post-training format."""
    report, weights = None, options.weights
    if options.format in CALIBRATED_FORMATS or (weights is not None and weights.needs_samples):
        train = read_split(data, TRAIN)
        rows = calibration_rows(train, options)
        np.save(context.out / CALIBRATION_FILE, train.x[rows])
        report = calibration.describe(train.x, train.y, rows, len(read_preprocessing(data).class_names),
                                      strategy=options.calibration, seed=options.seed)
    write_recipe(rules_for(options.format), options, context.out, weights, options.range_method)
    return QuantizeResult(summary=f"{options.format}: {calibration_text(report)}", format=options.format,
                          method=options.method, calibration_samples=report.samples if report else 0,
                          calibration_class_counts=report.class_counts if report else (), calibration=report,
                          ranges=options.range_method if options.format in CALIBRATED_FORMATS else "",
                          warnings=calibration_warnings(report), **weights_fields(options))


def weights_fields(options: Options) -> dict[str, Any]:
    """Fields of a `QuantizeResult` that say how weights become integers."""
    weights = options.weights
    if weights is None:
        return {"algorithm": "" if options.format == "float16" else "minmax"}
    return {"algorithm": weights.algorithm, "bias_correction": weights.bias_correction}


def calibration_text(report: CalibrationReport | None) -> str:
    """One clause for people."""
    if report is None:
        return "no calibration"
    counts = report.class_counts
    shown = f", {min(counts)} to {max(counts)} a class" if counts else ""
    return f"{report.samples} of {report.available:,} samples calibrate{shown}"


def calibration_warnings(report: CalibrationReport | None) -> tuple[str, ...]:
    """What is odd about a calibration set."""
    found = []
    if report is not None and report.outlier_count:
        found.append(f"{report.outlier_count} of {report.samples} calibration samples reach far out and stretch the "
                     "ranges of the activations; quantize.calibration: outliers-dropped leaves them out")
    if report is not None and report.duplicates:
        found.append(f"{report.duplicates} of {report.samples} calibration samples repeat others")
    return tuple(found)
