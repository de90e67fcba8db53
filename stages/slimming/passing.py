"""How channels go through layers without a kernel: most pass them on, merges bring them together, some keep them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from stages.slimming.activations import acts_alone
from stages.slimming.kernels import Rule
from stages.slimming.labels import Channels, Fixed, Flow, LabelArray
from stages.slimming.ledger import Call, Ledger, Shape

ADDING = ("Add", "Subtract", "Average", "Maximum", "Minimum")
"""Merges whose inputs carry the same thing on, as a residual stream; a product's input is a gate of the other one."""


def same(ledger: Ledger, call: Call) -> Flow:  # noqa: ARG001
    """A layer that works on each element by itself, or along no axis: dropout, ReLU."""
    return call.flow


def activation(ledger: Ledger, call: Call) -> Flow:
    """Activation."""
    return call.flow if acts_alone(call.layer.activation) else ledger.fixed(call, "mixes channels")


def softmax(ledger: Ledger, call: Call) -> Flow:
    """Softmax along other axes than that of the channels passes them on."""
    axes = np.atleast_1d(call.layer.axis)
    return call.flow if _avoids(call, axes) else ledger.fixed(call, "mixes channels")


def spatial(ledger: Ledger, call: Call) -> Flow:
    """Pooling, padding, cropping, enlarging: each channel of the last axis by itself."""
    flow = ledger.last_axis(call, "works along the axis of the channels")
    return Channels(len(call.out_shape) - 1, flow.labels) if isinstance(flow, Channels) else flow


def batch_normalization(ledger: Ledger, call: Call) -> Flow:
    """A scale and an offset for each place of one axis (or several); inference has no statistics across channels."""
    layer = call.layer
    axes = [axis % (len(call.shape) + 1) - 1 for axis in np.atleast_1d(layer.axis)]  # without the batch axis
    flow = call.flow
    if isinstance(flow, Channels) and len(axes) > 1:
        return ledger.fixed(call, "normalizes along several axes")
    along = flow if isinstance(flow, Channels) and flow.axis in axes else Fixed(
        f"'{layer.name}' ({call.kind}) has a scale for each place of another axis")
    for weight in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance):
        ledger.cut(layer, weight, 0, along, "follows")
    return flow


def prelu(ledger: Ledger, call: Call) -> Flow:
    """PReLU; slopes of a sample's shape, 1 along shared axes."""
    alpha, flow = call.layer.alpha, call.flow
    for axis, length in enumerate(alpha.shape):
        if length != 1:
            along = isinstance(flow, Channels) and flow.axis == axis
            stays = Fixed(f"'{call.layer.name}' (PReLU) has slopes along another axis")
            ledger.cut(call.layer, alpha, axis, flow if along else stays, "follows")
    return flow


def rescaling(ledger: Ledger, call: Call) -> Flow:
    """Rescaling by one number; with a number for each channel it stays as it is."""
    one = all(np.ndim(value) == 0 for value in (call.layer.scale, call.layer.offset))
    return call.flow if one else ledger.fixed(call, "has numbers for each channel")


def merge(ledger: Ledger, call: Call) -> Flow:
    """Add, Multiply and the like: channels at the same place belong together; an axis of length 1 meets every place.

    Keras aligns samples of fewer axes with the last ones.
    """
    rank = len(call.out_shape)
    aligned = [_moved(flow, rank - len(shape)) for flow, shape in zip(call.flows, call.shapes, strict=True)]
    wide = [flow for flow in aligned if isinstance(flow, Channels) and len(flow.labels) > 1]
    ledger.fix([flow for flow in aligned if isinstance(flow, Channels) and len(flow.labels) == 1],
               f"'{call.layer.name}' ({call.kind}) spreads it over other channels")
    if len({flow.axis for flow in wide}) > 1:
        return ledger.fixed(call, "brings different axes of channels together")
    if not wide or _meets_fixed(call, wide[0].axis):
        return _all_fixed(ledger, call)
    return _united(ledger, wide, joined=call.kind in ADDING)


def _united(ledger: Ledger, flows: Sequence[Channels], *, joined: bool = False) -> Channels:
    """Channels at the same places, of tensors that go together; noted as joined where that is asked."""
    if joined and len(flows) > 1:
        ledger.joined.append(flows[0].labels)
    for flow in flows[1:]:
        ledger.labels.unite(flows[0].labels, flow.labels)
    return flows[0]


def _moved(flow: Flow, by: int) -> Flow:
    """The same channels in a tensor with more axes in front."""
    return Channels(flow.axis + by, flow.labels) if isinstance(flow, Channels) else flow


def _meets_fixed(call: Call, axis: int) -> bool:
    """Whether an input that cannot change is as long as the channels along their axis."""
    rank = len(call.out_shape)
    for flow, shape in zip(call.flows, call.shapes, strict=True):
        place = axis - (rank - len(shape))
        if isinstance(flow, Fixed) and place >= 0 and shape[place] != 1:
            return True
    return False


