"""Convert a model into a tflite model of one number format, with the inputs and outputs that the device wants."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from device_profiles.errors import StageError, StoreError
from device_profiles.records import Record
from stages.artifacts import TFLITE_FILE
from stages.context import StageContext
from stages.converting import interface
from stages.converting.from_keras import KERAS_FORMATS, convert_keras, refusal
from stages.converting.interface import Input, Wish
from stages.converting.quantizing import FAULTS, PostTraining
from stages.converting.ranges import RangeMethod
from stages.converting.rewriting import scaled_in_front
from stages.converting.source import NAMED_FILE, UNFOLDED_FILE, has_tflite, read_float
from stages.datasets.prepared import PREPROCESSING_FILE, Preprocessing, read_preprocessing
from stages.models.files import MODEL_FILE
from stages.models.float_operators import float_warning
from stages.models.quiet import native_errors_to
from stages.packing.shrinking import shrink
from stages.quantize import CALIBRATION_FILE, RECIPE_FILE
from stages.recipes import Rules, WeightRecipe, rules_for
from stages.records import ConvertResult, Normalization
from stages.variants import CALIBRATED_FORMATS, FORMATS, QAT_FORMATS

NAME = "convert"
VERSION = 5
LIBRARIES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "litert-quantizer", "ai-edge-litert", "numpy")

SOURCE: dict[str, Literal["keras", "tflite"]] = {
    "float32": "keras",
    "float16": "keras",
    "dynamic": "tflite",
    "int8": "tflite",
    "int8qat": "keras",
    "int16x8": "tflite",
    "int4": "tflite",
    "mixed": "tflite",
}
"""What a format is made from where there is a Keras model: its artifact, or the float32 tflite model made from it.

Where the model came as a tflite model, every format is made from that.
"""

AS_GIVEN = "as given"
"""What made a float32 tflite model that came as one."""

Array = NDArray[Any]


class Settings(Record):
    """What a user may set about inputs and outputs. Float formats keep float32; int16x8 gives int16 or float32."""

    input_type: Wish = Field(default="auto", description="type of the inputs of integer formats: auto (the format's "
                             "own; with folded preprocessing, bytes where bytes are stored), float32, int8, uint8")
    output_type: Wish = Field(default="auto", description="type of the outputs of integer formats: auto, float32, "
                              "int8, uint8")
    fold_preprocessing: bool = Field(default=False, description="put the normalization into the tflite model, so that "
                                     "the device feeds stored values, such as a camera's bytes")
    shrink: bool = Field(default=True, description="leave out of the file what no runtime needs (names of inner "
                         "tensors, ranges, metadata); what it computes stays the same, to the last bit")


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        format: the number format.
        seed: of the process state that the converter runs in.
    """

    format: str = "float32"
    seed: int = 0


def run(*, source: Path, options: Options, context: StageContext, recipe: Path | None = None) -> ConvertResult:
    """Write `model.tflite`; beside it `named.tflite` where it was shrunk, and for float32 `unfolded.tflite` if folded.

    Args:
        source: an artifact with `model.keras`, or with a float32 `model.tflite`; for `int8qat` a quantize artifact. Its
            `preprocessing.json` goes along, and is needed for folding.
        options: see `Options`.
        context: where to write; `log` gets the converter's own words.
        recipe: the quantize artifact of a post-training format; float32, `int8qat` and float16 need none.

    Raises:
        StageError: no such format, no recipe, or a model that the converter cannot take.
        ModelError: the Keras model cannot be read.
        StoreError: the tflite model, the recipe or the preprocessing cannot be read.
        TfliteError: the source is not a whole tflite model.
    """
    if options.format not in SOURCE:
        raise StageError(f"nothing converts to the format '{options.format}'", ", ".join(SOURCE), "litesmith variants")
    context.progress(0, 1, f"converting to {options.format}")
    preprocessing = _preprocessing(source, options)
    made = _from_keras if _is_keras(source, options.format) else _from_tflite
    plain, content, inputs, tool, warnings = made(source, recipe, preprocessing, options, context.log)
    finished = shrink(content) if options.shrink and tool != AS_GIVEN else content
    (context.out / TFLITE_FILE).write_bytes(finished)
    if finished != content:
        (context.out / NAMED_FILE).write_bytes(content)
    if options.format == "float32" and content != plain:
        (context.out / UNFOLDED_FILE).write_bytes(plain)
    if (source / PREPROCESSING_FILE).exists():
        shutil.copyfile(source / PREPROCESSING_FILE, context.out / PREPROCESSING_FILE)
    context.progress(1, 1, "done")
    return _result(finished, inputs, tool, warnings, options)


@dataclass(frozen=True)
class _Recipe:
    """What a quantize artifact says: rules, what is asked of the weights, how ranges are found, calibration samples.

    The samples are (samples, *shape), structured for several inputs.
    """

    rules: Rules
    weights: WeightRecipe | None = None
    ranges: RangeMethod = "extremes"
    samples: Array = field(default_factory=lambda: np.empty(0, np.float32))


_METHODS: dict[str, RangeMethod] = {"extremes": "extremes", "mse": "mse"}
Made = tuple[bytes, bytes, list[Input], str, tuple[str, ...]]
"""The model before its surface was changed, the finished one, its inputs, what made it, and warnings."""


