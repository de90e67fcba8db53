"""Build the model, or take in one that is there: what every variant starts from.

A name, an application or a function of the user's own gives an untrained model. A file is looked into, loaded in a
process of its own and rewritten as a `tf_keras` model, or, where no Keras model is in it, as a float32 tflite model; it
is proven on samples that what was written computes what was read.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from pydantic import Field

from device_profiles.errors import ModelError
from device_profiles.records import Record
from stages.context import StageContext
from stages.datasets.prepared import ONLY_INPUT, PREPROCESSING_FILE, Preprocessing, read_preprocessing, read_split
from stages.datasets.records import VALIDATION
from stages.models import BUILDERS, MODEL_NAMES, build_model, model_name
from stages.models.applications import PREFIX
from stages.models.arrays import Array, as_mapping
from stages.models.files import MODEL_FILE, Trust, load_model, save_model, write_trust
from stages.models.framework import tensorflow_turn
from stages.models.importing import PROOF_SAMPLES, Imported, ImportSettings, import_model
from stages.models.origin import Origin, digest_of, origin_of
from stages.records import ModelResult
from stages.tasks import Task, make_task
from stages.tasks.settings import TaskSettings

NAME = "model"
VERSION = 1
LIBRARIES = ("tensorflow", "tf-keras", "keras", "numpy")


class Settings(Record):
    """What a user may set for the model. In the run file a bare word or path is short for `{source: ...}`."""

    source: str = Field(
        default="small_cnn", description=f"{', '.join(BUILDERS)}, {PREFIX}NAME, package.module:function, or a .keras, "
                                         ".h5, .tflite file or SavedModel folder")
    weights: str | None = Field(default=None, description="of an application: a weight file, or imagenet (a download)")
    retrain: bool = Field(default=False, description="train a model that comes trained")
    trust: bool = Field(default=False, description="take a file although it could run code of whoever made it")
    custom_objects: tuple[str, ...] = Field(
        default=(), description="classes and functions of your own that a file may name, as package.module:Class")
    timeout_s: float = Field(default=300.0, gt=0, description="seconds that loading a file may take")
    memory_bytes: int = Field(default=8 << 30, gt=0, description="bytes of memory that loading a file may take")

    def origin(self) -> Origin:
        """What `source` names.

        Raises:
            ModelError: nothing that can be taken.
        """
        is_name = self.source.startswith(PREFIX) and not Path(self.source).exists()
        return origin_of(model_name(self.source) if is_name else self.source, MODEL_NAMES)

    @property
    def comes_trained(self) -> bool:
        """Whether the float model is the one that is given, as it is."""
        return self.origin().is_trained and not self.retrain


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        task: what is to be predicted.
        source_digest: of the file or the function's module.
        seed: of the initial weights.
    """

    task: TaskSettings = TaskSettings()
    source_digest: str = ""
    seed: int = 0


def source_digest(settings: Settings) -> str:
    """What stands for the model in the stage's key: it changes with the file's bytes or the function's source.

    Raises:
        ModelError: the file cannot be read.
    """
    weights = Path(settings.weights) if settings.weights else None
    parts = [digest_of(settings.origin())]
    if weights is not None and weights.is_file():
        parts.append(digest_of(Origin(text=str(weights), kind="h5", path=weights)))
    return ":".join(parts)


def run(*, data: Path, options: Options, context: StageContext) -> ModelResult:
    """Write `model.keras` or `model.tflite`, and `preprocessing.json`.

    Args:
        data: a prepare artifact.
        options: see `Options`.
        context: where to write.

    Raises:
        ModelError: nothing that can be taken, or a model that does not fit the data or the task.
    """
    origin, task = options.origin(), make_task(options.task)
    preprocessing = read_preprocessing(data)
    shutil.copyfile(data / PREPROCESSING_FILE, context.out / PREPROCESSING_FILE)
    if options.weights is not None and origin.kind != "application":
        raise ModelError(f"weights are given for {options.source}", f"weights for {PREFIX}NAME alone",
                         "leave model.weights out")
    if origin.kind in ("builder", "application"):
        return _build(origin, task, preprocessing, options, context)
    return _take_in(origin, task, preprocessing, data, options, context)


