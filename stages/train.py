"""Train the float model: all at once, or first the head on a frozen backbone and then everything at a lower rate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import Field

from device_profiles.errors import ModelError, StageError, with_near_miss
from stages.context import StageContext
from stages.models.applications import is_backbone
from stages.models.files import copy_companions, load_model, save_model
from stages.models.framework import tensorflow_turn
from stages.records import History, TrainResult
from stages.tasks.settings import TaskSettings
from stages.training import FitSettings, Lesson, fit, read_lesson, summarize

NAME = "train"
VERSION = 2
LIBRARIES = ("tensorflow", "tf-keras", "numpy")


class Settings(FitSettings):
    """What a user may set for the training of the float model."""

    frozen_epochs: int = Field(
        default=0, ge=0, description="epochs in which the backbone stands still, before the others")
    freeze: tuple[str, ...] = Field(
        default=(), description="layers of the backbone, by name or pattern (block*); empty: all of an application but "
                                "its head")
    frozen_learning_rate: float = Field(default=1e-3, gt=0, description="of Adam, at the start of the frozen epochs")


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        task: what is to be predicted.
        seed: of the shuffling, the augmentation and the random layers.
    """

    task: TaskSettings = TaskSettings()
    seed: int = 0


def run(*, model: Path, data: Path, options: Options, context: StageContext) -> TrainResult:
    """Write `model.keras` and `preprocessing.json`.

    Args:
        model: a model artifact with a Keras model.
        data: a prepare artifact.
        options: see `Options`.
        context: where to write.

    Raises:
        ModelError: the model cannot be read, or has no layers of the names to freeze.
        StageError: the loss is no longer a number.
    """
    lesson = read_lesson(data, options.task)
    with tensorflow_turn(options.seed, context.log):
        keras_model = load_model(model)
        histories = []
        if options.frozen_epochs:
            histories.append(_fit_head(keras_model, lesson, options, context))
        histories.append(fit(keras_model, lesson, options, options.seed, context))
        save_model(keras_model, context.out)
        parameters = int(keras_model.count_params())
    copy_companions(model, context.out)
    history = _joined(histories)
    return TrainResult(summary=summarize(history, len(lesson.validation.y)), history=history, parameters=parameters)


def _fit_head(model: Any, lesson: Lesson, options: Options, context: StageContext) -> History:
    """The frozen epochs, with a checkpoint of their own."""
    changes = {"epochs": options.frozen_epochs, "learning_rate": options.frozen_learning_rate}
    settings = options.model_copy(update=changes)
    scratch = context.scratch / "frozen"
    scratch.mkdir(exist_ok=True)
    with _standing_still(backbone_of(model, options.freeze)):
        return fit(model, lesson, settings, options.seed, replace(context, scratch=scratch))


def backbone_of(model: Any, patterns: tuple[str, ...]) -> list[Any]:
    """Layers that stand still while the head learns.

    Args:
        model: a `tf_keras.Model`.
        patterns: names or shell patterns; without any, every layer that an application has below its head.

    Raises:
        ModelError: a pattern that no layer matches, or nothing would be left to train, or nothing to freeze.
    """
    names = [layer.name for layer in model.layers]
    _check_patterns(patterns, names)
    frozen = [layer for layer in model.layers if _is_frozen(layer.name, patterns)]
    held = {id(layer) for layer in frozen}
    if not any(layer.trainable_weights for layer in model.layers if id(layer) not in held):
        raise StageError("train.freeze leaves nothing to train", "at least one layer with weights outside of it",
                         "shorten train.freeze")
    return frozen


def _is_frozen(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a layer stands still."""
    return any(fnmatchcase(name, pattern) for pattern in patterns) if patterns else is_backbone(name)


def _check_patterns(patterns: tuple[str, ...], names: list[str]) -> None:
    """Refuse patterns that match nothing, and none at all for a model that has no head of its own."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ModelError(with_near_miss(f"train.freeze names '{pattern}', which no layer matches", pattern, names),
                             ", ".join(names), "set train.freeze in the run file")
    if not patterns and all(is_backbone(name) for name in names):
        raise ModelError("train.frozen_epochs asks for a frozen backbone, but the model has no head of its own: no "
                         "layer is called head_*", "layers or patterns in train.freeze",
                         "set train.freeze, or train.frozen_epochs to 0")


@contextmanager
def _standing_still(layers: list[Any]) -> Iterator[None]:
    """Layers that do not learn, and whose batch normalization does not follow the batches; put back at the end."""
    before = [(layer, layer.trainable) for layer in layers]
    for layer in layers:
        layer.trainable = False
    try:
        yield
    finally:
        for layer, trainable in before:
            layer.trainable = trainable


def _joined(histories: list[History]) -> History:
    """The phases' curves one after the other; the best epoch is the last phase's."""
    *before, last = histories
    offset = sum(len(history.loss) for history in before)
    curves = {name: tuple(value for history in histories for value in getattr(history, name))
              for name in ("loss", "score", "validation_loss", "validation_score")}
    return History(score_name=last.score_name, best_epoch=offset + last.best_epoch, stopped_early=last.stopped_early,
                   **curves)
