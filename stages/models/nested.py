"""Models inside models opened: one flat graph with the same layers and weights, as TFMOT's wrappers need it.

A Keras 2 model often holds its backbone as a layer. TFMOT quantizes no such model, and pruning sees no kernel in it. A
model of Keras 3 is flat already when it comes over the bridge.
"""

from __future__ import annotations

from typing import Any


def opened(model: Any) -> Any:
    """The same function without models inside; the model itself where it has none.

    Layers keep their names; where two have one name, the inner one's model is named before it (`backbone_conv`). A
    layer that is called several times, or whose model is, stays one layer.

    Args:
        model: a functional or Sequential `tf_keras.Model`.
    """
    import tf_keras as keras

    if not any(_is_graph(layer) for layer in model.layers):
        return model
    copies = _Copies(model)
    inputs = [keras.layers.Input(tensor.shape[1:], tensor.shape[0], dtype=tensor.dtype, name=name)
              for name, tensor in zip(model.input_names, model.inputs, strict=True)]
    outputs = [_named(tensor, name) for tensor, name in
               zip(_replayed(model, inputs, copies), model.output_names, strict=True)]
    flat = keras.Model(inputs if len(inputs) > 1 else inputs[0], _like(model.outputs, outputs), name=model.name)
    for layer, copy in copies.made.values():
        copy.set_weights(layer.get_weights())
    return flat


class _Copies:
    """A copy of each layer that was met, by the layer's identity, under a name of its own."""

    def __init__(self, model: Any) -> None:
        self.made: dict[int, tuple[Any, Any]] = {}
        self._outer = {layer.name for layer in model.layers}
        self._taken: set[str] = set()

    def of(self, layer: Any, path: str) -> Any:
        """The copy of a layer in the model at `path` ("" for the outermost)."""
        if id(layer) not in self.made:
            name = layer.name
            while name in self._taken or (path and name in self._outer):
                name = f"{path}_{name}" if path else f"{name}_"
            self._taken.add(name)
            self.made[id(layer)] = (layer, type(layer).from_config(layer.get_config() | {"name": name}))
        return self.made[id(layer)][1]


def _is_graph(layer: Any) -> bool:
    """Whether a layer is a functional or Sequential model."""
    return hasattr(layer, "layers") and hasattr(layer, "_nodes_by_depth")


def _replayed(model: Any, inputs: list[Any], copies: _Copies, path: str = "") -> list[Any]:
    """A model's outputs for other inputs, call by call with copies of its layers.

    Follows `Functional._run_internal_graph` of tf_keras 2.21: nodes by falling depth, tensors by identity.
    """
    import tensorflow as tf

    known = {id(tensor): given for tensor, given in zip(model.inputs, inputs, strict=True)}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input or not all(id(tensor) in known for tensor in node.keras_inputs):
                continue
            args, kwargs = _mapped((node.call_args, node.call_kwargs), known)
            layer = node.layer
            if _is_graph(layer):
                given = tf.nest.flatten(args[0])
                found = _replayed(layer, given, copies, f"{path}_{layer.name}" if path else layer.name)
            else:
                found = tf.nest.flatten(copies.of(layer, path)(*args, **kwargs))
            known |= {id(tensor): value for tensor, value in zip(tf.nest.flatten(node.outputs), found, strict=True)}
    return [known[id(tensor)] for tensor in model.outputs]


def _mapped(values: Any, known: dict[int, Any]) -> Any:
    """The same arguments of a call, tensors of the model replaced."""
    import tensorflow as tf

    return tf.nest.map_structure(lambda value: known.get(id(value), value), values)


def _named(tensor: Any, name: str) -> Any:
    """An output under its name, which is that of its layer: what was a model's output gets a layer of that name."""
    import tf_keras as keras

    if tensor.node.layer.name == name:
        return tensor
    return keras.layers.Activation("linear", name=name)(tensor)


def _like(outputs: list[Any], found: list[Any]) -> Any:
    """One tensor where the model has one output."""
    return found if len(outputs) > 1 else found[0]
