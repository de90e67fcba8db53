"""A teacher's part in a training: the loss that draws a student's outputs, and inner features, towards its teacher's.

    loss = (1 - alpha) · the task's own loss + alpha · distance of the outputs + sum of weight · hint

The teacher sees the same batch, augmented as it is, inside the same compiled step; it runs in inference mode and is
never trained. `distilling.losses` says what the distance is for each task, `distilling.hints` what a hint is,
`distilling.dropout` why the student's dropout is off.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from device_profiles.errors import ModelError
from device_profiles.records import Record
from stages.datasets.prepared import Preprocessing
from stages.distilling import losses
from stages.distilling.dropout import without_dropout
from stages.distilling.hints import Hints
from stages.models.arrays import given_inputs, named_outputs
from stages.models.files import MODEL_FILE, load_model
from stages.models.nested import opened
from stages.tasks import Task
from stages.tasks.losses import distance_tensors
from stages.tasks.matching import match, model_outputs, shapes_text
from stages.tasks.several import Several

Distance = Callable[[Any, Any], Any]
"""`distance(teacher, student)` of an output: two (batch, *shape) tensors to (batch,)."""


class Hint(Record):
    """A teacher's layer. In the run file a bare name is short for `{teacher: ...}`."""

    teacher: str = Field(description="the teacher's layer, by name")
    weight: float = Field(default=1.0, gt=0, description="of this hint in the sum of the losses")

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, given: Any) -> Any:
        return {"teacher": given} if isinstance(given, str) else given


class Distillation(Record):
    """How a teacher teaches."""

    temperature: float = Field(
        default=4.0, gt=0, description="divides the logits before the softmax: above 1, what the teacher thinks of "
                                       "the wrong classes counts more (classification, multilabel)")
    alpha: float = Field(
        default=0.7, ge=0, le=1, description="the teacher's share of the loss; the labels have the rest")
    dropout: bool = Field(
        default=False, description="whether the student's dropout layers drop values while it is taught")
    hints: dict[str, Hint] = Field(
        default_factory=dict, description="by the student's layer, a teacher's layer that it is to resemble")


@dataclass(frozen=True)
class Teacher:
    """A teacher that is still in its file: TensorFlow is only asked for it inside a training's turn.

    Attributes:
        folder: an artifact with `model.keras`.
        settings: how it teaches.
    """

    folder: Path
    settings: Distillation

    def load(self, task: Task, preprocessing: Preprocessing) -> Any:
        """The model, one flat graph, not trainable.

        Raises:
            ModelError: it cannot be read, or does not fit the data or the task.
        """
        model = opened(load_model(self.folder))
        try:
            task.check_model(model, preprocessing)
        except ModelError as error:
            raise ModelError(f"the teacher does not fit: {error.found}", error.allowed,
                             "give a teacher for this data and task") from error
        model.trainable = False
        return model

    def fingerprint(self) -> str:
        """What two teachers must share to give the same training."""
        content = (self.folder / MODEL_FILE).read_bytes()
        return f"{hashlib.sha256(content).hexdigest()} {self.settings.model_dump_json()}"


