"""Quantization: train with it (`int8qat`), or choose the calibration set and recipe that the converter will use.

Quantization-aware training keeps what came before it: after pruning the zeros (PQAT), after clustering the shared
values (CQAT), after both, both (PCQAT). What is left is counted in the kernels, not assumed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from device_profiles.errors import ModelError, StageError
from stages import calibration, clustering
from stages.calibration import Strategy
from stages.context import StageContext
from stages.datasets.prepared import Split, read_preprocessing, read_split
from stages.datasets.records import TRAIN
from stages.models import qat
from stages.models.arrays import Array, as_mapping, given_inputs
from stages.models.files import copy_companions, load_model
from stages.models.folding import fold, largest_difference
from stages.models.framework import tensorflow_turn
from stages.models.nested import opened
from stages.prune import MISSED_SHARE, read_kernels, share_of_zeros
from stages.recipes import rules_for
from stages.records import CalibrationReport, QuantizeResult
from stages.tasks.settings import TaskSettings
from stages.training import FitSettings, best_text, fit, read_lesson
from stages.variants import CALIBRATED_FORMATS, QAT_FORMATS

NAME = "quantize"
VERSION = 3
LIBRARIES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "litert-quantizer", "numpy")

RECIPE_FILE = "recipe.json"
CALIBRATION_FILE = "calibration.npy"
POST_TRAINING = {"float16": "float16", "dynamic": "dynamic", "int8": "static", "int16x8": "static"}
"""Method by post-training format."""
_SHOWN = 8
PROOF_SAMPLES = 16
MOST_DIFFERENCE = 1e-4
"""Largest difference that folding may make, over the larger of 1 and the output's scale: float32 rounds each layer."""


