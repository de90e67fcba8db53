"""Proof that a narrower model is the original without its removed channels, and nothing else.

The original is run call by call, and after each call the removed channels of its output are set to zero. The narrower
model's tensors must then be what is left of these. Both are float32, and sums of fewer terms round differently, so
differences are held against the larger of 1 and the tensor's own largest absolute value.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError
from stages.slimming.branches import Reference
from stages.slimming.labels import Channels
from stages.slimming.rebuild import Removed
from stages.slimming.trace import Trace, calls

MOST_DIFFERENCE = 1e-5
Array = NDArray[Any]


def prove(model: Any, narrow: Any, trace: Trace, removed: Removed, inputs: Any) -> float:
    """Largest difference of any output.

    Args:
        model: the original.
        narrow: the model that was made of it.
        trace: of the original.
        removed: what went.
        inputs: samples as the model is called with them.

    Raises:
        StageError: an output differs by more than `MOST_DIFFERENCE`; names the first layer that does.
    """
    wide, found = run(model, inputs, trace, removed), run(narrow, inputs)
    last = {name: number for name, number, _ in _outputs(model)}
    differences = {key: _difference(_left(value, trace, removed, key), found[key]) for key, value in wide.items()}
    worst = max(differences[key] for key in _outputs(model))
    if not worst <= MOST_DIFFERENCE:
        name, by = next((key[0], by) for key, by in differences.items() if not by <= MOST_DIFFERENCE)
        raise StageError(f"the slimmed model computes something else: '{name}' differs by {by:.1e} of its scale, and "
                         f"the output '{next(iter(last))}' by {worst:.1e}", f"at most {MOST_DIFFERENCE:g}",
                         f"protect '{name}' with slim.protect")
    return worst


def prove_without(model: Any, left: Any, addends: Collection[Reference], inputs: Any) -> float:
    """Largest difference of any output between a model whose branches are zero and the one without them.

    Args:
        model: the original.
        left: the model without the branches.
        addends: what each branch adds.
        inputs: samples as the model is called with them.

    Raises:
        StageError: an output differs by more than `MOST_DIFFERENCE`.
    """
    whole, found = run(model, inputs, zeroed=frozenset(addends)), run(left, inputs)
    worst = max(_difference(whole[one], found[other])
                for one, other in zip(_outputs(model), _outputs(left), strict=True))
    if not worst <= MOST_DIFFERENCE:
        raise StageError(f"the model without its branches computes something else: an output differs by {worst:.1e}",
                         f"at most {MOST_DIFFERENCE:g}", "set slim.branches to false")
    return worst


def run(model: Any, inputs: Any, trace: Trace | None = None, removed: Removed | None = None,
        training: frozenset[str] = frozenset(),
        zeroed: frozenset[Reference] = frozenset()) -> dict[tuple[str, int, int], Array]:
    """What every call gives, in inference, by (layer, call, output).

    Args:
        model: a functional or Sequential `tf_keras.Model`; its layers are called as they are.
        inputs: samples as the model is called with them.
        trace: with `removed`, sets the removed channels of every output to zero.
        removed: what goes.
        training: layers that are called in training mode.
        zeroed: outputs of calls that are set to zero.
    """
    import tensorflow as tf

    given = [tf.cast(value, tensor.dtype) for value, tensor in
             zip(_ordered(model, inputs), model.inputs, strict=True)]
    known = {id(tensor): value for tensor, value in zip(model.inputs, given, strict=True)}
    found = {}
    for number, node in calls(model):
        outputs = tf.nest.flatten(node.outputs)
        if node.is_input:
            values = [known[id(outputs[0])]]
        else:
            args, kwargs = tf.nest.map_structure(lambda value: known.get(id(value), value),
                                                 (node.call_args, node.call_kwargs))
            if node.layer.name in training:
                kwargs = kwargs | {"training": True}
            values = tf.nest.flatten(node.layer(*args, **kwargs))
        for place, (tensor, value) in enumerate(zip(outputs, values, strict=True)):
            key = (node.layer.name, number, place)
            value = value if trace is None or removed is None else _masked(value, trace, removed, key)
            value = tf.zeros_like(value) if key in zeroed else value
            known[id(tensor)], found[key] = value, value.numpy()
    return found


def _ordered(model: Any, inputs: Any) -> list[Any]:
    """The samples in the order of the model's inputs."""
    if isinstance(inputs, dict):
        return [inputs[name] for name in model.input_names]
    return list(inputs) if isinstance(inputs, list | tuple) else [inputs]


def _masked(value: Any, trace: Trace, removed: Removed, key: tuple[str, int, int]) -> Any:
    """A tensor with its removed channels set to zero."""
    import tensorflow as tf

    flow = trace.flows[key]
    if not isinstance(flow, Channels):
        return value
    mask = np.ones(len(flow.labels), np.float32)
    mask[removed.gone(flow.labels)] = 0
    shape = [1] * (len(value.shape) - 1)
    shape[flow.axis] = -1
    # not a product: what a removed channel holds may be infinite
    return tf.where(tf.reshape(tf.constant(mask > 0), [1, *shape]), value, tf.zeros_like(value))


def _left(value: Array, trace: Trace, removed: Removed, key: tuple[str, int, int]) -> Array:
    """A tensor without its removed channels."""
    flow = trace.flows[key]
    return np.take(value, removed.kept(flow.labels), axis=flow.axis + 1) if isinstance(flow, Channels) else value


def _outputs(model: Any) -> list[tuple[str, int, int]]:
    """Keys of the model's outputs."""
    import tensorflow as tf

    places = {id(tensor): (node.layer.name, number, place) for number, node in calls(model)
              for place, tensor in enumerate(tf.nest.flatten(node.outputs))}
    return [places[id(tensor)] for tensor in model.outputs]


def _difference(one: Array, other: Array) -> float:
    """Largest difference over the larger of 1 and the largest absolute value; infinite for other shapes."""
    if one.shape != other.shape:
        return float("inf")
    if not one.size:
        return 0.0
    return float(np.abs(one.astype(np.float64) - other).max() / max(1.0, float(np.abs(one).max())))
