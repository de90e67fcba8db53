"""Proof that a Keras 3 model and its Keras 2 twin compute the same, and the search for the layer that does not.

For each output, `|a - b| <= 1e-5 * max(1, largest |a|)`: absolute for outputs within -1 and 1, such as probabilities,
and relative to the output's own scale for larger ones, such as logits of 50 (float32 has 24 bits: 6e-8 of a value).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import ModelError
from stages.models.bridge.assembly import trace
from stages.models.bridge.graph import Step, Walk, functional_of, names_of
from stages.models.bridge.records import FUSED_TOLERANCE, TOLERANCE, Proof

BATCH = 16
Array = NDArray[Any]


@dataclass(frozen=True)
class _Difference:
    """Two values of one tensor: the largest absolute difference, and the largest absolute value in Keras 3."""

    largest: float
    scale: float

    @property
    def excess(self) -> float:
        """Above 1 where the tolerance is exceeded."""
        return self.largest / (TOLERANCE * max(1.0, self.scale))


def prove(model3: Any, model2: Any, samples: Array | Mapping[str, Array]) -> Proof:
    """Send the same samples through both models in inference mode.

    In a deep network the last bits that Keras 2's fused batch normalization rounds in another way can grow beyond the
    bound. So where the twin exceeds it, it is computed once more with the same normalization by its plain formula, as
    Keras 3 has it; a layer that computes something else shows there, too. With the fused kernels the twin must then
    still keep `1e-3 * max(1, scale)`.

    A Keras 3 model with a mixed or half precision policy is computed in float32 for the proof, as its twin is; its
    policies are put back.

    Args:
        model3: the `keras.Model` of Keras 3.
        model2: its twin, a `tf_keras.Model`, fresh from `bridge` or read back from a file.
        samples: (samples, *input_shape), or by input name.

    Returns:
        The largest difference, of the output that comes nearest to its bound `1e-5 * max(1, scale)`.

    Raises:
        ModelError: the two differ by more, with the first layer that does; or the samples prove nothing: none are
            given, they do not fit, or the model makes NaN of them.
    """
    inputs = _inputs(model3, samples)
    with _computed_in_float32(model3):
        ours = _outputs3(model3, inputs)
        worst = _worst(model3, ours, _outputs2(model2, inputs))
        if worst.excess <= 1:
            return Proof(largest_difference=worst.largest, scale=worst.scale, samples=len(inputs[0]))
        with _without_fused_kernels(model2):
            plain = _worst(model3, ours, _outputs2(model2, inputs))
            if plain.excess > 1:
                raise _divergence(model3, model2, inputs, plain)
        if worst.largest > FUSED_TOLERANCE * max(1.0, worst.scale):
            raise ModelError(f"'{model3.name}' magnifies the last bits of its batch normalizations to "
                             f"{worst.largest:.3g} on outputs up to {worst.scale:.4g}",
                             f"{FUSED_TOLERANCE} * max(1, largest output)",
                             "check that the samples are preprocessed as the model was trained; train it further")
    return Proof(largest_difference=plain.largest, scale=plain.scale, samples=len(inputs[0]),
                 fused_difference=worst.largest)


def _inputs(model: Any, samples: Array | Mapping[str, Array]) -> list[Array]:
    """The samples in the order and type of the model's inputs."""
    tensors = {tensor.name: tensor for tensor in functional_of(model).inputs}
    if not isinstance(samples, Mapping):
        samples = dict.fromkeys(tensors, samples) if len(tensors) == 1 else {}
    if samples.keys() != tensors.keys():
        raise ModelError(f"the samples are for the inputs {', '.join(sorted(samples)) or 'of no name'}",
                         f"an array for each of {', '.join(tensors)}")
    arrays = [_fitting(np.asarray(samples[name]), tensor) for name, tensor in tensors.items()]
    if len({len(array) for array in arrays}) != 1 or not len(arrays[0]):
        raise ModelError("there are no samples to prove the bridge on, or not as many for each input",
                         "at least one sample for every input")
    return arrays


