"""What a class of channels is worth. Only comparisons count; every measure is 1 on average or in units of the loss.

    magnitude   L2 norm of what the kernels of the group hold for the channel, over that kernel's mean; mean of all
                (H. Li and others, 2017, arXiv:1608.08710; whole groups: G. Fang and others, 2023, arXiv:2301.12900)
    bn          |gamma| of batch normalization over the mean of all gammas; mean of the group; magnitude without one
                (Z. Liu and others, 2017, arXiv:1708.06519)
    taylor      | sum of weight * gradient | over all kernel places that read the channel, mean over batches: the loss'
                change to first order if what is read were zero (P. Molchanov and others, 2019, arXiv:1906.10771)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stages.models.arrays import as_mapping, given_inputs, named_outputs
from stages.slimming.ledger import Cut
from stages.slimming.trace import Trace
from stages.training import Lesson

Importance = Literal["taylor", "magnitude", "bn"]
Scores = NDArray[np.float64]
"""(labels,), to be read at the label that stands for a class."""
TAYLOR_BATCH = 16
_NORMS = ("BatchNormalization", "SyncBatchNormalization")


def measure(kind: Importance, model: Any, trace: Trace, lesson: Lesson, samples: int, seed: int) -> Scores:
    """The worth of every class of channels.

    Args:
        kind: which measure.
        model: the model that was traced.
        trace: of it.
        lesson: for `taylor`, gives samples and loss.
        samples: for `taylor`, training samples at most.
        seed: which ones.
    """
    if kind == "taylor":
        return taylor(model, trace, lesson, samples, seed)
    worth = magnitude(model, trace)
    return worth if kind == "magnitude" else scales(model, trace, worth)


def magnitude(model: Any, trace: Trace) -> Scores:
    """See above. Kernels that make a channel, and those that read it."""
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    mean = _Mean(trace)
    for cut in trace.ledger.cuts:
        kernel = weights[cut.layer][cut.weight]
        if cut.role != "follows" and kernel.ndim > 1:
            norms = np.sqrt(np.square(kernel, dtype=np.float64).sum(axis=_others(kernel.ndim, cut.axis)))
            mean.add(cut, norms / max(float(norms.mean()), np.finfo(np.float64).tiny))
    return mean.result(np.zeros(len(trace.ledger.labels)))


def scales(model: Any, trace: Trace, otherwise: Scores) -> Scores:
    """See above.

    Args:
        model: the model that was traced.
        trace: of it.
        otherwise: for channels that no batch normalization scales.
    """
    layers = {layer.name: layer for layer in model.layers}
    found = []
    for cut in trace.ledger.cuts:
        layer = layers[cut.layer]
        if type(layer).__name__ in _NORMS and layer.weights[cut.weight] is layer.gamma:
            found.append((cut, np.abs(layer.gamma.numpy().astype(np.float64))))
    whole = np.concatenate([gamma for _, gamma in found]).mean() if found else 0.0
    mean = _Mean(trace)
    for cut, gamma in found:
        mean.add(cut, gamma / max(float(whole), np.finfo(np.float64).tiny))
    return mean.result(otherwise)


def taylor(model: Any, trace: Trace, lesson: Lesson, samples: int, seed: int) -> Scores:
    """See above. Batches are small: over large ones the gradients of a trained model cancel out."""
    import tensorflow as tf

    layers = {layer.name: layer for layer in model.layers}
    cuts = [cut for cut in trace.ledger.cuts if cut.role == "reads"]
    variables = [layers[cut.layer].weights[cut.weight] for cut in cuts]
    loss_of, given = lesson.task.make_loss(model), given_inputs(model, lesson.train.x.dtype)

    def products(x: Any, y: Any) -> list[Any]:
        """Weight times gradient, summed over all axes but the one that reads channels."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for variable in variables:
                tape.watch(variable)
            loss = tf.reduce_mean(loss_of(x, y, named_outputs(model, model(given(x), training=False))))
        gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.reduce_sum(tf.convert_to_tensor(variable) * tf.convert_to_tensor(gradient),
                              _others(len(variable.shape), cut.axis))
                for cut, variable, gradient in zip(cuts, variables, gradients, strict=True)]

    compiled = tf.function(products)
    places = [trace.ledger.labels.roots(cut.labels) for cut in cuts]
    total, batches = np.zeros(len(trace.ledger.labels)), 0
    for x, y in _batches(lesson, samples, seed):
        change = np.zeros(len(total))
        for roots, values in zip(places, compiled(as_mapping(x), as_mapping(y)), strict=True):
            np.add.at(change, roots, values.numpy())
        total += np.abs(change)
        batches += 1
    return total / batches


def _batches(lesson: Lesson, samples: int, seed: int) -> Iterator[tuple[Any, Any]]:
    """Some of the training samples, drawn by the seed, in batches of one size."""
    train = lesson.train
    rows = np.random.default_rng(seed).permutation(len(train.y))[:samples]
    size = min(TAYLOR_BATCH, len(rows))
    for start in range(0, len(rows) - size + 1, size):
        part = np.sort(rows[start:start + size])
        yield train.x[part], train.y[part]


def _others(rank: int, axis: int) -> tuple[int, ...]:
    """All axes but one."""
    return tuple(each for each in range(rank) if each != axis)


class _Mean:
    """The mean over all places that belong to a class."""

    def __init__(self, trace: Trace) -> None:
        self._labels = trace.ledger.labels
        self._sum, self._count = np.zeros(len(self._labels)), np.zeros(len(self._labels))

    def add(self, cut: Cut, values: NDArray[np.float64]) -> None:
        """One value for each place of a weight's axis."""
        roots = self._labels.roots(cut.labels)
        np.add.at(self._sum, roots, values)
        np.add.at(self._count, roots, 1)

    def result(self, otherwise: Scores) -> Scores:
        """The means; `otherwise` for classes of which nothing was added."""
        return np.where(self._count > 0, self._sum / np.maximum(self._count, 1), otherwise)