class Settings(FitSettings):
    """What a user may set for quantization; the training settings are those of quantization-aware training."""

    epochs: int = Field(default=8, ge=1, description="epochs of quantization-aware training")
    learning_rate: float = Field(default=5e-4, gt=0, description="of Adam, at the start of quantization-aware training")
    patience: int = Field(default=0, ge=0, description="epochs without a better validation loss to wait; 0: no end")
    unsupported_layers: Literal["refuse", "float"] = Field(
        default="refuse", description="what becomes of layers that TFMOT's 8-bit scheme does not know")
    calibration_samples: int = Field(default=200, ge=1, description="training samples that set activation ranges")
    calibration: Strategy = Field(
        default="balanced", description="which ones: balanced over the classes, random, all, or outliers-dropped")


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        format: the number format.
        sparsity: for QAT: the share of zeros that pruning made, or None.
        clusters: for QAT: the shared values that clustering made, or None.
        task: what is to be predicted.
        seed: of the shuffling, the random layers and the calibration set.
    """

    format: str = "int8"
    sparsity: float | None = None
    clusters: int | None = None
    task: TaskSettings = TaskSettings()
    seed: int = 0

    @property
    def method(self) -> str:
        """How the format is reached."""
        if self.format not in QAT_FORMATS:
            return POST_TRAINING[self.format]
        return ("p" if self.sparsity is not None else "") + ("c" if self.clusters is not None else "") + "qat"


def run(*, data: Path, options: Options, context: StageContext, model: Path | None = None) -> QuantizeResult:
    """Write `recipe.json` and either `calibration.npy` or the quantization-aware model.

    Args:
        data: a prepare artifact.
        options: see `Options`.
        context: where to write.
        model: a train or prune artifact; for quantization-aware training alone.

    Raises:
        ModelError: TFMOT cannot take the model, or a layer of it.
        StageError: a format that nothing here serves, QAT without a model, or zeros or shared values lost in training.
    """
    if options.format in QAT_FORMATS:
        if model is None:
            raise StageError(f"the format {options.format} is trained and needs a model", "a train or prune artifact")
        return _train_quantized(model, data, options, context)
    if options.format not in POST_TRAINING:
        raise StageError(f"the format '{options.format}' has no quantization",
                         ", ".join((*POST_TRAINING, *QAT_FORMATS)), "litesmith variants")
    return _choose_recipe(data, options, context)


def _choose_recipe(data: Path, options: Options, context: StageContext) -> QuantizeResult:
    """The calibration set and recipe of a post-training format."""
    report = None
    if options.format in CALIBRATED_FORMATS:
        train = read_split(data, TRAIN)
        rows = _calibration_rows(train, options)
        np.save(context.out / CALIBRATION_FILE, train.x[rows])
        report = calibration.describe(train.x, train.y, rows, len(read_preprocessing(data).class_names),
                                      strategy=options.calibration, seed=options.seed)
    _write_recipe(options, context.out)
    return QuantizeResult(summary=f"{options.format}: {_calibration_text(report)}", format=options.format,
                          method=options.method, calibration_samples=report.samples if report else 0,
                          calibration_class_counts=report.class_counts if report else (), calibration=report,
                          warnings=_calibration_warnings(report))


def _calibration_rows(train: Split, options: Options) -> NDArray[np.int64]:
    """Training samples that set the ranges of the activations."""
    return calibration.choose(train.y, options.calibration_samples, options.seed, kind=options.task.kind,
                              strategy=options.calibration, x=train.x)


def _calibration_text(report: CalibrationReport | None) -> str:
    """One clause for people."""
    if report is None:
        return "no calibration"
    counts = report.class_counts
    shown = f", {min(counts)} to {max(counts)} a class" if counts else ""
    return f"{report.samples} of {report.available:,} samples calibrate{shown}"


def _calibration_warnings(report: CalibrationReport | None) -> tuple[str, ...]:
    """What is odd about a calibration set."""
    found = []
    if report is not None and report.outlier_count:
        found.append(f"{report.outlier_count} of {report.samples} calibration samples reach far out and stretch the "
                     "ranges of the activations; quantize.calibration: outliers-dropped leaves them out")
    if report is not None and report.duplicates:
        found.append(f"{report.duplicates} of {report.samples} calibration samples repeat others")
    return tuple(found)


def _train_quantized(model: Path, data: Path, options: Options, context: StageContext) -> QuantizeResult:
    """Quantization-aware training."""
    lesson = read_lesson(data, options.task)
    train = lesson.train
    with tensorflow_turn(options.seed, context.log):
        source, rewritten = _in_known_layers(opened(load_model(model)), train.x[:PROOF_SAMPLES], options)
        quantized, floats = qat.quantize_aware(source, options.method, options.unsupported_layers == "float")
        rows = _calibration_rows(train, options)
        given = given_inputs(quantized, train.x.dtype)
        qat.set_activation_ranges(quantized, given(as_mapping(train.x[rows])))
        history = fit(quantized, lesson, options, options.seed, context)
        plain = qat.as_plain(quantized, source, options.method)
        sparsity, shared = _verify_kept(read_kernels(source), qat.kernels(plain), options)
        qat.save_qat(plain, source, context.out)
    copy_companions(model, context.out)
    _write_recipe(options, context.out)
    return QuantizeResult(summary=f"{options.method}: validation {best_text(history)}", format=options.format,
                          method=options.method, history=history, not_quantized=floats, rewritten=rewritten,
                          sparsity=sparsity, shared_values=shared,
                          warnings=(_float_text(floats),) if floats else ())


def _float_text(floats: Mapping[str, str]) -> str:
    """What a user should know of layers that were left in float."""
    names = ", ".join(list(floats)[:_SHOWN]) + (f" and {len(floats) - _SHOWN} more" if len(floats) > _SHOWN else "")
    return f"{'1 layer computes' if len(floats) == 1 else f'{len(floats)} layers compute'} in float: {names}"


def _in_known_layers(model: Any, samples: Array, options: Options) -> tuple[Any, dict[str, str]]:
    """The model in layers that the 8-bit scheme knows, proven on samples, and what became of those that were rewritten.

    Raises:
        ModelError: the rewritten model computes something else.
    """
    folded = fold(model, keep_values=options.clusters is not None)
    if folded.changed:
        given = given_inputs(model, samples.dtype)(as_mapping(samples))
        difference = largest_difference(model, folded.model, given)
        if not difference <= MOST_DIFFERENCE:
            raise ModelError(f"folding batch normalization changes the outputs by {difference:.1e} of their scale",
                             f"at most {MOST_DIFFERENCE:g}", "use a post-training format such as int8")
    return folded.model, folded.changed


def _verify_kept(before: dict[str, NDArray[np.float32]], after: dict[str, NDArray[np.float32]],
                 options: Options) -> tuple[float | None, dict[str, int]]:
    """Zeros and shared values that are left after training, held against what was there before.

    Raises:
        StageError: more than one point of the zeros is lost, or a kernel holds more values than it was clustered to.
    """
    sparsity, shared = None, {}
    before = {name: before[name] for name in after}
    if options.sparsity is not None:
        wanted, sparsity = share_of_zeros(before)[0], share_of_zeros(after)[0]
        if sparsity < wanted - MISSED_SHARE:
            raise StageError(f"quantization-aware training left {100 * sparsity:.1f} % zeros of {100 * wanted:.1f} %",
                             f"at most {100 * MISSED_SHARE:.0f} point lost", "use int8 instead of int8qat")
    if options.clusters is not None:
        clustered = [name for name, kernel in before.items() if len(np.unique(kernel)) <= options.clusters]
        shared = clustering.count_shared_values({name: after[name] for name in clustered}, options.clusters)
    return sparsity, shared


def _write_recipe(options: Options, folder: Path) -> None:
    """What the convert stage is to do, the same bytes for the same options."""
    rules = [] if options.format in QAT_FORMATS else rules_for(options.format)
    recipe = {"format": options.format, "method": options.method, "rules": rules}
    (folder / RECIPE_FILE).write_text(json.dumps(recipe, indent=2, sort_keys=True) + "\n", "utf-8")
