"""Train the float model."""

from __future__ import annotations

import shutil
from pathlib import Path

from stages.context import StageContext
from stages.datasets.prepared import PREPROCESSING_FILE, read_preprocessing, read_split
from stages.datasets.records import TRAIN, VALIDATION
from stages.models import build_model, check_input, check_output
from stages.models.files import save_model
from stages.models.framework import tensorflow_turn
from stages.records import History, TrainResult
from stages.training import FitSettings, fit

NAME = "train"
VERSION = 1
LIBRARIES = ("tensorflow", "tf-keras", "numpy")


class Settings(FitSettings):
    """What a user may set for the training of the float model."""


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        model: name of the model.
        seed: of the initial weights, the shuffling and the random layers.
    """

    model: str = "small_cnn"
    seed: int = 0


def run(*, data: Path, options: Options, context: StageContext) -> TrainResult:
    """Write `model.keras` and `preprocessing.json`.

    Args:
        data: a prepare artifact.
        options: see `Options`.
        context: where to write.

    Raises:
        ModelError: no such model, or one that does not fit the data.
        StageError: the loss is no longer a number.
    """
    preprocessing = read_preprocessing(data)
    train, validation = read_split(data, TRAIN), read_split(data, VALIDATION)
    with tensorflow_turn(options.seed, context.log):
        model = build_model(options.model, preprocessing.input_shape, len(preprocessing.class_names))
        check_input(model, preprocessing.input_shape)
        check_output(model, len(preprocessing.class_names))
        history = fit(model, train, validation, options, options.seed, context)
        save_model(model, context.out)
        parameters = int(model.count_params())
    shutil.copyfile(data / PREPROCESSING_FILE, context.out / PREPROCESSING_FILE)
    return TrainResult(summary=summarize(history, len(validation.y)), history=history, parameters=parameters)


def summarize(history: History, validation_samples: int) -> str:
    """One line for people."""
    accuracy = 100 * history.validation_accuracy[history.best_epoch]
    stopped = ", stopped early" if history.stopped_early else ""
    return (f"accuracy {accuracy:.1f} % on {validation_samples} validation samples, "
            f"best of {len(history.loss)} epochs: {history.best_epoch + 1}{stopped}")
