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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from device_profiles.errors import StageError
from device_profiles.records import Record
from stages.context import StageContext
from stages.datasets.prepared import Split
from stages.models.checkpoint import Arrays, Checkpoint, read_checkpoint, write_checkpoint
from stages.models.inference import Predictor, make_predictor
from stages.records import History

STEPS_PER_CALL = 16
_SMALLEST = 1e-7  # Keras clips probabilities here before taking the logarithm

Batches = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]


class FitSettings(Record):
    """What a user may set for a training."""

    epochs: int = Field(default=30, ge=1, description="most epochs to train")
    batch_size: int = Field(default=64, ge=1, description="samples a step")
    learning_rate: float = Field(default=3e-3, gt=0, description="of Adam, at the start")
    schedule: Literal["cosine", "constant"] = Field(default="cosine", description="how the learning rate falls")
    patience: int = Field(default=10, ge=0, description="epochs without a better validation loss to wait; 0: no end")
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced: a class counts the more the rarer it is")


@dataclass(frozen=True)
class Hooks:
    """What a technique adds to the loop.

    Attributes:
        after_epoch: called after the last step of an epoch, before validation.
        keep_from: the first epoch whose weights may be kept as the best (0-based): a model that is not yet as sparse as
            it must become does not count.
    """

    after_epoch: Callable[[], None] = lambda: None
    keep_from: int = 0


@dataclass
class _State:
    """Curves so far and the best epoch's weights."""

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
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

    def history(self, settings: FitSettings) -> History:
        """The curves as a record."""
        return History(loss=tuple(self.loss), accuracy=tuple(self.accuracy),
                       validation_loss=tuple(self.validation_loss),
                       validation_accuracy=tuple(self.validation_accuracy), best_epoch=self.best_epoch,
                       stopped_early=self.epochs < settings.epochs)


def fit(model: Any, train: Split, validation: Split, settings: FitSettings, seed: int, context: StageContext,
        hooks: Hooks | None = None) -> History:
    """Train a model in place; it ends with the weights of its best epoch.

    Args:
        model: a `tf_keras.Model` with a softmax output; wrappers of TFMOT are welcome.
        train: the split to learn from.
        validation: the split that decides which epoch was best (lowest log loss) and when to stop.
        settings: see `FitSettings`.
        seed: of shuffling and of random layers.
        context: `scratch` keeps the checkpoint; `progress` is told the step.
        hooks: what a technique adds.

    Raises:
        StageError: the loss is no longer a number.
    """
    hooks = hooks or Hooks()
    optimizer = _make_optimizer(model, settings)
    fingerprint = _fingerprint(model, settings, seed, train)
    state = _resume(model, optimizer, context, fingerprint)
    steps, predict = _compile_steps(model, optimizer), make_predictor(model)
    weights = _sample_weights(train.y, settings)
    while not state.is_over(settings):
        epoch = state.epochs
        _set_random_state(model, seed, epoch)
        optimizer.learning_rate.assign(_rate_at(settings, epoch))
        loss, accuracy = _run_epoch(steps, train, weights, settings, seed, epoch, context, state)
        hooks.after_epoch()
        _note_epoch(state, model, predict, validation, (loss, accuracy), hooks)
        write_checkpoint(context.scratch, Checkpoint(
            fingerprint, state.numbers(), _values(model.variables), _values(optimizer.variables), state.best))
    _assign(model.variables, state.best)
    return state.history(settings)


def _make_optimizer(model: Any, settings: FitSettings) -> Any:
    """Adam with its variables made, so that a checkpoint can be set into them."""
    import tf_keras as keras

    optimizer = keras.optimizers.Adam(settings.learning_rate)
    optimizer.build(model.trainable_variables)
    return optimizer


def _compile_steps(model: Any, optimizer: Any) -> Any:
    """A compiled function over several batches: (sum of the batches' mean losses, right answers)."""
    import tensorflow as tf
    import tf_keras as keras

    entropy = keras.losses.SparseCategoricalCrossentropy(reduction="none")
    shape = model.input_shape[1:]

    def step(x: Any, y: Any, weight: Any) -> tuple[Any, Any]:
        """One gradient step on one batch."""
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            loss = tf.reduce_mean(entropy(y, outputs) * weight)
            total = tf.add_n([loss, *model.losses])
        variables = model.trainable_variables
        gradients = tape.gradient(total, variables)
        # cluster-preserving training assigns kernels from centroids: they have no gradient of their own
        optimizer.apply_gradients([pair for pair in zip(gradients, variables, strict=True) if pair[0] is not None])
        return loss, tf.reduce_sum(tf.cast(tf.argmax(outputs, -1) == y, tf.int64))

    def steps(x: Any, y: Any, weight: Any) -> tuple[Any, Any]:
        """All batches in turn.  # x (steps, batch, height, width, channels), y and weight (steps, batch)."""
        losses, right = tf.zeros(()), tf.zeros((), tf.int64)
        for i in tf.range(tf.shape(x)[0]):
            loss, hits = step(x[i], y[i], weight[i])
            losses, right = losses + loss, right + hits
        return losses, right

    return tf.function(steps, input_signature=[
        tf.TensorSpec((None, None, *shape), tf.float32), tf.TensorSpec((None, None), tf.int64),
        tf.TensorSpec((None, None), tf.float32)])


