"""What following channels through a graph writes down: where a removed one has to be cut out, and what it saves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from stages.slimming.labels import Channels, Fixed, Flow, LabelArray, Labels

Role = Literal["makes", "reads", "follows"]
"""What a weight's axis has to do with channels: it makes them, reads them, or works on each by itself."""
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Call:
    """One call of a layer: its inputs and what is known of them. Shapes are those of a sample, without the batch."""

    layer: Any
    flows: tuple[Flow, ...]
    shapes: tuple[Shape, ...]
    out_shape: Shape

    @property
    def flow(self) -> Flow:
        """Of the only input."""
        return self.flows[0]

    @property
    def shape(self) -> Shape:
        """Of the only input."""
        return self.shapes[0]

    @property
    def kind(self) -> str:
        """The layer's class."""
        return type(self.layer).__name__


@dataclass(frozen=True)
class Cut:
    """An axis of a weight whose places belong to channels.

    Attributes:
        layer: its name.
        weight: place in `layer.get_weights()`.
        axis: of the weight, from 0.
        labels: (length of the axis,).
    """

    layer: str
    weight: int
    axis: int
    labels: LabelArray
    role: Role


@dataclass(frozen=True)
class Setting:
    """A number in a layer's config that says how many channels there are: `len(kept labels) // share`.

    Attributes:
        place: for a list of numbers, which of them; -1 for a number by itself.
    """

    layer: str
    key: str
    labels: LabelArray
    share: int = 1
    place: int = -1


@dataclass(frozen=True)
class Work:
    """Multiply-accumulates of one call: `factor * len(kept reads) * len(kept makes)`; None counts as 1."""

    layer: str
    factor: float
    reads: LabelArray | None
    makes: LabelArray | None


@dataclass
class Ledger:
    """All of a graph's cuts, settings and work, and the labels that they speak of.

    Attributes:
        made: by layer with a kernel, the labels of its output channels.
        joined: labels of channels that an addition (or the like) brought together.
    """

    labels: Labels = field(default_factory=Labels)
    work: list[Work] = field(default_factory=list)
    made: dict[str, LabelArray] = field(default_factory=dict)
    joined: list[LabelArray] = field(default_factory=list)
    _cuts: dict[tuple[str, int, int], Cut | str] = field(default_factory=dict)
    _settings: dict[tuple[str, str, int], Setting | str] = field(default_factory=dict)

    @property
    def cuts(self) -> list[Cut]:
        """In the order in which they were met."""
        return [cut for cut in self._cuts.values() if isinstance(cut, Cut)]

    @property
    def settings(self) -> list[Setting]:
        """In the order in which they were met."""
        return [setting for setting in self._settings.values() if isinstance(setting, Setting)]

    def make(self, layer: Any, count: int) -> LabelArray:
        """The labels of a layer's own output channels, the same ones for each call."""
        if layer.name not in self.made:
            self.made[layer.name] = self.labels.fresh(count)
        return self.made[layer.name]

    def fix(self, flows: Flow | Iterable[Flow], reason: str) -> None:
        """Have the channels of tensors stay."""
        for flow in (flows,) if isinstance(flows, Channels | Fixed) else flows:
            if isinstance(flow, Channels):
                self.labels.fix(flow.labels, reason)

    def fixed(self, call: Call, why: str) -> Fixed:
        """Have a call's inputs and its output stay as they are.

        Args:
            call: the call.
            why: a clause about the layer: "is not followed".
        """
        reason = f"'{call.layer.name}' ({call.kind}) {why}"
        self.fix(call.flows, reason)
        return Fixed(reason)

    def last_axis(self, call: Call, why: str) -> Flow:
        """The only input, whose channels must lie along the last axis; elsewhere they are fixed."""
        flow = call.flow
        if isinstance(flow, Channels) and flow.axis != len(call.shape) - 1:
            reason = f"'{call.layer.name}' ({call.kind}) {why}"
            self.fix(flow, reason)
            return Fixed(reason)
        return flow

    def cut(self, layer: Any, variable: Any, axis: int, found: Flow | LabelArray, role: Role) -> None:
        """Note that an axis of a weight belongs to channels; a layer's second call unites them with the first one's.

        Args:
            layer: the layer.
            variable: one of its weights, or None for one that it does not have.
            axis: of the weight; negative ones count from the end.
            found: the labels, or the tensor that they are of; of a fixed one the axis stays as it is.
            role: what the axis has to do with the channels.
        """
        if variable is None:
            return
        place = next(place for place, weight in enumerate(layer.weights) if weight is variable)
        axis %= len(variable.shape)
        new = found.reason if isinstance(found, Fixed) else Cut(
            layer.name, place, axis, found.labels if isinstance(found, Channels) else found, role)
        known = self._cuts.setdefault((layer.name, place, axis), new)
        self._agree(known, new)

    def set(self, layer: Any, key: str, found: Flow | LabelArray, share: int = 1, place: int = -1) -> None:
        """Note that a number in a layer's config counts channels; as `cut`."""
        new = found.reason if isinstance(found, Fixed) else Setting(
            layer.name, key, found.labels if isinstance(found, Channels) else found, share, place)
        self._agree(self._settings.setdefault((layer.name, key, place), new), new)

    def _agree(self, known: Cut | Setting | str, new: Cut | Setting | str) -> None:
        """Two calls of a layer share its weights: what is cut for one is cut for the other."""
        if known is new:
            return
        if not isinstance(known, str) and not isinstance(new, str):
            self.labels.unite(known.labels, new.labels)
            return
        for each, other in ((known, new), (new, known)):
            if not isinstance(each, str) and isinstance(other, str):
                self.labels.fix(each.labels, other)

    def count(self, call: Call, factor: float, reads: Flow | LabelArray | None, makes: LabelArray | None) -> None:
        """Note the multiply-accumulates of a call; the channels of a fixed input are counted where it stands."""
        if isinstance(reads, Fixed):
            reads, factor = None, factor * (call.shape[-1] or 1)
        labels = reads.labels if isinstance(reads, Channels) else reads
        self.work.append(Work(call.layer.name, factor, labels, makes))


def positions(shape: Shape) -> int:
    """Elements of a sample's shape without its last axis; an open axis counts as 1, as in a workload."""
    return math.prod(length or 1 for length in shape[:-1])
