"""The float model on the test split, and on mild corruptions of it: what every drop is measured from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import Field

from device_profiles.errors import StoreError
from device_profiles.records import Record
from stages.artifacts import TFLITE_FILE
from stages.context import StageContext
from stages.datasets.prepared import Preprocessing, Samples, normalized, read_preprocessing, read_split
from stages.datasets.records import TEST
from stages.datasets.rows import Rows, RowWriter
from stages.engines import host
from stages.engines.pool import Job
from stages.models.files import MODEL_FILE, load_model
from stages.models.framework import tensorflow_turn
from stages.models.inference import make_predictor
from stages.outputs import OUTPUTS_FILE, overall_score, read_outputs, write_outputs
from stages.records import BaselineResult
from stages.safety import stress
from stages.tasks import Task, make_task, read_truth
from stages.tasks.settings import TaskSettings, score_number

NAME = "baseline"
VERSION = 2
LIBRARIES = ("tensorflow", "tf-keras", "ai-edge-litert", "numpy", "scikit-learn")

ENGINE = "litert"
"""What runs a float model that is a tflite model."""
TIMEOUT_S = 300.0


class Settings(Record):
    """What a user may set for the float model's run."""

    corruptions: stress.Settings = Field(default=stress.Settings(), description="mild corruptions of the test samples")


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        seed: of the bootstrap behind the intervals.
        task: what the outputs are scored by.
        asked: limits of some profile that `evaluate` needs more for than outputs on the test split.
    """

    seed: int = 0
    task: TaskSettings = TaskSettings()
    asked: tuple[str, ...] = ()


def run(*, model: Path, data: Path, options: Options, context: StageContext) -> BaselineResult:
    """Write `outputs.npy`: (samples, *shape) float32 in the order of the test split, structured for several outputs.

    Where corruptions are wanted, `corrupted_<kind>.npy`, `outputs_<kind>.npy` and `corruptions.json` too.

    Args:
        model: a train or model artifact: a Keras model, or a float32 tflite model, which litert runs.
        data: a prepare artifact.
        options: see `Options`.
        context: where to write.

    Raises:
        ModelError: the model cannot be read, or does not fit the data or the task.
        StageError: its outputs cannot be scored, or a metric of the user's fails.
        DataError: labels that leave the score undefined, outputs that are not finite, or a corruption that does not
            fit the data.
        EngineError: litert cannot run the tflite model.
    """
    test, preprocessing, task = read_split(data, TEST), read_preprocessing(data), make_task(options.task)
    task.check_split(TEST, test.y)
    runs = [_Run(data / f"x_{TEST}.npy", context.out / OUTPUTS_FILE, "the float model", test.x)]
    if options.corruptions.wanted(stress.LIMIT in options.asked):
        runs += _corrupted(data, preprocessing, options, context)
    if (model / MODEL_FILE).exists() or not (model / TFLITE_FILE).exists():
        _run_keras(model, runs, preprocessing, task, options.seed, context)
    else:
        _run_tflite(model, runs, preprocessing, task, context)
    outputs = read_outputs(context.out / OUTPUTS_FILE, task)
    truth = task.with_logits(read_truth(test, preprocessing), outputs)
    parts = task.outputs_metrics(outputs, truth, seed=options.seed)
    metrics = next(iter(parts.values()), None) or task.metrics(outputs, truth, seed=options.seed)
    score = score_number(task.score_name, overall_score(metrics, parts).value)
    return BaselineResult(summary=f"{task.score_name} {score} on {metrics.samples:,} test samples", metrics=metrics,
                          outputs=parts)


@dataclass(frozen=True)
class _Run:
    """One file of samples through the model.

    Attributes:
        stored: the samples as they are stored.
        outputs: the file that is written.
        text: for progress.
        x: the same samples as the model takes them.
    """

    stored: Path
    outputs: Path
    text: str
    x: Samples


def _corrupted(data: Path, preprocessing: Preprocessing, options: Options, context: StageContext) -> list[_Run]:
    """Corrupted samples, written; a run for each kind."""
    context.progress(0, 0, "corrupting test samples")
    about = stress.write_corrupted(data, preprocessing, options.corruptions, options.seed, context.out)
    transform = partial(normalized, inputs=preprocessing.inputs)
    runs = []
    for kind in about.severities:
        path = context.out / about.samples_file(kind)
        runs.append(_Run(path, context.out / about.outputs_file(kind), f"the float model, {kind}",
                         Rows(path, transform)))
    return runs


def _run_keras(model: Path, runs: Sequence[_Run], preprocessing: Preprocessing, task: Task, seed: int,
               context: StageContext) -> None:
    """Predict and write batch by batch, so that memory does not grow with the data."""
    with tensorflow_turn(seed, context.log):
        keras_model = load_model(model)
        task.check_model(keras_model, preprocessing)
        shapes = task.output_shapes(preprocessing)
        predict = make_predictor(keras_model, tuple(shapes) if len(shapes) > 1 else ())
        for run_ in runs:
            with RowWriter(run_.outputs) as writer:
                for outputs in predict.slices(run_.x):
                    writer.append(outputs)
                    context.progress(writer.rows, len(run_.x), run_.text)


def _run_tflite(model: Path, runs: Sequence[_Run], preprocessing: Preprocessing, task: Task,
                context: StageContext) -> None:
    """Run the float32 tflite model itself."""
    try:
        content = (model / TFLITE_FILE).read_bytes()
    except OSError as error:
        raise StoreError(f"{model / TFLITE_FILE} cannot be read: {error.strerror}") from error
    for run_ in runs:
        job = Job(engine=ENGINE, tflite=content, model="the float tflite model", samples=run_.stored, batch=0,
                  workers=len(host.cores()), timeout_s=TIMEOUT_S, log=context.log,
                  normalization={name: spec.normalization for name, spec in preprocessing.inputs.items()})
        write_outputs(job, task.output_shapes(preprocessing), run_.outputs,
                      partial(_told, context, run_.text))


def _told(context: StageContext, text: str, done: int, total: int) -> None:
    """Progress of one run."""
    context.progress(done, total, text)