def _run_epoch(steps: Any, train: Split, weights: NDArray[np.float32], settings: FitSettings, seed: int, epoch: int,
               context: StageContext, state: _State) -> tuple[float, float]:
    """One pass over the training split: mean loss and accuracy."""
    losses, right, count, samples = 0.0, 0, 0, 0
    total = settings.epochs * steps_per_epoch(len(train.y), settings)
    done = epoch * steps_per_epoch(len(train.y), settings)
    shown = f"epoch {epoch + 1}/{settings.epochs}"
    if state.epochs:
        shown += f", validation accuracy {100 * state.validation_accuracy[-1]:.1f} %"
    for x, y, weight in _batches(train, weights, settings, seed, epoch):
        loss, hits = steps(x, y, weight)
        losses, right = losses + float(loss), right + int(hits)
        count, samples = count + len(y), samples + y.size
        context.progress(done + count, total, shown)
    if not math.isfinite(losses):
        raise StageError(f"the training loss is no longer a number in epoch {epoch + 1}", "a finite loss",
                         f"lower learning_rate (it is {settings.learning_rate:g})")
    return losses / count, right / samples


def steps_per_epoch(samples: int, settings: FitSettings) -> int:
    """Whole batches in an epoch; which samples are left over changes with each epoch's shuffle."""
    return max(1, samples // settings.batch_size)


def _batches(train: Split, weights: NDArray[np.float32], settings: FitSettings, seed: int,
             epoch: int) -> Iterator[Batches]:
    """The epoch's batches, several at a time.  # x (steps, batch, height, width, channels)."""
    count, size = steps_per_epoch(len(train.y), settings), min(settings.batch_size, len(train.y))
    order = np.random.default_rng((seed, epoch)).permutation(len(train.y))[:count * size].reshape(count, size)
    for start in range(0, count, STEPS_PER_CALL):
        rows = order[start:start + STEPS_PER_CALL]
        yield train.x[rows], train.y[rows], weights[rows]


def _sample_weights(y: NDArray[np.int64], settings: FitSettings) -> NDArray[np.float32]:
    """A weight for each sample, 1 on average; "balanced" gives each class the same total: n / (classes * n_class)."""
    if settings.class_weights == "none":
        return np.ones(len(y), np.float32)
    counts = np.bincount(y)
    return (len(y) / (np.count_nonzero(counts) * counts[y])).astype(np.float32)


def _rate_at(settings: FitSettings, epoch: int) -> float:
    """Learning rate of an epoch; the cosine falls from `learning_rate` towards 0 over all epochs."""
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / settings.epochs))


def _set_random_state(model: Any, seed: int, epoch: int) -> None:
    """Start the random numbers of every random layer (dropout, noise) from (seed, epoch, its place in the model)."""
    for place, layer in enumerate(model._flatten_layers()):
        generator = getattr(getattr(layer, "_random_generator", None), "_generator", None)
        if generator is not None:
            generator.reset_from_seed(int(np.random.default_rng((seed, epoch, place)).integers(2**31)))


def _note_epoch(state: _State, model: Any, predict: Predictor, validation: Split, trained: tuple[float, float],
                hooks: Hooks) -> None:
    """Validate, extend the curves, and keep the weights where they are the best so far."""
    outputs = predict(validation.x)  # (samples, classes)
    chosen = outputs[np.arange(len(validation.y)), validation.y].astype(np.float64)
    loss = float(-np.log(np.clip(chosen, _SMALLEST, 1)).mean())
    accuracy = float((outputs.argmax(axis=1) == validation.y).mean())
    epoch = state.epochs
    for curve, value in ((state.loss, trained[0]), (state.accuracy, trained[1]), (state.validation_loss, loss),
                         (state.validation_accuracy, accuracy)):
        curve.append(value)
    if epoch >= hooks.keep_from and (state.best_epoch < 0 or loss < state.validation_loss[state.best_epoch]):
        state.best_epoch, state.best = epoch, _values(model.variables)


def _fingerprint(model: Any, settings: FitSettings, seed: int, train: Split) -> str:
    """What two trainings must share for one to go on from the other's checkpoint."""
    shapes = [(variable.shape.as_list(), variable.dtype.name) for variable in model.variables]
    text = f"{settings.model_dump_json()} {seed} {train.x.shape} {shapes}"
    return hashlib.sha256(text.encode()).hexdigest()


def _resume(model: Any, optimizer: Any, context: StageContext, fingerprint: str) -> _State:
    """Go on from the checkpoint in `scratch`, where there is a whole one of this training."""
    checkpoint = read_checkpoint(context.scratch, fingerprint)
    if checkpoint is None:
        return _State()
    _assign(model.variables, checkpoint.model)
    _assign(optimizer.variables, checkpoint.optimizer)
    return _State(**checkpoint.state, best=checkpoint.best)


def _values(variables: list[Any]) -> Arrays:
    return [variable.numpy() for variable in variables]


def _assign(variables: list[Any], values: Arrays) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
