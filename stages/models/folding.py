"""Factors and offsets per channel taken into kernels, or written as kernels, before quantization-aware training.

TFMOT's 8-bit scheme knows batch normalization behind one kind of neighbour: a `Conv2D` or `DepthwiseConv2D` of its own
with a linear activation. Behind a `Dense` layer it takes it, but leaves the kernel unquantized, and the tflite model
gets float32 operators between DEQUANTIZE and QUANTIZE; anywhere else it refuses it. So the rest is rewritten here,
where that is exact:

- `Dense`, `Conv1D`, `Conv2DTranspose` and the like, then batch normalization: folded into the kernel before;
- batch normalization, then `Dense`, or a convolution that reads no padding: folded into the kernel behind;
- batch normalization anywhere else, `Normalization`, and `Rescaling` with both a factor and an offset: a depthwise 1x1
  convolution, which is one int8 operator with a scale for each channel. Those that did not learn before do not now;
- `swish` inside a layer with a kernel: a layer after it, since TFMOT gives the product inside no range;
- an average pooling that a concatenation reads beside others (DenseNet's transitions): a depthwise 1x1 convolution
  after it, since TFMOT gives its output the concatenation's range, and the converter wants its input's there.

Folding scales each channel of a kernel by its own factor. Zeros stay zeros, but values that a layer's channels shared
are shared no longer; so for clustered models nothing is folded, and batch normalization becomes depthwise throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stages.models.affine import (
    AFFINE_LAYERS,
    DEPTHWISE_LAYERS,
    KERNEL_LAYERS,
    TRANSPOSED_LAYERS,
    Affine,
    Weights,
    affine_of,
    folded_after,
    folded_before,
)

Entry = dict[str, Any]
"""A layer in a functional model's config: class_name, config, name, inbound_nodes."""

FUSED_BY_TFMOT = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")
"""Layers that TFMOT fuses with a batch normalization that alone reads them."""
_SPLIT_ACTIVATIONS = ("swish", "silu")
_POOL = "AveragePooling2D"
_NORMS = ("BatchNormalization", "SyncBatchNormalization")
_IMAGE_RANK = 4  # (batch, height, width, channels)


@dataclass
class Folded:
    """A rewritten model.

    Attributes:
        model: a `tf_keras.Model`; the one that was given where nothing had to be rewritten.
        changed: what became of a layer, by its name.
        left: why a layer was left as it is, by its name.
    """

    model: Any
    changed: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


def fold(model: Any, keep_values: bool = False) -> Folded:
    """The same function, with the same input, output and kernel layers' names, in layers that TFMOT can quantize.

    Args:
        model: a functional or Sequential `tf_keras.Model`; it is not changed.
        keep_values: leave the kernels as they are, so that values shared over a kernel stay shared.
    """
    if not any(type(layer).__name__ in (*AFFINE_LAYERS, _POOL) or _is_split(layer) for layer in model.layers):
        return Folded(model)
    graph = _Graph(_functional(model))
    done = Folded(model)
    for layer in model.layers:
        if type(layer).__name__ in AFFINE_LAYERS and not _is_served(layer, graph):
            _rewrite(layer, graph, keep_values, done)
        elif _is_split(layer):
            _split(layer, graph, done)
        elif _is_shared_pool(layer, graph):
            _separate(layer, graph, done)
    if done.changed:
        done.model = graph.rebuilt()
    return done


def fused_by_tfmot(model: Any) -> frozenset[str]:
    """Names of the batch normalizations that TFMOT's 8-bit scheme fuses with the convolution before them.

    Args:
        model: a functional or Sequential `tf_keras.Model`.
    """
    graph = _Graph(_functional(model))
    return frozenset(layer.name for layer in model.layers if type(layer).__name__ in _NORMS and _is_fused(layer, graph))


def largest_difference(model: Any, folded: Any, samples: Any) -> float:
    """Largest difference of any output, over the larger of 1 and that output's largest absolute value.

    Args:
        model: the model as it was.
        folded: the model after `fold`.
        samples: what both take: an array, or {input name: array}.
    """
    import tensorflow as tf

    pairs = zip(*(tf.nest.flatten(each(samples, training=False)) for each in (model, folded)), strict=True)
    return max(float(np.abs(a - b).max() / max(1.0, np.abs(a).max())) for a, b in
               ((one.numpy(), other.numpy()) for one, other in pairs))


