"""An application as one flat graph of ordinary layers: what a `.keras` file, `clone_model` and TFMOT can take.

Three things in `tf_keras.applications` stand in the way. They are written again as what computes the same:

- `Sequential` models inside (ConvNeXt): their layers take their place, in a row.
- `LayerScale` (ConvNeXt), a factor for each channel, is a class that no `.keras` file can be read back with: a 1x1
  depthwise convolution without bias has the same weights and the same gradient.
- Sums and products written with operators (`x + 3.0` in MobileNetV3, `x + y` in ConvNeXt and RegNet), on which TFMOT
  stumbles: `Rescaling` where one side is a number, `Add` and `Multiply` where both are tensors.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

Entry = dict[str, Any]
"""A layer in a functional model's config: class_name, config, name, inbound_nodes."""

_OPERATORS = {"__operators__.add": ("Add", {"scale": 1.0}, "offset"), "math.add": ("Add", {"scale": 1.0}, "offset"),
              "math.multiply": ("Multiply", {"offset": 0.0}, "scale")}
"""By the function: the layer for two tensors, and that for a number as (what it leaves alone, what it sets)."""


def as_flat(model: Any) -> Any:
    """The same function with the same weights; the model itself where nothing stands in the way.

    Args:
        model: a functional `tf_keras.Model`.
    """
    import tf_keras as keras

    if not any(_stands_in_the_way(layer) for layer in model.layers):
        return model
    config = model.get_config()
    entries: list[Entry] = []
    last: dict[str, str] = {}  # by the name of a layer, that of the last one in its place
    for number, entry in enumerate(config["layers"]):
        new = _rewritten(entry, model.get_layer(entry["config"]["name"]), number)
        new[0]["inbound_nodes"] = _renamed(new[0].get("inbound_nodes", entry["inbound_nodes"]), last)
        if new[-1]["name"] != entry["config"]["name"]:
            last[entry["config"]["name"]] = new[-1]["name"]
        entries += new
    outputs = _renamed(config["output_layers"], last)
    flat = keras.Model.from_config(config | {"layers": entries, "output_layers": outputs})
    _copy_weights(model, flat)
    return flat


def _stands_in_the_way(layer: Any) -> bool:
    """Whether a layer is one of those that are written again."""
    return hasattr(layer, "layers") or type(layer).__name__ in ("LayerScale", "TFOpLambda")


def _rewritten(entry: Entry, layer: Any, number: int) -> list[Entry]:
    """The entries that take an entry's place; the first one is fed as the entry was, unless it says otherwise."""
    if hasattr(layer, "layers"):
        return _in_a_row([part for part in entry["config"]["layers"] if part["class_name"] != "InputLayer"])
    config = entry["config"]
    if type(layer).__name__ == "LayerScale":
        scale = {"name": config["name"], "kernel_size": 1, "use_bias": False, "dtype": config["dtype"]}
        return [{"class_name": "DepthwiseConv2D", "config": scale, "name": config["name"]}]
    if config.get("function") in _OPERATORS and len(entry["inbound_nodes"]) == 1:
        return [_operator(entry["inbound_nodes"][0], config["function"], f"operator{number}")]
    return [dict(entry)]


def _operator(node: Any, function: str, name: str) -> Entry:
    """A sum or a product as a layer; `node` is `[layer, node, output, {"y": a number or the other tensor}]`."""
    *tensor, arguments = node if isinstance(node[0], str) else node[0]
    other, (merge, neutral, key) = arguments["y"], _OPERATORS[function]
    if isinstance(other, list | tuple):
        nodes = [[[*tensor, {}], [*other[:3], {}]]]
        return {"class_name": merge, "config": {"name": name}, "name": name, "inbound_nodes": nodes}
    config = neutral | {key: float(other), "name": name}
    return {"class_name": "Rescaling", "config": config, "name": name, "inbound_nodes": [[[*tensor, {}]]]}


def _in_a_row(parts: list[Entry]) -> list[Entry]:
    """Layers of a `Sequential` as entries of a functional model, each fed by the one before."""
    entries = [dict(part, name=part["config"]["name"]) for part in parts]
    for before, entry in itertools.pairwise(entries):
        entry["inbound_nodes"] = [[[before["name"], 0, 0, {}]]]
    return entries


def _renamed(nodes: Any, last: dict[str, str]) -> Any:
    """The same nodes with `[layer, node, output, ...]` pointing to the layer's last part, also in keyword arguments.

    A `Sequential` that is called has a node 0 of its own, so its calls count from 1, and those of a layer from 0.
    """
    if isinstance(nodes, dict):
        return {key: _renamed(value, last) for key, value in nodes.items()}
    if not isinstance(nodes, list | tuple):
        return nodes
    if nodes and isinstance(nodes[0], str) and nodes[0] in last:
        return [last[nodes[0]], 0, *nodes[2:]]
    return [_renamed(part, last) for part in nodes]


def _copy_weights(model: Any, flat: Any) -> None:
    """Set the flat model's variables from the layers that they stand for."""
    for layer in model.layers:
        for part in getattr(layer, "layers", [layer]):
            if part.weights:
                target = flat.get_layer(part.name)
                shapes = [variable.shape for variable in target.weights]
                target.set_weights([np.reshape(value, shape)
                                    for value, shape in zip(part.get_weights(), shapes, strict=True)])