def _from_keras(source: Path, recipe: Path | None, preprocessing: Preprocessing | None, options: Options,  # noqa: ARG001
                log: Path) -> Made:
    """From a Keras model."""
    plain, tool, warning = convert_keras(source, options.format, options.seed, log)
    inputs = interface.plan_inputs(plain, preprocessing, options.format, options.input_type, options.fold_preprocessing)
    content = scaled_in_front(plain, interface.operators_in_front(inputs, options.format))
    content = interface.change_surface(content, inputs, options.format, options.output_type)
    floats = float_warning(plain) if options.format in QAT_FORMATS else ""
    return plain, content, inputs, tool, tuple(filter(None, (warning, floats)))


def _from_tflite(source: Path, recipe: Path | None, preprocessing: Preprocessing | None, options: Options,
                 log: Path) -> Made:
    """From a float32 tflite model: as it is, or by litert-quantizer."""
    plain = read_float(source)
    inputs = interface.plan_inputs(plain, preprocessing, options.format, options.input_type, options.fold_preprocessing)
    steps = interface.operators_in_front(inputs, options.format)
    content, tool = scaled_in_front(plain, steps), AS_GIVEN
    if options.format != "float32":
        found = _read_recipe(recipe, options.format)
        with native_errors_to(log):
            try:
                content = _quantized(content, found, _as_fed(found.samples, inputs, set(steps)), inputs)
            except FAULTS as error:
                raise refusal(options.format, error, log) from error
        tool = f"litert-quantizer {version('litert-quantizer')}"
    return plain, interface.change_surface(content, inputs, options.format, options.output_type), inputs, tool, ()


def _quantized(content: bytes, recipe: _Recipe, samples: Array, inputs: list[Input]) -> bytes:
    """The tflite model in a post-training format."""
    work = PostTraining(content, recipe.rules, recipe.weights, recipe.ranges)
    ranges = work.calibrate(samples) if work.needs_calibration else None
    if ranges is not None:
        interface.fix_ranges(ranges, content, inputs)
    return work.quantize(ranges, work.fit(samples))


def _as_fed(samples: Array, inputs: list[Input], scaled: set[int]) -> Array:
    """Calibration samples as the model takes them that has MUL and ADD in front of the inputs `scaled`."""
    steps = {each.field: each.spec.normalization for position, each in enumerate(inputs)
             if position in scaled and each.spec}
    if not steps or not len(samples):
        return samples
    if samples.dtype.names is None:
        return _stored(samples, *steps.values())
    fed = samples.copy()
    for name, normalization in steps.items():
        fed[name] = _stored(samples[name], normalization)
    return fed


def _stored(samples: Array, normalization: Normalization) -> Array:
    """Stored values again from normalized ones: `x * scale + offset`."""
    found: Array = samples * np.array(normalization.scale, np.float32) + np.array(normalization.offset, np.float32)
    return found


def _result(content: bytes, inputs: list[Input], tool: str, warnings: tuple[str, ...],
            options: Options) -> ConvertResult:
    """What was made, and what the device has to feed."""
    surface = interface.surface_of(content)
    return ConvertResult.model_validate({
        **surface, "summary": f"{len(content):,} bytes, {FORMATS[options.format]}", "format": options.format,
        "warnings": (*warnings, *interface.rounding_warnings(inputs)), "converter": tool,
        "tflite_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
        "folded": options.fold_preprocessing, "folded_by": {each.name: each.fold for each in inputs if each.fold}})


# -- files ---------------------------------------------------------------------------------------------------------


def _is_keras(source: Path, number_format: str) -> bool:
    """Whether to start from the artifact's Keras model."""
    return number_format in KERAS_FORMATS and ((source / MODEL_FILE).exists() or not has_tflite(source))


def _preprocessing(source: Path, options: Options) -> Preprocessing | None:
    """The preprocessing that is to be folded in, if any."""
    return read_preprocessing(source) if options.fold_preprocessing else None


def _read_recipe(recipe: Path | None, number_format: str) -> _Recipe:
    """What a quantize artifact says."""
    if recipe is None and number_format == "float16":
        return _Recipe(rules_for(number_format))
    if recipe is None:
        raise StageError(f"the format {number_format} needs a recipe", "a quantize artifact", "litesmith quantize")
    samples = np.empty(0, np.float32)
    try:
        found = json.loads((recipe / RECIPE_FILE).read_text("utf-8"))
        name, rules = str(found["format"]), list(found["rules"])
        weights = WeightRecipe.model_validate(found["weights"]) if "weights" in found else None
        ranges = _METHODS[found.get("ranges", "extremes")]
        needed = number_format in CALIBRATED_FORMATS or (weights is not None and weights.needs_samples)
        if name == number_format and needed:
            samples = np.load(recipe / CALIBRATION_FILE, allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise StoreError(f"{recipe} holds no whole recipe: {error}", "", "litesmith quantize") from error
    if name != number_format:
        raise StageError(f"the recipe in {recipe} is for {name}", number_format, "litesmith quantize")
    return _Recipe(rules, weights, ranges, samples)
