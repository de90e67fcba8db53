"""A Keras model applied to many samples, in batches, compiled once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.models.arrays import as_mapping, given_inputs
from stages.tasks.matching import model_outputs, structured

BATCH = 256
BATCH_BYTES = 32 << 20
"""A batch of large samples is smaller than `BATCH`."""

Array = NDArray[Any]


class Predictor:
    """A function from samples to outputs that follows the model's weights as they change.

    Samples are (samples, *shape) float32, or for several inputs a structured array (or `Rows` of one) with a field
    for each; outputs likewise. Samples are read a batch at a time.
    """

    def __init__(self, model: Any, outputs: Sequence[str] = ()) -> None:
        """Compile the model.

        Args:
            model: a `tf_keras.Model`, functional or sequential.
            outputs: for a model with several outputs, the order of the fields; none: the model's own.
        """
        self._model = model
        self._outputs = model_outputs(model)
        self._order = tuple(outputs) or tuple(self._outputs)
        self._forward = _compiled(model)

    def __call__(self, x: Any) -> Array:
        """Outputs of all samples."""
        return np.concatenate([*self.slices(x)]) if len(x) else self._packed(
            [np.empty((0, *(size or 0 for size in shape)), np.float32) for shape in self._outputs.values()])

    def slices(self, x: Any) -> Iterator[Array]:
        """Outputs of consecutive samples, a batch at a time."""
        row_bytes = int(x.dtype.itemsize * np.prod(x.shape[1:], dtype=np.int64))
        size = max(1, min(BATCH, BATCH_BYTES // max(1, row_bytes)))
        inputs = given_inputs(self._model, x.dtype)
        for start in range(0, len(x), size):
            given = inputs(as_mapping(x[start:start + size]))
            parts = self._forward(*(given if isinstance(given, list) else [given]))
            yield self._packed([part.numpy() for part in parts])

    def _packed(self, parts: Sequence[Array]) -> Array:
        """The model's outputs as one array."""
        if len(parts) == 1:
            return parts[0]
        named: Mapping[str, Array] = dict(zip(self._outputs, parts, strict=True))
        return structured({name: named[name] for name in self._order})


def make_predictor(model: Any, outputs: Sequence[str] = ()) -> Predictor:
    """See `Predictor`."""
    return Predictor(model, outputs)


def _compiled(model: Any) -> Any:
    """A TensorFlow function from the model's inputs, in order, to its outputs, in order."""
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *tensor.shape[1:]), tf.float32) for tensor in model.inputs]

    def forward(*inputs: Any) -> Any:
        """One batch."""
        return tf.nest.flatten(model(list(inputs) if len(inputs) > 1 else inputs[0], training=False))

    return tf.function(forward, input_signature=signature)
