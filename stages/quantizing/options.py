"""What a user may set for quantization, what the plan fills in, and the files of a quantize artifact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from device_profiles.records import Record
from device_profiles.schema import Profile
from stages import calibration
from stages.calibration import Strategy
from stages.converting.ranges import RangeMethod, Wish, method_for
from stages.datasets.prepared import Split
from stages.distillation import Distillation
from stages.recipes import Rules, WeightRecipe
from stages.records.sensitivity import LayerFormat
from stages.tasks.settings import TaskSettings
from stages.training import FitSettings
from stages.variants import QAT_FORMATS

RECIPE_FILE = "recipe.json"
CALIBRATION_FILE = "calibration.npy"
POST_TRAINING = {"float16": "float16", "dynamic": "dynamic", "int8": "static", "int16x8": "static", "int4": "static",
                 "mixed": "mixed"}
"""Method by post-training format."""


class MixedSettings(Record):
    """What a user may set for `mixed`."""

    formats: tuple[LayerFormat, ...] = Field(
        default=(), description="formats to choose from: float32, dynamic, int8, int16x8, int4; none: those of the "
                                "profile, or int4, int8 and float32")
    profile: str = Field(default="", description="device profile whose formats, engine and latency count; none: any")
    cost: Literal["bytes", "latency"] = Field(
        default="bytes", description="what is to be small: bytes of the tflite model, or latency predicted on "
                                     "the profile")
    drop_points: float = Field(
        default=0.5, ge=0, description="points that may be lost on the validation split, where no budget is given")
    budget: float | None = Field(
        default=None, gt=0, description="bytes, or milliseconds with cost: latency, to keep with the least drop; then "
                                        "drop_points does not count")
    fixed: dict[str, LayerFormat] = Field(default_factory=dict, description="formats of layers, by name")
    rounds: int = Field(default=6, ge=1, le=50, description="assignments that are built and measured at most")
    samples: int = Field(default=2000, ge=1, description="validation samples that they are measured on, at most")

    @model_validator(mode="after")
    def _latency_has_a_profile(self) -> Self:
        if self.cost == "latency" and not self.profile:
            raise ValueError("cost: latency is predicted on a device; give quantize.mixed.profile")
        return self


class Settings(FitSettings):
    """What a user may set for quantization; the training settings are those of quantization-aware training."""

    epochs: int = Field(default=8, ge=1, description="epochs of quantization-aware training")
    learning_rate: float = Field(default=5e-4, gt=0, description="of Adam, at the start of quantization-aware training")
    patience: int = Field(default=0, ge=0, description="epochs without a better validation loss to wait; 0: no end")
    unsupported_layers: Literal["refuse", "float", "post"] = Field(
        default="refuse", description="what becomes of layers that TFMOT's 8-bit scheme does not know: refuse the "
                                      "model, leave them in float, or quantize them afterwards by calibration (post)")
    calibration_samples: int = Field(default=200, ge=1, description="training samples that set activation ranges")
    calibration: Strategy = Field(
        default="balanced", description="which ones: balanced over the classes, random, all, or outliers-dropped")
    algorithm: Literal["auto", "minmax", "mse", "octav", "gptq"] = Field(
        default="auto", description="how weights become integers: minmax, mse, octav, gptq; auto: gptq for int4 and "
                                    "mixed, minmax for the others")
    ranges: Wish = Field(
        default="auto", description="where activation ranges end: extremes over the calibration samples, or mse, where "
                                    "8 bits round best; auto: mse for classification and multilabel")
    bias_correction: Literal["auto"] | bool = Field(
        default="auto", description="let biases take up the mean shift of each layer's output; auto: for "
                                    "int4 and mixed, where the algorithm is not gptq")
    int4_keep: tuple[str, ...] = Field(
        default=(), description="layers that have 8 bits in int4: first, last, or the name of an operator's output")
    mixed: MixedSettings = Field(default=MixedSettings(), description="the choice of a format for each layer")


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        format: the number format.
        sparsity: for QAT: the share of zeros that pruning made, or None.
        clusters: for QAT: the shared values that clustering made, or None.
        distil: for QAT: how the teacher teaches, where there is one.
        device: for `mixed`: the profile that `mixed.profile` names.
        task: what is to be predicted.
        seed: of the shuffling, the random layers and the calibration set.
    """

    format: str = "int8"
    sparsity: float | None = None
    clusters: int | None = None
    distil: Distillation | None = None
    device: Profile | None = None
    task: TaskSettings = TaskSettings()
    seed: int = 0

    @property
    def method(self) -> str:
        """How the format is reached."""
        if self.format not in QAT_FORMATS:
            return POST_TRAINING[self.format]
        return ("p" if self.sparsity is not None else "") + ("c" if self.clusters is not None else "") + "qat"

    @property
    def range_method(self) -> RangeMethod:
        """How activation ranges are found."""
        return method_for(self.format, self.task.kind, self.ranges)

    @property
    def weights(self) -> WeightRecipe | None:
        """How weights become integers; None where litert-quantizer's own way is asked for."""
        low = self.format in ("int4", "mixed")
        algorithm = ("gptq" if low else "minmax") if self.algorithm == "auto" else self.algorithm
        corrected = low and algorithm != "gptq" if self.bias_correction == "auto" else self.bias_correction
        if self.format == "float16" or (not low and algorithm == "minmax" and not corrected):
            return None
        return WeightRecipe(bits=4 if self.format == "int4" else 8, algorithm=algorithm, bias_correction=corrected,
                            keep=self.int4_keep if self.format == "int4" else (),
                            connected_share_scale=self.format == "dynamic")


def calibration_rows(train: Split, options: Options) -> NDArray[np.int64]:
    """Training samples that set the ranges of the activations."""
    return calibration.choose(train.y, options.calibration_samples, options.seed, kind=options.task.kind,
                              strategy=options.calibration, x=train.x)


def write_recipe(rules: Rules, options: Options, folder: Path, weights: WeightRecipe | None = None,
                 ranges: RangeMethod = "extremes") -> None:
    """What the convert stage is to do, the same bytes for the same options."""
    recipe: dict[str, object] = {"format": options.format, "method": options.method, "rules": rules, "ranges": ranges}
    if weights is not None:
        recipe["weights"] = weights.model_dump(mode="json")
    (folder / RECIPE_FILE).write_text(json.dumps(recipe, indent=2, sort_keys=True) + "\n", "utf-8")
