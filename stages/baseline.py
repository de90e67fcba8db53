"""The float Keras model on the test split: what every accuracy drop is measured from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from device_profiles.records import Record
from stages.context import StageContext
from stages.datasets.prepared import read_split
from stages.datasets.records import TEST
from stages.metrics import classification_metrics
from stages.models import check_input, check_output
from stages.models.files import load_model
from stages.models.framework import tensorflow_turn
from stages.models.inference import make_predictor
from stages.records import BaselineResult

NAME = "baseline"
VERSION = 1
LIBRARIES = ("tensorflow", "tf-keras", "numpy", "scikit-learn")

OUTPUTS_FILE = "outputs.npy"


class Settings(Record):
    """The baseline has nothing to set."""


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        seed: of the bootstrap behind the intervals.
    """

    seed: int = 0


def run(*, model: Path, data: Path, options: Options, context: StageContext) -> BaselineResult:
    """Write `outputs.npy`, (samples, classes) float32 in the order of the test split.

    Args:
        model: a train artifact.
        data: a prepare artifact.
        options: see `Options`.
        context: where to write.

    Raises:
        ModelError: the model cannot be read, or does not fit the data.
    """
    test = read_split(data, TEST)
    classes = int(test.y.max()) + 1  # every split holds every class
    with tensorflow_turn(options.seed, context.log):
        keras_model = load_model(model)
        check_input(keras_model, test.x.shape[1:])
        check_output(keras_model, classes)
        outputs = make_predictor(keras_model)(test.x)  # (samples, classes)
    np.save(context.out / OUTPUTS_FILE, outputs)
    metrics = classification_metrics(outputs, test.y, seed=options.seed)
    return BaselineResult(summary=f"accuracy {100 * metrics.accuracy.value:.1f} % on {len(test.y)} test samples",
                          metrics=metrics)
