"""One fit loop for every training here: train, prune, cluster, and quantization-aware.

An epoch is a pure function of the variables before it, the data, and (seed, epoch): shuffling, dropout and learning
rate follow from these. After each epoch the state is kept in `context.scratch`, so a process that is killed at any
moment goes on from its last whole epoch and ends with the same bytes as one that was not.

Batches run in a compiled loop of several steps a call: for models of this size the Python between two steps costs more
than the step.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError
from stages.context import StageContext
from stages.datasets.prepared import Preprocessing, Split, read_preprocessing, read_split
from stages.datasets.records import TRAIN, VALIDATION
from stages.distillation import Distillation, TaughtLoss, Teacher
from stages.fitting.batches import batches, sample_weights
from stages.fitting.objective import Objective, OwnLoss
from stages.fitting.randomness import seed_random_layers
from stages.fitting.settings import FitSettings, make_optimizer, rate_at, steps_per_epoch
from stages.fitting.statistics import renewing
from stages.models.arrays import as_mapping, tensor_specs
from stages.models.checkpoint import Arrays, Checkpoint, read_checkpoint, write_checkpoint
from stages.models.inference import Predictor, make_predictor
from stages.models.wrapped import name_outputs_plainly
from stages.records import History
from stages.tasks import Task, make_task
from stages.tasks.base import Truth, read_truth
from stages.tasks.settings import TaskSettings, score_number

__all__ = ["FitSettings", "Hooks", "Lesson", "best_text", "fit", "read_lesson", "score_text", "steps_per_epoch",
           "summarize"]

SCORED_SAMPLES = 1000
"""Training samples whose score is noted after an epoch, at most."""


@dataclass(frozen=True)
class Lesson:
    """What a model learns from: the splits, what is to be predicted, and a teacher where there is one."""

    train: Split
    validation: Split
    task: Task
    preprocessing: Preprocessing
    teacher: Teacher | None = None

    def truth(self, split: Split) -> Truth:
        """What a split's outputs are held against."""
        return read_truth(split, self.preprocessing)


def read_lesson(data: Path, task: TaskSettings, teacher: Path | None = None,
                distil: Distillation | None = None) -> Lesson:
    """The training and validation splits of a prepare artifact, and the teacher.

    Args:
        data: the artifact.
        task: what is to be predicted.
        teacher: an artifact with the Keras model that teaches, or None.
        distil: how it teaches; None: by the defaults.

    Raises:
        StoreError: the splits cannot be read.
        StageError: how to teach is said, but there is no teacher.
    """
    if teacher is None and distil is not None:
        raise StageError("there are settings of a distillation, but no teacher", "both or none",
                         "use a variant that begins with distilled-")
    taught = None if teacher is None else Teacher(teacher, distil or Distillation())
    return Lesson(read_split(data, TRAIN), read_split(data, VALIDATION), make_task(task), read_preprocessing(data),
                  taught)


@dataclass(frozen=True)
class Hooks:
    """What a technique adds to the loop.

    Attributes:
        after_epoch: called after the last step of an epoch, before validation.
        keep_from: the first epoch whose weights may be kept as the best (0-based): a model that is not yet as sparse as
            it must become does not count.
        after_step: part of the compiled step, after the optimizer's.
    """

    after_epoch: Callable[[], None] = lambda: None
    keep_from: int = 0
    after_step: Callable[[], None] = lambda: None


