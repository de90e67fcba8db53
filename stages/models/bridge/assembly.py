"""From a Keras 3 model to its Keras 2 twin: inputs, steps, outputs, weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from device_profiles.errors import ModelError
from stages.models.bridge.builder import Builder, narrow
from stages.models.bridge.graph import Step, Walk, fit_name, functional_of, is_graph, names_of
from stages.models.bridge.layers import LAYERS
from stages.models.bridge.operations import OPERATIONS
from stages.models.bridge.records import Bridged, refusal
from stages.models.bridge.weights import copy_weights


@dataclass(frozen=True)
class Traced:
    """A bridged model and where each step of the Keras 3 model ended up.

    Attributes:
        bridged: what `bridge` returns.
        places: for each step in order, (name, class, its output tensors in the `tf_keras` model).
    """

    bridged: Bridged
    places: list[tuple[str, str, list[Any]]]


def bridge(model: Any, trust: bool = False) -> Bridged:
    """The same model in `tf_keras`.

    Nested models are opened into one flat model, because TFMOT takes no other. Everything is computed in float32,
    whatever the layers' dtype policies say.

    Args:
        model: a functional or Sequential `keras.Model` of Keras 3; it is not changed.
        trust: run the functions of Lambda layers to see what they compute.

    Returns:
        The `tf_keras.Model`, how many layers it has, and what was rewritten.

    Raises:
        ModelError: a layer without twin, a custom layer or subclassed model, or a Lambda layer that is not trusted.
    """
    return trace(model, trust).bridged


def trace(model: Any, trust: bool = False) -> Traced:
    """As `bridge`, with the places of the steps; the same model always gives the same layer names."""
    import keras
    import tf_keras

    if not isinstance(model, keras.Model):
        raise ModelError(f"the bridge was given a {type(model).__module__}.{type(model).__name__}",
                         "a keras.Model of Keras 3")
    names = names_of(model)
    builder = Builder(LAYERS, OPERATIONS, trust, taken=set(names.values()), reserved=set(names.values()))
    places: list[tuple[str, str, list[Any]]] = []

    def run(step: Step) -> Any:
        """Build a step and remember where it ended up."""
        made = builder.run(step)
        places.append((step.name, type(step.operation).__name__, keras.tree.flatten(made)))
        return made

    graph = functional_of(model)
    inputs = [_make_input(tensor, names) for tensor in graph.inputs]
    outputs = Walk(names, run, builder.cast).outputs(model, inputs)
    outputs = [_not_an_input(builder, value, inputs) for value in outputs]
    twin = tf_keras.Model(inputs, _structured(graph, outputs), name=fit_name(model.name))
    copy_weights(builder.pairs)
    for layer, arrays in builder.values:
        layer.set_weights(arrays)
    _note_precision(model, names, builder)
    return Traced(Bridged(twin, len(twin.layers), dict(builder.changed)), places)


def _make_input(tensor: Any, names: dict[int, str]) -> Any:
    """The `tf_keras` input for one of Keras 3's."""
    import tf_keras

    layer = tensor._keras_history.operation
    if tensor.sparse or getattr(tensor, "ragged", False) or getattr(layer, "optional", False):
        raise refusal(layer, layer.name, "is a sparse, ragged or optional input", "give the model dense inputs",
                      "dense inputs that are always there")
    if tensor.dtype == "string":
        raise refusal(layer, layer.name, "takes text", "look the words up before the model", "numbers")
    return tf_keras.Input(batch_shape=tensor.shape, dtype=narrow(tensor.dtype), name=names[id(layer)])


def _not_an_input(builder: Builder, value: Any, inputs: list[Any]) -> Any:
    """An output that a layer computes: Keras 2 cannot save a model that hands an input through."""
    if any(value is tensor for tensor in inputs):
        return builder.add_layer("Activation", "identity", activation="linear")(value)
    return value


def _structured(graph: Any, outputs: list[Any]) -> Any:
    """The outputs as a mapping where Keras 3 has a flat one, as a list of several, or as the only one."""
    struct = graph._outputs_struct
    if isinstance(struct, dict) and all(not isinstance(value, dict | list | tuple) for value in struct.values()):
        return dict(zip(sorted(struct), outputs, strict=True))
    return outputs[0] if len(outputs) == 1 else outputs


def _note_precision(model: Any, names: dict[int, str], builder: Builder) -> None:
    """Say which layers compute in another precision in Keras 3."""
    for layer in model._flatten_layers(include_self=False):
        policy = layer.dtype_policy
        if id(layer) in names and not is_graph(layer) and "float" in policy.compute_dtype \
                and policy.compute_dtype != "float32":
            builder.note(names[id(layer)], f"computed in float32 instead of {policy.name}")