class TaughtLoss:
    """The task's loss and the teacher's. An `Objective` of `stages/fitting/objective.py`."""

    def __init__(self, student: Any, teacher: Any, task: Task, dtype: np.dtype[Any], settings: Distillation,
                 seed: int) -> None:
        """Pair outputs and features.

        Args:
            student: a `tf_keras.Model` to be trained, wrapped by TFMOT or not.
            teacher: a `tf_keras.Model` from `Teacher.load`.
            task: what both predict.
            dtype: of the samples; structured for several inputs.
            settings: see `Distillation`.
            seed: of the projections between features.

        Raises:
            ModelError: outputs that do not match, or hints that cannot be given.
        """
        _check_outputs(student, teacher)
        self._hints = Hints(student, teacher, settings.hints, seed)
        self.variables, self._settings = self._hints.variables, settings
        self._student, self._own = student, task.make_loss(student)
        self._distance = _outputs_distance(task, teacher, student, settings.temperature)
        self.model, self._seen = _tapped(student, self._hints.student), _tapped(teacher, self._hints.teacher)
        self._teacher = teacher
        self._given, self._shown = given_inputs(student, dtype), given_inputs(teacher, dtype)

    def __call__(self, x: Any, y: Any) -> Any:
        """Losses of a batch, the student in training mode.  # (batch,)."""
        import tensorflow as tf

        with nullcontext() if self._settings.dropout else without_dropout(self.model):
            outputs, features = _parted(self._student, self.model(self._given(x), training=True))
        wanted, shown = _parted(self._teacher, self._seen(self._shown(x), training=False))
        wanted, shown = tf.nest.map_structure(tf.stop_gradient, (wanted, shown))
        total = self._settings.alpha * self._distance(wanted, outputs)
        if self._settings.alpha < 1:
            total += (1 - self._settings.alpha) * self._own(x, y, outputs)
        return total + self._hints.losses(features, shown)


def _tapped(model: Any, tensors: list[Any]) -> Any:
    """A model of the same layers whose outputs are the model's own and then some inner tensors."""
    import tf_keras as keras

    return keras.Model(model.inputs, [*model.outputs, *tensors]) if tensors else model


def _parted(model: Any, outputs: Any) -> tuple[Any, list[Any]]:
    """(the model's outputs as a loss takes them, the inner tensors) of what a tapped model gives."""
    import tensorflow as tf

    flat = tf.nest.flatten(outputs)
    count = len(model.outputs)
    return named_outputs(model, flat[:count] if count > 1 else flat[0]), flat[count:]


def _check_outputs(student: Any, teacher: Any) -> None:
    """Refuse a teacher that gives something else than the student."""
    given, wanted = model_outputs(student), model_outputs(teacher)
    if match(given, wanted) is None:
        found = f"the teacher's output has the shape {shapes_text(wanted)}, the student's {shapes_text(given)}"
        raise ModelError(found, "outputs of one shape, and of the same names where there are several",
                         "give a teacher for this data and task")


def _outputs_distance(task: Task, teacher: Any, student: Any, temperature: float) -> Distance:
    """The distance of all outputs: for several the sum, weighted as their losses are."""
    known, given = task.logits_of(teacher), task.logits_of(student)
    if not isinstance(task, Several):
        return _distance(task, known is True, given is True, temperature)
    teachers, students = _by_task(task, teacher, known), _by_task(task, student, given)
    parts = {name: _distance(each, teachers[name], students[name], temperature) for name, each in task.tasks.items()}

    def total(wanted: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
        """Of all outputs by name.  # (batch,)."""
        found = [task.weights[name] * part(wanted[name], outputs[name]) for name, part in parts.items()]
        return sum(found[1:], start=found[0])

    return total


def _by_task(task: Several, model: Any, logits: Any) -> dict[str, bool]:
    """By output name, whether a model gives logits."""
    missing = [name for name in task.tasks if name not in logits]
    if missing:
        raise ModelError(f"'{missing[0]}' is no output of the model: {', '.join(model.output_names)}",
                         ", ".join(task.tasks), "name the outputs as under task.outputs")
    return {name: logits[name] is True for name in task.tasks}


def _distance(task: Task, teacher_logits: bool, student_logits: bool, temperature: float) -> Distance:
    """The distance of one output."""
    if task.kind in ("regression", "anomaly"):
        return lambda teacher, student: distance_tensors("mse", teacher, student)

    def divergence(teacher: Any, student: Any) -> Any:
        """Of one output.  # (batch,)."""
        single = task.kind == "multilabel" or student.shape[-1] == 1  # one unit stands for the second of two classes
        to_logits, between = ((losses.label_logits, losses.label_divergence) if single else
                              (losses.class_logits, losses.class_divergence))
        return between(to_logits(teacher, teacher_logits), to_logits(student, student_logits), temperature)

    return divergence