@dataclass
class _State:
    """Curves so far and the best epoch's weights."""

    loss: list[float] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_score: list[float] = field(default_factory=list)
    best_epoch: int = -1
    best: Arrays = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Whole epochs done."""
        return len(self.loss)

    def numbers(self) -> dict[str, Any]:
        """All but the weights."""
        return {name: value for name, value in vars(self).items() if name != "best"}

    def is_over(self, settings: FitSettings) -> bool:
        """Whether the training has run its course or stopped getting better."""
        return self.epochs >= settings.epochs or self.has_stalled(settings)

    def has_stalled(self, settings: FitSettings) -> bool:
        """Whether the best epoch lies more than `patience` back."""
        return 0 < settings.patience <= self.epochs - 1 - self.best_epoch and self.best_epoch >= 0

    def history(self, settings: FitSettings, score_name: str) -> History:
        """The curves as a record."""
        return History(score_name=score_name, loss=tuple(self.loss), score=tuple(self.score),
                       validation_loss=tuple(self.validation_loss), validation_score=tuple(self.validation_score),
                       best_epoch=self.best_epoch, stopped_early=self.epochs < settings.epochs)


def fit(model: Any, lesson: Lesson, settings: FitSettings, seed: int, context: StageContext,
        hooks: Hooks | None = None) -> History:
    """Train a model in place; it ends with the weights of its best epoch.

    Args:
        model: a `tf_keras.Model` whose outputs fit the task; wrappers of TFMOT are welcome.
        lesson: the training split to learn from, and the validation split that decides which epoch was best (lowest
            loss) and when to stop.
        settings: see `FitSettings`.
        seed: of shuffling, augmentation and random layers.
        context: `scratch` keeps the checkpoint; `progress` is told the step.
        hooks: what a technique adds.

    Raises:
        StageError: the loss is no longer a number, or a setting that the task or the samples do not know.
    """
    hooks = hooks or Hooks()
    name_outputs_plainly(model)
    objective = _objective(model, lesson, seed)
    optimizer = make_optimizer([*model.trainable_variables, *objective.variables], settings)
    kept = [*model.variables, *objective.variables]
    fingerprint = _fingerprint(kept, settings, seed, lesson)
    state = _resume(kept, optimizer, context, fingerprint)
    steps, predict = _compile_steps(model, optimizer, objective, lesson, hooks), make_predictor(model)
    weights, renew = sample_weights(lesson.train.y, settings), renewing(model, lesson.train, settings, seed)
    while not state.is_over(settings):
        epoch = state.epochs
        seed_random_layers(model, seed, epoch)
        optimizer.learning_rate.assign(rate_at(settings, epoch))
        loss = _run_epoch(steps, lesson, weights, settings, seed, epoch, context, state)
        hooks.after_epoch()
        renew(epoch)
        _note_epoch(state, model, predict, lesson, loss, hooks)
        write_checkpoint(context.scratch, Checkpoint(
            fingerprint, state.numbers(), _values(kept), _values(optimizer.variables), state.best))
    _assign(model.variables, state.best)
    return state.history(settings, lesson.task.score_name)


def _objective(model: Any, lesson: Lesson, seed: int) -> Objective:
    """What is minimised: the task's loss, and the teacher's where there is one."""
    dtype = lesson.train.x.dtype
    if lesson.teacher is None:
        return OwnLoss(model, lesson.task, dtype)
    teacher = lesson.teacher.load(lesson.task, lesson.preprocessing)
    return TaughtLoss(model, teacher, lesson.task, dtype, lesson.teacher.settings, seed)


def _compile_steps(model: Any, optimizer: Any, objective: Objective, lesson: Lesson, hooks: Hooks) -> Any:
    """A compiled function over several batches: the sum of the batches' mean losses."""
    import tensorflow as tf

    def step(x: Any, y: Any, weight: Any) -> Any:
        """One gradient step on one batch."""
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(objective(x, y) * weight)
            total = tf.add_n([loss, *objective.model.losses])
        variables = [*model.trainable_variables, *objective.variables]
        gradients = tape.gradient(total, variables)
        # cluster-preserving training assigns kernels from centroids: they have no gradient of their own
        optimizer.apply_gradients([pair for pair in zip(gradients, variables, strict=True) if pair[0] is not None])
        hooks.after_step()
        return loss

    def steps(x: Any, y: Any, weight: Any) -> Any:
        """All batches in turn.  # x (steps, batch, *shape), y (steps, batch, ...), weight (steps, batch)."""
        losses = tf.zeros(())
        for i in tf.range(tf.shape(weight)[0]):
            losses += step(tf.nest.map_structure(lambda part, i=i: part[i], x),
                           tf.nest.map_structure(lambda part, i=i: part[i], y), weight[i])
        return losses

    return tf.function(steps, input_signature=[
        tensor_specs(lesson.train.x, 2), tensor_specs(lesson.train.y, 2), tf.TensorSpec((None, None), tf.float32)])