def _fitting(array: Array, tensor: Any) -> Array:
    """Samples in an input's type, if they have its shape, their number aside."""
    wanted = tensor.shape
    if len(array.shape) != len(wanted) or any(
            want not in (None, got) for want, got in zip(wanted[1:], array.shape[1:], strict=True)):
        raise ModelError(f"the samples for '{tensor.name}' have the shape {array.shape}", f"{wanted}")
    return array.astype(tensor.dtype)


@contextmanager
def _computed_in_float32(model: Any) -> Iterator[None]:
    """The model's layers with the policy float32; their own are put back."""
    layers = [layer for layer in model._flatten_layers()
              if "float" in layer.dtype_policy.compute_dtype and layer.dtype_policy.compute_dtype != "float32"]
    before = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = "float32"
        yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy


@contextmanager
def _without_fused_kernels(model: Any) -> Iterator[None]:
    """Keras 2's batch normalizations by their formula, as Keras 3 computes them; put back to what they were."""
    import tf_keras

    layers = [layer for layer in model._flatten_layers() if isinstance(layer, tf_keras.layers.BatchNormalization)]
    before = [layer.fused for layer in layers]
    try:
        for layer in layers:
            layer.fused = False
        yield
    finally:
        for layer, fused in zip(layers, before, strict=True):
            layer.fused = fused


def _batches(fixed: int | None, inputs: Sequence[Array]) -> Iterator[list[Array]]:
    """The inputs some samples at a time; a model of a fixed batch size gets that many, the last ones repeated."""
    size = fixed or BATCH
    for start in range(0, len(inputs[0]), size):
        end = start + size if fixed else min(start + size, len(inputs[0]))
        yield [np.take(array, range(start, end), axis=0, mode="clip") for array in inputs]


def _outputs3(model: Any, inputs: Sequence[Array]) -> list[Array]:
    """The Keras 3 model's outputs, flat."""
    import keras

    graph = functional_of(model)
    parts = [keras.tree.flatten(model(keras.tree.pack_sequence_as(graph._inputs_struct, batch), training=False))
             for batch in _batches(graph.inputs[0].shape[0], inputs)]
    return _joined(parts)


def _outputs2(model: Any, inputs: Sequence[Array]) -> list[Array]:
    """The Keras 2 model's outputs, flat, in the same order."""
    import tensorflow as tf

    parts = []
    for batch in _batches(model.inputs[0].shape[0], inputs):
        given = [tf.constant(array) for array in batch]
        parts.append(tf.nest.flatten(model(given if len(given) > 1 else given[0], training=False)))
    return _joined(parts)


def _joined(parts: Sequence[Sequence[Any]]) -> list[Array]:
    """Batches put together, tensor by tensor."""
    return [np.concatenate([np.atleast_1d(np.asarray(value)) for value in values])
            for values in zip(*parts, strict=True)]


def _worst(model: Any, ours: Sequence[Array], theirs: Sequence[Array]) -> _Difference:
    """The difference of the output that comes nearest to its bound, or exceeds it most."""
    if len(ours) != len(theirs):
        raise ModelError(f"the twin of '{model.name}' has {len(theirs)} outputs instead of {len(ours)}")
    if any(np.isnan(np.asarray(a, np.float64)).any() for a in ours):
        raise ModelError(f"'{model.name}' makes NaN of the samples: they prove nothing", "samples with finite outputs",
                         "check the preprocessing of the samples and the model's weights")
    return max((_difference(a, b) for a, b in zip(ours, theirs, strict=True)), key=lambda one: one.excess)