def _build(origin: Origin, task: Task, preprocessing: Preprocessing, options: Options,
           context: StageContext) -> ModelResult:
    """A model that is known by name."""
    shape = _only_shape(preprocessing, origin.text)
    with tensorflow_turn(options.seed, context.log):
        model = build_model(origin.text, shape, output_size(task, preprocessing), task.output, options.weights)
        task.check_model(model, preprocessing)
        save_model(model, context.out)
        parameters, layers = int(model.count_params()), len(model.layers)
    return ModelResult(summary=f"{origin.text}: {parameters:,} parameters in {layers} layers", origin=origin.text,
                       kind=origin.kind, trained=False, parameters=parameters, layers=layers)


def _only_shape(preprocessing: Preprocessing, name: str) -> tuple[int, ...]:
    """The shape that a builder is called with."""
    only = preprocessing.only_input
    if only is None:
        raise ModelError(f"{name} has one input; the data has {len(preprocessing.inputs)}: "
                         f"{', '.join(preprocessing.inputs)}", "data with one input",
                         "give a model of your own with these inputs")
    return only.shape


def output_size(task: Task, preprocessing: Preprocessing) -> int:
    """How many values a model must give for the task."""
    shapes = task.output_shapes(preprocessing)
    if len(shapes) != 1:
        raise ModelError(f"the task has {len(shapes)} outputs: {', '.join(shapes)}", "one output for a model by name",
                         "give a model of your own with these outputs")
    (name, shape), = shapes.items()
    if shape is None or None in shape:
        raise ModelError(f"the data does not say how many values the {name} of the model has", "data with class names",
                         "give a model of your own")
    return math.prod(size or 0 for size in shape)


def _take_in(origin: Origin, task: Task, preprocessing: Preprocessing, data: Path, options: Options,
             context: StageContext) -> ModelResult:
    """A model from a file or a function."""
    samples = as_mapping(read_split(data, VALIDATION).x[:PROOF_SAMPLES])
    settings = ImportSettings(trust=options.trust, custom_objects=options.custom_objects, timeout_s=options.timeout_s,
                              memory_bytes=options.memory_bytes, seed=options.seed)
    shape = preprocessing.only_input.shape if preprocessing.only_input else None
    size = output_size(task, preprocessing) if origin.kind == "function" else None
    taken = import_model(origin, settings, context.out, log=context.log, samples=_by_name(samples), input_shape=shape,
                         classes=size, progress=context.progress)
    write_trust(context.out, Trust(code=options.trust, custom_objects=options.custom_objects))
    if taken.artifact == MODEL_FILE:
        with tensorflow_turn(options.seed, context.log):
            task.check_model(load_model(context.out), preprocessing)
    return _result(origin, taken)


def _by_name(samples: Array | dict[str, Array]) -> Array | dict[str, Array]:
    """The only input goes without a name: what the model calls it is the model's affair."""
    return samples[ONLY_INPUT] if isinstance(samples, dict) and list(samples) == [ONLY_INPUT] else samples


def _result(origin: Origin, taken: Imported) -> ModelResult:
    """The record of a model that was taken in."""
    proof = taken.proof
    shown = f"{taken.parameters:,} parameters in {taken.layers} layers"
    if proof is not None:
        shown += f", differs by at most {proof.largest_difference:.1g} on {proof.on}"
    return ModelResult(
        summary=f"{origin.text}: {shown}", warnings=taken.warnings, origin=origin.text, kind=origin.kind,
        trained=origin.is_trained, parameters=taken.parameters, layers=taken.layers,
        changed=taken.changed, proof=proof.largest_difference if proof else None,
        proof_samples=proof.samples if proof else 0, proof_on=proof.on if proof else "",
        trusted=tuple(str(finding) for finding in taken.findings))