def _functional(model: Any) -> Any:
    """The model with its graph in its config, which a Sequential one leaves out."""
    import tf_keras as keras

    return keras.Model(model.inputs, model.outputs, name=model.name) if isinstance(model, keras.Sequential) else model


class _Graph:
    """A functional model as entries that can be edited, and the weights of each by its name."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.config: dict[str, Any] = model.get_config()
        self.entries: dict[str, Entry] = {entry["config"]["name"]: entry for entry in self.config["layers"]}
        self.outputs = self.config["output_layers"]
        self._originals = {layer.name: layer for layer in model.layers}
        self.weights: dict[str, Weights] = {layer.name: layer.get_weights() for layer in model.layers}

    def readers(self, name: str) -> list[str]:
        """Names of the layers that read a layer, once for each time; "" stands for an output of the model."""
        found = [reader for reader, entry in self.entries.items()
                 for _ in range(_references(entry["inbound_nodes"], name))]
        return found + [""] * _references(self.outputs, name)

    def source(self, name: str) -> str:
        """Name of the layer that a layer reads on its first call."""
        return str(self.tensor(name)[0])

    def tensor(self, name: str) -> list[Any]:
        """[layer, call, output] that a layer of one input reads on its first call."""
        node = self.entries[name]["inbound_nodes"][0]
        return list(node[:3] if isinstance(node[0], str) else node[0][:3])

    def calls(self, name: str) -> int:
        """How often a layer is called."""
        return len(self.entries[name]["inbound_nodes"])

    def layer(self, name: str) -> Any:
        """The layer that still stands under a name; None for one that is gone or was rewritten."""
        return self._originals.get(name) if name in self.entries else None

    def fresh(self, name: str) -> str:
        """A name that no layer has."""
        return name if name not in self.entries else self.fresh(f"{name}_")

    def set_kernel(self, name: str, weights: Weights) -> None:
        """Give a layer a kernel and a bias."""
        entry = self.entries[name]
        self.entries[name] = entry | {"config": entry["config"] | {"use_bias": True}}
        self.weights[name] = weights

    def remove(self, name: str, instead: list[Any]) -> None:
        """Take a layer out that is called once; its readers read `instead` ([layer, call, output])."""
        del self.entries[name]
        self.redirect(name, instead)

    def redirect(self, name: str, instead: list[Any]) -> None:
        """Have the readers of a layer read `instead`."""
        for entry in self.entries.values():
            entry["inbound_nodes"] = _redirected(entry["inbound_nodes"], name, instead)
        self.outputs = self.config["output_layers"] = _redirected(self.outputs, name, instead)

    def put(self, name: str, row: list[Entry], weights: Weights | None = None) -> None:
        """Put layers in a row where one was; the last has its name, so its readers need no change.

        Args:
            name: of the layer that goes.
            row: class_name and config of each layer.
            weights: of the row's depthwise convolution, if it has one.
        """
        nodes = _without_arguments(self.entries.pop(name)["inbound_nodes"])
        for entry in row:
            here = entry["config"]["name"]
            self.entries[here] = {**entry, "name": here, "inbound_nodes": nodes}
            nodes = [[[here, 0, 0, {}]]]
            if weights is not None and entry["class_name"] == "DepthwiseConv2D":
                self.weights[here] = weights

    def rebuilt(self) -> Any:
        """The model that the entries now describe."""
        import tf_keras as keras

        own = {type(layer).__name__: type(layer) for layer in self.model.layers}
        rebuilt = keras.Model.from_config(self.config | {"layers": list(self.entries.values())}, custom_objects=own)
        for layer in rebuilt.layers:
            if layer.weights:
                layer.set_weights(self.weights[layer.name])
        return rebuilt


# -- what becomes of a layer ---------------------------------------------------------------------------------------


def _is_served(layer: Any, graph: _Graph) -> bool:
    """Whether TFMOT quantizes the layer as it is: fused with a convolution, or with one multiplication or addition."""
    if type(layer).__name__ in _NORMS:
        return _is_fused(layer, graph)
    return type(layer).__name__ == "Rescaling" and (not np.any(layer.offset) or bool(np.all(np.equal(layer.scale, 1))))


def _is_fused(norm: Any, graph: _Graph) -> bool:
    """Whether a convolution of the right kind has no other reader and is called once, and so is the normalization."""
    before = graph.source(norm.name)
    layer = graph.layer(before)
    return (type(layer).__name__ in FUSED_BY_TFMOT and _is_linear(layer) and graph.calls(norm.name) == 1
            and graph.calls(before) == 1 and graph.readers(before) == [norm.name])


def _rewrite(layer: Any, graph: _Graph, keep_values: bool, done: Folded) -> None:
    """Fold the layer, or write it as a depthwise convolution, or say why not."""
    affine = affine_of(layer)
    if affine is None:
        done.left[layer.name] = "has a factor for more than each channel of the last axis"
        return
    if type(layer).__name__ in _NORMS and not keep_values:
        into = _fold_back(layer, affine, graph) or _fold_ahead(layer, affine, graph)
        if into:
            done.changed[layer.name] = f"folded into '{into}'"
            return
    row = _depthwise(layer, graph)
    if not row:
        done.left[layer.name] = f"cannot be a depthwise convolution on inputs of the shape {layer.input_shape}"
        return
    kernel = affine.scale.astype(np.float32).reshape(1, 1, -1, 1)
    graph.put(layer.name, row, [kernel, affine.offset.astype(np.float32)])
    done.changed[layer.name] = "written as a depthwise 1x1 convolution"


def _fold_back(norm: Any, affine: Affine, graph: _Graph) -> str:
    """Fold into the layer before; its name, or an empty string where that would not be exact."""
    before = graph.source(norm.name)
    layer = graph.layer(before)
    kinds = (*KERNEL_LAYERS, *DEPTHWISE_LAYERS, *TRANSPOSED_LAYERS)
    if layer is None or (graph.calls(norm.name), graph.calls(before)) != (1, 1):
        return ""
    if graph.readers(before) != [norm.name]:
        return ""
    if not _may_take_in(layer, kinds) or not _is_linear(layer):
        return ""
    graph.set_kernel(before, folded_after(type(layer).__name__, graph.weights[before], affine))
    if "" in graph.readers(norm.name):  # an output of the model is called by its layer
        graph.put(norm.name, [{"class_name": "Activation", "config": {"name": norm.name, "activation": "linear"}}])
    else:
        graph.remove(norm.name, [before, 0, 0])
    return before


def _fold_ahead(norm: Any, affine: Affine, graph: _Graph) -> str:
    """Fold into the layer behind; its name, or an empty string where that would not be exact."""
    readers = graph.readers(norm.name)
    layer = graph.layer(readers[0]) if len(readers) == 1 else None
    if layer is None or graph.calls(norm.name) != 1 or graph.calls(layer.name) != 1:
        return ""
    if not _may_take_in(layer, (*KERNEL_LAYERS, *DEPTHWISE_LAYERS)) or getattr(layer, "groups", 1) != 1:
        return ""
    if affine.offset.any() and _reads_padding(layer):
        return ""
    graph.set_kernel(layer.name, folded_before(type(layer).__name__, graph.weights[layer.name], affine))
    graph.remove(norm.name, graph.tensor(norm.name))
    return str(layer.name)


def _may_take_in(layer: Any, kinds: tuple[str, ...]) -> bool:
    """Whether a kernel may be scaled: nothing else holds on to it or to the layer's output."""
    return (type(layer).__name__ in kinds and getattr(layer, "data_format", "channels_last") == "channels_last"
            and not any(getattr(layer, f"{what}_constraint", None) for what in ("kernel", "depthwise", "bias"))
            and layer.activity_regularizer is None)