def _run_epoch(steps: Any, lesson: Lesson, weights: NDArray[np.float32], settings: FitSettings, seed: int, epoch: int,
               context: StageContext, state: _State) -> float:
    """One pass over the training split: the mean loss."""
    losses, count, samples = 0.0, 0, len(lesson.train.y)
    total = settings.epochs * steps_per_epoch(samples, settings)
    done = epoch * steps_per_epoch(samples, settings)
    shown = f"epoch {epoch + 1}/{settings.epochs}"
    if state.epochs:
        shown += ", validation " + score_text(
            lesson.task.score_name, state.validation_score[-1], state.validation_loss[-1])
    for x, y, weight in batches(lesson.train, weights, settings, seed, epoch):
        losses += float(steps(as_mapping(x), as_mapping(y), weight))
        count += len(weight)
        context.progress(done + count, total, shown)
    if not math.isfinite(losses):
        raise StageError(f"the training loss is no longer a number in epoch {epoch + 1}", "a finite loss",
                         f"lower learning_rate (it is {settings.learning_rate:g})")
    return losses / count


def score_text(name: str, score: float, loss: float) -> str:
    """A validation score for people: "accuracy 98.3 %"; the loss where the score is not defined on the split."""
    return f"loss {loss:.4g}" if math.isnan(score) else f"{name} {score_number(name, score)}"


def best_text(history: History) -> str:
    """The best epoch's validation score for people."""
    best = history.best_epoch
    return score_text(history.score_name, history.validation_score[best], history.validation_loss[best])


def summarize(history: History, validation_samples: int) -> str:
    """One line for people."""
    stopped = ", stopped early" if history.stopped_early else ""
    return (f"{best_text(history)} on {validation_samples} validation samples, "
            f"best of {len(history.loss)} epochs: {history.best_epoch + 1}{stopped}")


def _note_epoch(state: _State, model: Any, predict: Predictor, lesson: Lesson, trained: float, hooks: Hooks) -> None:
    """Validate, extend the curves, and keep the weights where they are the best so far."""
    validation, some = lesson.validation, slice(0, min(SCORED_SAMPLES, len(lesson.train.y)))
    loss, score = lesson.task.validate_parts(predict.slices(validation.x), lesson.truth(validation))
    trained_on = lesson.train.part(some)
    _, train_score = lesson.task.validate_parts(predict.slices(trained_on.x), lesson.truth(trained_on))
    epoch = state.epochs
    for curve, value in ((state.loss, trained), (state.score, train_score), (state.validation_loss, loss),
                         (state.validation_score, score)):
        curve.append(value)
    if epoch >= hooks.keep_from and (state.best_epoch < 0 or loss < state.validation_loss[state.best_epoch]):
        state.best_epoch, state.best = epoch, _values(model.variables)


def _fingerprint(kept: list[Any], settings: FitSettings, seed: int, lesson: Lesson) -> str:
    """What two trainings must share for one to go on from the other's checkpoint."""
    shapes = [(variable.shape.as_list(), variable.dtype.name) for variable in kept]
    text = f"{settings.model_dump_json()} {seed} {lesson.train.x.shape} {shapes}"
    if lesson.teacher is not None:
        text += f" {lesson.teacher.fingerprint()}"
    return hashlib.sha256(text.encode()).hexdigest()


def _resume(kept: list[Any], optimizer: Any, context: StageContext, fingerprint: str) -> _State:
    """Go on from the checkpoint in `scratch`, where there is a whole one of this training."""
    checkpoint = read_checkpoint(context.scratch, fingerprint)
    if checkpoint is None:
        return _State()
    _assign(kept, checkpoint.model)
    _assign(optimizer.variables, checkpoint.optimizer)
    return _State(**checkpoint.state, best=checkpoint.best)


def _values(variables: list[Any]) -> Arrays:
    return [variable.numpy() for variable in variables]


def _assign(variables: list[Any], values: Arrays) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
