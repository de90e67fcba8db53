"""Branches of a graph that end in an addition: without one of them, the model is the original with that addend zero.

A residual block adds what its convolutions make to what came in. Where all channels of such a branch go, its layers go
with them, and the addition too where it has one addend left. Fewer operators is what a small model's time wants most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from stages.records import SlimBranch
from stages.slimming.kernels import has_kernel
from stages.slimming.rebuild import made_of
from stages.slimming.trace import calls

Reference = tuple[str, int, int]
"""An output of a call: layer, which call, which output."""


@dataclass(frozen=True)
class Branch:
    """Layers that make one addend and nothing else.

    Attributes:
        join: the layer that adds.
        place: of the addend among the layer's inputs.
        addend: the call that makes it.
        layers: all that go, in the model's order.
    """

    join: str
    place: int
    addend: Reference
    layers: tuple[str, ...]

    @property
    def record(self) -> SlimBranch:
        """As results hold it."""
        return SlimBranch(join=self.join, layers=self.layers)


def find_branches(model: Any, protect: Iterable[str] = ()) -> list[Branch]:
    """Branches that can go, each by itself.

    Args:
        model: a flat functional `tf_keras.Model`; it is not changed.
        protect: names of layers, or shell patterns: a branch with such a layer stays.

    Returns:
        Those with at least one layer that multiplies, in the model's order.
    """
    graph = _Graph(model)
    patterns = tuple(protect)
    found = []
    for node in graph.joins():
        for place, tensor in enumerate(node.keras_inputs):
            layers = graph.only_for(node, tensor)
            names = tuple(layer.name for layer in model.layers if id(layer) in {id(each) for each in layers})
            if any(has_kernel(layer) for layer in layers) and not _any_of(names, patterns):
                found.append(Branch(node.layer.name, place, graph.makers[id(tensor)], names))
    return found


def without(model: Any, branch: Branch) -> Any:
    """The model without a branch: the other layers keep their names and weights.

    Args:
        model: the one that the branch was found in; it is not changed.
        branch: what goes.
    """
    config = model.get_config()
    entries = {entry["name"]: entry for entry in config["layers"] if entry["name"] not in branch.layers}
    call = list(entries[branch.join]["inbound_nodes"][0])
    call.pop(branch.place)
    entries[branch.join]["inbound_nodes"] = [call]
    if len(call) == 1:
        _take_out(config, entries, branch.join, tuple(call[0][:3]))
    return made_of(model, config | {"layers": list(entries.values())},
                   {layer.name: layer.get_weights() for layer in model.layers})


def _take_out(config: dict[str, Any], entries: dict[str, Any], join: str, source: Reference) -> None:
    """Take out an addition of one addend, and a ReLU after it that follows another and would change nothing."""
    readers = [name for name, entry in entries.items() if _is_relu(entry) and len(entry["inbound_nodes"]) == 1
               and [ref[0] for ref in entry["inbound_nodes"][0]] == [join]]
    _bypass(config, entries, join, source)
    if _is_relu(entries[source[0]]) or entries[source[0]]["config"].get("activation") == "relu":
        for name in readers:
            _bypass(config, entries, name, source)


def _is_relu(entry: dict[str, Any]) -> bool:
    """Whether a layer is a ReLU without a slope, a threshold or an upper end."""
    config = entry["config"]
    if entry["class_name"] == "ReLU":
        return config["max_value"] is None and not config["negative_slope"] and not config["threshold"]
    return bool(entry["class_name"] == "Activation" and config["activation"] == "relu")


def _bypass(config: dict[str, Any], entries: dict[str, Any], name: str, source: Reference) -> None:
    """Take out a layer with one input and let its readers read that."""
    del entries[name]
    for entry in entries.values():
        entry["inbound_nodes"] = _redirected(entry["inbound_nodes"], name, source)
    config["output_layers"] = _redirected(config["output_layers"], name, source)


def _redirected(value: Any, name: str, source: Reference) -> Any:
    """What a config says of tensors, with those of one layer replaced: `[layer, call, output, ...]`, nested anyhow."""
    if isinstance(value, dict):
        return {key: _redirected(each, name, source) for key, each in value.items()}
    if not isinstance(value, list | tuple):
        return value
    if len(value) >= len(source) and value[0] == name and all(isinstance(each, int) for each in value[1:3]):
        value = [*source, *value[3:]]
    return [_redirected(each, name, source) for each in value]


def _any_of(names: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


class _Graph:
    """Who makes and who reads each tensor of a model."""

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        self.nodes = calls(model)
        self.makers: dict[int, Reference] = {}
        self._made_by: dict[int, Any] = {}
        self._readers: dict[int, list[Any]] = {}
        self._times: dict[int, int] = {}
        for number, node in self.nodes:
            self._times[id(node.layer)] = self._times.get(id(node.layer), 0) + 1
            for place, tensor in enumerate(tf.nest.flatten(node.outputs)):
                self.makers[id(tensor)] = (node.layer.name, number, place)
                self._made_by[id(tensor)] = node
            if not node.is_input:
                for tensor in node.keras_inputs:
                    self._readers.setdefault(id(tensor), []).append(node)
        self._outputs = {id(tensor) for tensor in model.outputs}

    def joins(self) -> list[Any]:
        """Calls of layers that add and are called once, of tensors that differ."""
        return [node for _, node in self.nodes if type(node.layer).__name__ == "Add" and self._single(node)
                and len({id(tensor) for tensor in node.keras_inputs}) == len(node.keras_inputs)]

    def only_for(self, join: Any, tensor: Any) -> list[Any]:
        """Layers whose outputs reach nothing but this addend of a call."""
        region: list[Any] = []
        waiting = [self._made_by[id(tensor)]]
        while waiting:
            node = waiting.pop()
            if node not in region and self._can_go(node) and self._read_by(node, region or [join]):
                region.append(node)
                waiting += [self._made_by[id(each)] for each in node.keras_inputs]
        return [node.layer for node in region]

    def _can_go(self, node: Any) -> bool:
        """Neither an input nor an output of the model, and its layer is called once."""
        import tensorflow as tf

        made = {id(each) for each in tf.nest.flatten(node.outputs)}
        return not node.is_input and self._single(node) and not made & self._outputs

    def _read_by(self, node: Any, readers: list[Any]) -> bool:
        """Whether something reads what a call makes, and nothing else than these calls does."""
        import tensorflow as tf

        found = [reader for each in tf.nest.flatten(node.outputs) for reader in self._readers.get(id(each), [])]
        return bool(found) and all(reader in readers for reader in found)

    def _single(self, node: Any) -> bool:
        return self._times[id(node.layer)] == 1