def _reads_padding(layer: Any) -> bool:
    """Whether some taps of a convolution lie outside of its input, where an offset would have to be zero."""
    size = getattr(layer, "kernel_size", (1,))
    return getattr(layer, "padding", "valid") != "valid" and any(length != 1 for length in size)


def _is_linear(layer: Any) -> bool:
    return getattr(layer.activation, "__name__", "") == "linear"


def _is_split(layer: Any) -> bool:
    """Whether a layer has a kernel and an activation of two operators, whose first one TFMOT gives no range."""
    kinds = (*KERNEL_LAYERS, *DEPTHWISE_LAYERS, *TRANSPOSED_LAYERS)
    return type(layer).__name__ in kinds and getattr(layer.activation, "__name__", "") in _SPLIT_ACTIVATIONS


def _split(layer: Any, graph: _Graph, done: Folded) -> None:
    """Take the activation out of a layer."""
    if graph.calls(layer.name) != 1 or "" in graph.readers(layer.name):
        done.left[layer.name] = "is called several times, or is an output of the model"
        return
    name = graph.fresh(f"{layer.name}_activation")
    graph.redirect(layer.name, [name, 0, 0])
    config = {"name": name, "activation": layer.activation.__name__}
    graph.entries[name] = {"class_name": "Activation", "config": config, "name": name,
                           "inbound_nodes": [[[layer.name, 0, 0, {}]]]}
    entry = graph.entries[layer.name]
    graph.entries[layer.name] = entry | {"config": entry["config"] | {"activation": "linear"}}
    done.changed[layer.name] = f"its {layer.activation.__name__} is a layer of its own"