def _difference(a: Array, b: Array) -> _Difference:
    """Of two arrays; infinite where the shapes are not the same or one alone is not finite."""
    if a.shape != b.shape:
        return _Difference(float("inf"), 0.0)
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    apart = a != b
    largest = np.abs(a[apart] - b[apart]).max(initial=0.0)
    finite = np.abs(a[np.isfinite(a)]).max(initial=0.0)
    return _Difference(float("inf") if np.isnan(largest) else float(largest), float(finite))


def _divergence(model3: Any, model2: Any, inputs: Sequence[Array], worst: _Difference) -> ModelError:
    """The error that names the first layer whose activations differ."""
    found = f"the twin of '{model3.name}' computes something else: outputs up to {worst.scale:.4g} differ by " \
            f"{worst.largest:.3g}"
    allowed = f"{TOLERANCE} * max(1, largest output)"
    where = _first_difference(model3, model2, [array[:BATCH] for array in inputs])
    if where is None:
        return ModelError(found, allowed, "its layers are not those of the model; bridge it again")
    name, kind, difference = where
    place = f"the first layer that differs is '{name}' ({kind}), by {difference.largest:.3g} on values up to " \
            f"{difference.scale:.4g}"
    return ModelError(f"{found}; {place}", allowed, "replace this layer, or report it with the model")


def _first_difference(model3: Any, model2: Any, inputs: Sequence[Array]) -> tuple[str, str, _Difference] | None:
    """(name, class, difference) of the first step whose values differ; None where none can be compared.

    The Keras 3 model is bridged once more to learn which layer of the twin stands for which step: names are always
    given alike. Layers that the given twin does not have are passed over.
    """
    import keras

    places = [(name, kind, _found_in(model2, tensors)) for name, kind, tensors in trace(model3, trust=True).places]
    batch = next(_batches(functional_of(model3).inputs[0].shape[0], inputs))
    theirs = iter(_values_at(model2, [tensor for _, _, tensors in places for tensor in tensors], batch))
    for (name, kind, tensors), values in zip(places, _step_values(model3, batch), strict=True):
        for a, _ in zip(keras.tree.flatten(values), tensors, strict=False):
            difference = _difference(np.asarray(a), next(theirs))
            if not difference.excess <= 1:
                return name, kind, difference
    return None


def _values_at(model: Any, tensors: Sequence[Any], batch: Sequence[Array]) -> list[Array]:
    """What a Keras 2 model computes at some of its tensors."""
    import tensorflow as tf
    import tf_keras

    if not tensors:
        return []
    probe = tf_keras.Model(model.inputs, list(tensors))
    given = [tf.constant(array) for array in batch]
    values = probe(given if len(given) > 1 else given[0], training=False)
    return [np.asarray(value) for value in tf.nest.flatten(values)]


def _step_values(model: Any, batch: Sequence[Array]) -> list[Any]:
    """What each step of the Keras 3 model computes, in the order of the walk."""
    import keras

    values: list[Any] = []

    def run(step: Step) -> Any:
        """Call the operation as the whole model would in inference."""
        kwargs = dict(step.kwargs)
        if "training" in getattr(step.operation, "_call_context_args", {}):
            kwargs["training"] = False
        values.append(step.operation(*step.args, **kwargs))
        return values[-1]

    def cast(value: Any, dtype: str, _: str) -> Any:
        """As a nested model converts its inputs."""
        return keras.ops.cast(value, dtype)

    Walk(names_of(model), run, cast).outputs(model, [keras.ops.convert_to_tensor(array) for array in batch])
    return values


def _found_in(model: Any, tensors: Sequence[Any]) -> list[Any]:
    """The same tensors in another model with the same layer names; empty where one of the layers is missing."""
    layers = {layer.name: layer for layer in model.layers}
    found = []
    for tensor in tensors:
        layer, node, place = tensor._keras_history
        twin = layers.get(layer.name)
        if twin is None or node >= len(twin.inbound_nodes):
            return []
        outputs = twin.inbound_nodes[node].outputs
        found.append(outputs[place] if isinstance(outputs, list | tuple) else outputs)
    return found
