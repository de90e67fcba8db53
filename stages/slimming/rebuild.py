"""The narrower model: the same layers with smaller numbers in their configs and slices of their weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.slimming.labels import LabelArray
from stages.slimming.ledger import Ledger, Setting
from stages.slimming.trace import Trace

Entry = dict[str, Any]


class Removed:
    """Classes of channels that go."""

    def __init__(self, trace: Trace, roots: Collection[int]) -> None:
        self.ledger: Ledger = trace.ledger
        self.roots = frozenset(roots)

    def kept(self, labels: LabelArray) -> NDArray[np.int64]:
        """Places of the labels that stay, ascending."""
        roots = self.ledger.labels.roots(labels)
        return np.flatnonzero([int(root) not in self.roots for root in roots])

    def gone(self, labels: LabelArray) -> NDArray[np.int64]:
        """Places of the labels that go, ascending."""
        return np.setdiff1d(np.arange(len(labels)), self.kept(labels))


def rebuild(model: Any, removed: Removed) -> Any:
    """An ordinary model without the removed channels: same layers, same names, same graph.

    Args:
        model: the model that was traced; it is not changed.
        removed: what goes.
    """
    config = model.get_config()
    settings: dict[str, list[Setting]] = {}
    for setting in removed.ledger.settings:
        settings.setdefault(setting.layer, []).append(setting)
    entries = [_narrowed(entry, settings.get(entry["config"]["name"], []), removed) for entry in config["layers"]]
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    for cut in removed.ledger.cuts:
        arrays = weights[cut.layer]
        arrays[cut.weight] = np.take(arrays[cut.weight], removed.kept(cut.labels), axis=cut.axis)
    return made_of(model, config | {"layers": entries}, weights)


def made_of(model: Any, config: dict[str, Any], weights: Mapping[str, list[NDArray[Any]]]) -> Any:
    """A model of a changed config, with these weights.

    Args:
        model: the one that the config was taken of, for its class and those of its layers.
        config: what `get_config` gave, changed.
        weights: by layer; those of layers that are gone are not looked at.
    """
    own = {type(layer).__name__: type(layer) for layer in model.layers}
    made = type(model).from_config(config, custom_objects=own)
    for layer in made.layers:
        if layer.weights:
            layer.set_weights(weights[layer.name])
    return made


def _narrowed(entry: Entry, settings: list[Setting], removed: Removed) -> Entry:
    """A layer's entry in the model's config. What it says of the shapes it was built for no longer holds."""
    config = dict(entry["config"])
    for setting in settings:
        count = len(removed.kept(setting.labels)) // setting.share
        if setting.place < 0:
            config[setting.key] = count
        else:
            numbers = list(config[setting.key])
            numbers[setting.place] = count
            config[setting.key] = tuple(numbers)
    return {key: value for key, value in entry.items() if key != "build_config"} | {"config": config}