def _is_shared_pool(layer: Any, graph: _Graph) -> bool:
    """Whether a concatenation and something else read an average pooling."""
    if type(layer).__name__ != _POOL or layer.data_format != "channels_last" or graph.calls(layer.name) != 1:
        return False
    readers = graph.readers(layer.name)
    return len(readers) > 1 and any(graph.entries[name]["class_name"] == "Concatenate" for name in readers if name)


def _separate(pool: Any, graph: _Graph, done: Folded) -> None:
    """Put a depthwise 1x1 convolution with factors of 1, which may have a range of its own, behind a pooling."""
    name, channels = graph.fresh(f"{pool.name}_range"), pool.output_shape[-1]
    graph.redirect(pool.name, [name, 0, 0])
    config = {"name": name, "kernel_size": 1, "trainable": False}
    graph.entries[name] = {"class_name": "DepthwiseConv2D", "config": config, "name": name,
                           "inbound_nodes": [[[pool.name, 0, 0, {}]]]}
    graph.weights[name] = [np.ones((1, 1, channels, 1), np.float32), np.zeros(channels, np.float32)]
    done.changed[pool.name] = "followed by a depthwise 1x1 convolution, for a range of its own"


def _depthwise(layer: Any, graph: _Graph) -> list[Entry]:
    """A depthwise 1x1 convolution in the layer's place, between reshapes where it does not read images; or nothing."""
    shape = layer.input_shape[1:]
    learns = type(layer).__name__ in _NORMS and layer.trainable
    config = {"name": layer.name, "kernel_size": 1, "trainable": learns}
    if len(shape) == _IMAGE_RANK - 1:
        return [{"class_name": "DepthwiseConv2D", "config": config}]
    if len(shape) > _IMAGE_RANK - 1 or None in shape or graph.calls(layer.name) != 1:
        return []
    image = (*(1,) * (_IMAGE_RANK - 1 - len(shape)), *shape)
    names = [graph.fresh(f"{layer.name}_{part}") for part in ("image", "channels")]
    return [{"class_name": "Reshape", "config": {"name": names[0], "target_shape": image}},
            {"class_name": "DepthwiseConv2D", "config": config | {"name": names[1]}},
            {"class_name": "Reshape", "config": {"name": layer.name, "target_shape": shape}}]


# -- references: [layer, call, output, ...] at any depth --------------------------------------------------------------


def _references(nodes: Any, name: str) -> int:
    """How often a layer is read."""
    if isinstance(nodes, dict):
        return sum(_references(value, name) for value in nodes.values())
    if not isinstance(nodes, list | tuple):
        return 0
    rest = nodes[1:] if _is_reference(nodes) else nodes
    return int(_is_reference(nodes) and nodes[0] == name) + sum(_references(part, name) for part in rest)


def _redirected(nodes: Any, name: str, instead: list[Any]) -> Any:
    """The same nodes, but what reads a layer reads `instead`."""
    if isinstance(nodes, dict):
        return {key: _redirected(value, name, instead) for key, value in nodes.items()}
    if not isinstance(nodes, list | tuple):
        return nodes
    if _is_reference(nodes):
        head = instead if nodes[0] == name else list(nodes[:3])
        return [*head, *(_redirected(part, name, instead) for part in nodes[3:])]
    return [_redirected(part, name, instead) for part in nodes]


def _is_reference(node: list[Any] | tuple[Any, ...]) -> bool:
    """Whether it is [layer, call, output] or longer."""
    return len(node) >= 3 and isinstance(node[0], str) and all(isinstance(number, int) for number in node[1:3])


def _without_arguments(nodes: Any) -> Any:
    """Calls without their keyword arguments: batch normalization's `training` means nothing to a convolution."""
    return [[[*(node if isinstance(node[0], str) else node[0])[:3], {}]] for node in nodes]
