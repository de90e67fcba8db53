"""What a Keras model's outputs are: probabilities or logits, found out from the layer that they come from."""

from __future__ import annotations

from typing import Any

PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")
"""Activations that give probabilities. Whatever else a classifier ends in (linear, log_softmax) gives logits."""
_LAYERS = {"Softmax": "softmax", "ReLU": "relu", "LeakyReLU": "leaky_relu", "PReLU": "prelu", "ELU": "elu",
           "ThresholdedReLU": "thresholded_relu"}
_SHAPE_ONLY = ("Reshape", "Flatten", "Permute", "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout",
               "AlphaDropout", "ActivityRegularization", "InputLayer", "Identity")
"""Layers that leave (or, at inference, could as well leave) each value as it is."""


def gives_logits(model: Any) -> list[bool]:
    """For each output of the model, in the order of `model.outputs`, whether it still wants a softmax or a sigmoid.

    Args:
        model: a functional or sequential `tf_keras.Model`; wrappers of TFMOT are looked through.
    """
    return [output_activation(tensor) not in PROBABILITIES for tensor in model.outputs]


def output_activation(tensor: Any) -> str:
    """Name of the activation that a Keras tensor comes from: "softmax", "linear", ...

    Args:
        tensor: a symbolic tensor of a `tf_keras` model.
    """
    layer, node_index, tensor_index = tensor._keras_history
    inside = unwrapped(layer)
    kind = type(inside).__name__
    if hasattr(inside, "outputs") and hasattr(inside, "layers"):  # a model inside the model
        return output_activation(inside.outputs[tensor_index])
    if kind in _LAYERS:
        return _LAYERS[kind]
    if kind == "TFOpLambda":
        return str(inside.symbol).rsplit(".", 1)[-1]
    if kind in _SHAPE_ONLY:
        sources = layer.inbound_nodes[node_index].keras_inputs
        return output_activation(sources[0]) if sources else "linear"
    return _name(getattr(inside, "activation", None))


def unwrapped(layer: Any) -> Any:
    """The layer inside TFMOT's wrappers (pruning, clustering, quantization)."""
    while hasattr(layer, "layer"):
        layer = layer.layer
    return layer


def _name(activation: Any) -> str:
    """An activation's name, looked up inside TFMOT's quantizing activations."""
    if activation is None:
        return "linear"
    while hasattr(activation, "activation"):
        activation = activation.activation
    return str(getattr(activation, "__name__", type(activation).__name__)).lower()
