"""Quantization: train with it (`int8qat`), or choose the calibration set and recipe that the converter will use."""

from __future__ import annotations

from pathlib import Path

from device_profiles.errors import StageError
from stages.context import StageContext
from stages.quantizing.aware import train_quantized
from stages.quantizing.mixed import choose_formats
from stages.quantizing.options import CALIBRATION_FILE, POST_TRAINING, RECIPE_FILE, Options, Settings
from stages.quantizing.post_training import choose_recipe
from stages.records import QuantizeResult
from stages.variants import QAT_FORMATS

__all__ = ["CALIBRATION_FILE", "LIBRARIES", "NAME", "POST_TRAINING", "RECIPE_FILE", "VERSION", "Options", "Settings",
           "run"]

NAME = "quantize"
VERSION = 5
LIBRARIES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "litert-quantizer", "numpy")


def run(*, data: Path, options: Options, context: StageContext, model: Path | None = None,
        teacher: Path | None = None, sensitivity: Path | None = None, tflite: Path | None = None) -> QuantizeResult:
    """Write `recipe.json` and either `calibration.npy` or the quantization-aware model.

    Args:
        data: a prepare artifact.
        options: see `Options`.
        context: where to write.
        model: a train or prune artifact; for quantization-aware training alone.
        teacher: an artifact with the Keras model that teaches; for quantization-aware training alone.
        sensitivity: a sensitivity artifact; for `mixed` alone.
        tflite: the float32 convert artifact that it was made from; for `mixed` alone.

    Raises:
        ModelError: TFMOT cannot take the model, or a layer of it.
        StageError: a format that nothing here serves, QAT without a model, zeros or shared values lost in training,
            or for `mixed` a drop or a budget that cannot be kept.
    """
    if options.format in QAT_FORMATS:
        if model is None:
            raise StageError(f"the format {options.format} is trained and needs a model", "a train or prune artifact")
        return train_quantized(model, data, options, context, teacher)
    if options.format not in POST_TRAINING:
        raise StageError(f"the format '{options.format}' has no quantization",
                         ", ".join((*POST_TRAINING, *QAT_FORMATS)), "litesmith variants")
    if options.format == "mixed":
        if sensitivity is None or tflite is None:
            raise StageError("the format mixed rests on how sensitive each layer is",
                             "a sensitivity artifact and the float32 tflite model", "litesmith sensitivity")
        return choose_formats(data, tflite, sensitivity, options, context)
    return choose_recipe(data, options, context)