def _all_fixed(ledger: Ledger, call: Call) -> Fixed:
    """A merge with what cannot change keeps all its inputs, for the reason of that one."""
    for flow in call.flows:
        if isinstance(flow, Fixed):
            ledger.fix(call.flows, f"'{call.layer.name}' ({call.kind}) joins it with what cannot change: {flow.reason}")
            return flow
    return ledger.fixed(call, "has no channels to follow")


def concatenate(ledger: Ledger, call: Call) -> Flow:
    """Concatenate: along the axis of the channels one after the other, along another one at the same places."""
    rank = len(call.out_shape)
    axis = call.layer.axis % (rank + 1) - 1  # without the batch axis
    wide = [flow for flow in call.flows if isinstance(flow, Channels)]
    if len({flow.axis for flow in wide}) != 1:
        return ledger.fixed(call, "brings different axes of channels together") if wide else _all_fixed(ledger, call)
    if wide[0].axis != axis:
        if len(wide) < len(call.flows):
            return _all_fixed(ledger, call)
        return _united(ledger, wide)
    return Channels(axis, np.concatenate([_or_fixed(ledger, flow, shape[axis])
                                          for flow, shape in zip(call.flows, call.shapes, strict=True)]))


def _or_fixed(ledger: Ledger, flow: Flow, length: int | None) -> LabelArray:
    """Labels of a tensor; of one that cannot change, as many that stay."""
    if isinstance(flow, Channels):
        return flow.labels
    labels = ledger.labels.fresh(length or 0)
    ledger.labels.fix(labels, flow.reason)
    return labels


def permute(ledger: Ledger, call: Call) -> Flow:  # noqa: ARG001
    """Permute: output axis i is input axis dims[i]."""
    if isinstance(call.flow, Fixed):
        return call.flow
    return Channels(call.layer.dims.index(call.flow.axis + 1), call.flow.labels)


def repeat_vector(ledger: Ledger, call: Call) -> Flow:  # noqa: ARG001
    """RepeatVector: (C,) becomes (n, C)."""
    return Channels(1, call.flow.labels) if isinstance(call.flow, Channels) else call.flow


def reshape(ledger: Ledger, call: Call) -> Flow:
    """Flatten and Reshape, where the channels lie along one axis again afterwards: each owns what it owned before."""
    flow, shape, out = call.flow, call.shape, call.out_shape
    if isinstance(flow, Fixed):
        return flow
    if None in shape or None in out:
        return ledger.fixed(call, "reshapes an open axis")
    spread = _spread(flow, shape).reshape(_closed(out))
    axis = _only_axis(spread)
    if axis is None:
        return ledger.fixed(call, "spreads the channels over several axes")
    labels = np.moveaxis(spread, axis, 0).reshape(spread.shape[axis], -1)[:, 0]
    if call.kind == "Reshape" and call.layer.target_shape[axis] != -1:
        ledger.set(call.layer, "target_shape", labels, place=axis)
    return Channels(axis, labels)


def _spread(flow: Channels, shape: Shape) -> LabelArray:
    """The label of every element of a sample."""
    closed = _closed(shape)
    around = [1] * len(closed)
    around[flow.axis] = -1
    return np.broadcast_to(flow.labels.reshape(around), closed)


def _closed(shape: Shape) -> list[int]:
    """A shape without open axes, as numbers."""
    return [length for length in shape if length is not None]


def _only_axis(labels: LabelArray) -> int | None:
    """The one axis along which labels change; the longest one's where they do not, None where they do along several."""
    changing = [axis for axis, length in enumerate(labels.shape)
                if length > 1 and (np.take(labels, [0], axis) != labels).any()]
    if len(changing) > 1:
        return None
    return changing[0] if changing else int(np.argmax(labels.shape))


def _avoids(call: Call, axes: Iterable[int]) -> bool:
    """Whether a layer's axes, batch axis counted, leave out that of the channels."""
    rank = len(call.shape) + 1
    return isinstance(call.flow, Fixed) or call.flow.axis + 1 not in {int(axis) % rank for axis in axes}


_SAME = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianNoise", "GaussianDropout",
         "AlphaDropout", "ActivityRegularization", "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU")
_SPATIAL = (*(f"{kind}{rank}D" for rank in (1, 2, 3) for kind in (
    "MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling", "ZeroPadding", "Cropping",
    "UpSampling")), "Resizing", "CenterCrop")
_MERGES = (*ADDING, "Multiply")

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_SAME, same), **dict.fromkeys(_SPATIAL, spatial), **dict.fromkeys(_MERGES, merge),
    "Activation": activation, "Softmax": softmax, "BatchNormalization": batch_normalization,
    "SyncBatchNormalization": batch_normalization, "PReLU": prelu, "Rescaling": rescaling,
    "Concatenate": concatenate, "Permute": permute, "RepeatVector": repeat_vector,
    "Flatten": reshape, "Reshape": reshape,
}
MERGING = (*_MERGES, "Concatenate")
"""Layers of several inputs."""
