"""Follow the channels of a model from its inputs to its outputs, call by call, and learn which belong together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from device_profiles.errors import ModelError, StageError, with_near_miss
from stages.slimming import kernels, passing
from stages.slimming.labels import Channels, Fixed, Flow
from stages.slimming.ledger import Call, Ledger

RULES = {**kernels.RULES, **passing.RULES}
"""By the layer's class, how channels go through it. What is not here keeps all its neighbours' channels."""
BY_USER = "protected by name"
_OVER_CHANNELS = ("LayerNormalization", "GroupNormalization", "UnitNormalization")
"""With a channel set to zero these would still count it, and without it they do not."""


@dataclass(frozen=True)
class Trace:
    """What was learnt of a model.

    Attributes:
        ledger: cuts, settings, work, labels.
        flows: what is known of each output of each call, by (layer, call, output).
        layers: names of the layers that make channels, in the model's order.
    """

    ledger: Ledger
    flows: dict[tuple[str, int, int], Flow]
    layers: tuple[str, ...]

    def fixed(self) -> dict[str, str]:
        """Layers of which some channels cannot go, with the reason."""
        found = {}
        for name in self.layers:
            labels = self.ledger.made[name]
            reasons = [reason for reason in (self.ledger.labels.reason(int(label)) for label in labels) if reason]
            if reasons:
                part = "" if len(reasons) == len(labels) else f"{len(reasons)} of {len(labels)} channels: "
                found[name] = part + reasons[0]
        return found


def trace(model: Any, protect: Iterable[str] = ()) -> Trace:
    """Follow the channels of a flat model.

    Args:
        model: a functional or Sequential `tf_keras.Model` without models inside; it is not changed.
        protect: names of layers, or shell patterns, whose outputs keep their channels.

    Raises:
        ModelError: a name that no layer has.
        StageError: the model has no graph of layers.
    """
    import tensorflow as tf

    check_graph(model)
    protect = tuple(protect)
    check_names(protect, [layer.name for layer in model.layers])
    ledger = Ledger()
    known: dict[int, Flow] = {}
    flows: dict[tuple[str, int, int], Flow] = {}
    for number, node in calls(model):
        outputs = tf.nest.flatten(node.outputs)
        found = _followed(ledger, node, outputs, known)
        if any(fnmatchcase(node.layer.name, pattern) for pattern in protect):
            ledger.fix(found, BY_USER)
        for place, (tensor, flow) in enumerate(zip(outputs, found, strict=True)):
            known[id(tensor)] = flow
            flows[node.layer.name, number, place] = flow
    for tensor in model.outputs:
        flow = known[id(tensor)]
        if isinstance(flow, Channels):
            ledger.labels.fix(flow.labels, "an output of the model", instead=True)
    return Trace(ledger, flows, tuple(layer.name for layer in model.layers if layer.name in ledger.made))


def calls(model: Any) -> list[tuple[int, Any]]:
    """(which call of its layer, node) for each call in the model, in an order in which they can be made.

    As `Functional._run_internal_graph` of tf_keras 2.21 goes: by falling depth.
    """
    seen: dict[int, int] = {}
    found = []
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            number = seen.get(id(node.layer), 0)
            seen[id(node.layer)] = number + 1
            found.append((number, node))
    return found


def check_graph(model: Any) -> None:
    """Refuse a model whose layers are called from code of its own.

    Raises:
        StageError: it is one.
    """
    if not getattr(model, "_nodes_by_depth", None) or not model.inputs:
        raise StageError(f"the model '{model.name}' ({type(model).__name__}) has no graph of layers, so its channels "
                         "cannot be followed", "a functional or Sequential model",
                         "write the model with keras.Model(inputs, outputs)")


def check_names(protect: Iterable[str], names: list[str]) -> None:
    """Refuse a pattern that no layer matches.

    Raises:
        ModelError: with the near miss.
    """
    for pattern in protect:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ModelError(with_near_miss(f"slim.protect names '{pattern}', which no layer matches", pattern, names),
                             ", ".join(names), "set slim.protect in the run file")


def _followed(ledger: Ledger, node: Any, outputs: list[Any], known: dict[int, Flow]) -> list[Flow]:
    """What is known of a call's outputs."""
    layer = node.layer
    if node.is_input:
        return [Fixed("an input of the model") for _ in outputs]
    inputs = node.keras_inputs
    shapes = tuple(tuple(tensor.shape[1:]) for tensor in inputs)
    call = Call(layer, tuple(known[id(tensor)] for tensor in inputs), shapes, tuple(outputs[0].shape[1:]))
    why = _unfollowed(call, node, len(outputs))
    if why:
        return [ledger.fixed(call, why) for _ in outputs]
    return [RULES[call.kind](ledger, call)]


def _unfollowed(call: Call, node: Any, outputs: int) -> str:
    """Why a call cannot be followed, as a clause about its layer; empty where it can."""
    layer = call.layer
    home = type(layer).__module__.partition(".")[0]
    if call.kind in _OVER_CHANNELS:
        return "normalizes over channels"
    if call.kind not in RULES or home not in ("tf_keras", "keras"):
        return "is not followed"
    if getattr(layer, "data_format", None) not in (None, "channels_last"):
        return "has its channels first"
    if outputs != 1 or (len(call.flows) != 1 and call.kind not in passing.MERGING) or _tensor_arguments(node):
        return "is called in a way that is not followed"
    return ""


def _tensor_arguments(node: Any) -> bool:
    """Whether a call takes tensors elsewhere than in its first argument."""
    import tensorflow as tf

    first = {id(tensor) for tensor in tf.nest.flatten(node.call_args[0])} if node.call_args else set()
    return any(id(tensor) not in first for tensor in node.keras_inputs)

