"""Train a student with a teacher: the float model or a larger one teaches a model that is trained from its own start.

This is the stage of a `distilled` variant that has no other training in it, and of a student of another architecture.
Where a variant is slimmed, pruned, clustered or trained with quantization anyway, the teacher teaches in those stages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from device_profiles import strictyaml
from device_profiles.errors import ModelError
from stages.context import StageContext
from stages.distillation import Distillation, Teacher
from stages.model import Settings as ModelSettings
from stages.models.files import copy_companions, load_model, save_model
from stages.models.framework import tensorflow_turn
from stages.models.inference import make_predictor
from stages.records import DistilResult
from stages.tasks.settings import TaskSettings
from stages.training import FitSettings, Lesson, fit, read_lesson, score_text, summarize

NAME = "distil"
VERSION = 1
LIBRARIES = ("tensorflow", "tf-keras", "numpy")


def _source(value: object) -> object:
    """A bare name or path is a model with nothing but a source."""
    return {"source": value} if isinstance(value, str) else strictyaml.with_tuples(value)


Named = Annotated[ModelSettings, BeforeValidator(_source)]


class Settings(FitSettings, Distillation):
    """What a user may set for `distilled` variants: who teaches whom, how, and the training of the student."""

    teacher: Named | None = Field(
        default=None, description="a larger model, as under model; one that comes untrained is trained first, as the "
                                  "float model is; unset: the float model")
    student: Named | None = Field(
        default=None, description="what distilled variants start from, as under model; unset: the run's own model")

    @field_validator("teacher", "student")
    @classmethod
    def _known(cls, value: ModelSettings | None) -> ModelSettings | None:
        try:
            origin = value.origin() if value else None
        except ModelError as error:
            raise strictyaml.refusal(error.found, error.allowed, error.next_step) from error
        if origin is not None and not origin.is_keras:
            raise strictyaml.refusal(f"{origin.text} holds no Keras model", "a name, a .keras or an .h5 file")
        return value

    def teaching(self) -> Distillation:
        """How the teacher teaches, for the stages that a teacher is given to."""
        return Distillation(**{name: getattr(self, name) for name in Distillation.model_fields})


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        task: what is to be predicted.
        seed: of the shuffling, the augmentation, the random layers and the projections of hints.
    """

    task: TaskSettings = TaskSettings()
    seed: int = 0


def run(*, model: Path, data: Path, teacher: Path, options: Options, context: StageContext) -> DistilResult:
    """Write the student as `model.keras`, with `preprocessing.json`.

    Args:
        model: an artifact with the student, a Keras model as it is to start.
        data: a prepare artifact.
        teacher: an artifact with the teacher, a trained Keras model.
        options: see `Options`.
        context: where to write.

    Raises:
        ModelError: a model cannot be read, the two do not fit the data or each other, or a hint names no layer.
        StageError: the loss is no longer a number.
    """
    lesson = read_lesson(data, options.task, teacher, options.teaching())
    with tensorflow_turn(options.seed, context.log):
        student = load_model(model)
        lesson.task.check_model(student, lesson.preprocessing)
        history = fit(student, lesson, options, options.seed, context)
        save_model(student, context.out)
        parameters = int(student.count_params())
        taught_by, loss, score = _look_at(Teacher(teacher, options.teaching()), lesson)
    copy_companions(model, context.out)
    name = lesson.task.score_name
    return DistilResult(
        summary=f"{summarize(history, len(lesson.validation.y))}; the teacher's {score_text(name, score, loss)}",
        history=history, parameters=parameters, teacher_parameters=taught_by, teacher_loss=loss, teacher_score=score)


def _look_at(teacher: Teacher, lesson: Lesson) -> tuple[int, float, float]:
    """(parameters, validation loss, validation score) of the teacher."""
    model = teacher.load(lesson.task, lesson.preprocessing)
    outputs = make_predictor(model).slices(lesson.validation.x)
    return (int(model.count_params()), *lesson.task.validate_parts(outputs, lesson.truth(lesson.validation)))
