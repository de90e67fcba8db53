"""How channels go through layers with a kernel, and how many multiply-accumulates each of them is.

MACs are those of `device_profiles.workload`. With C input channels, K output channels, k taps and S positions:

    convolution          S_out k C K       (each of G groups: C / G inputs, K / G outputs)
    depthwise            S_out k C m       (m: the depth multiplier)
    separable            both, the second with one tap
    transposed           S_in k C K
    dense                S C K             (over a sequence; a workload cannot see S behind a reshape of an open batch)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stages.slimming.activations import acts_alone
from stages.slimming.labels import Channels, Fixed, Flow, LabelArray
from stages.slimming.ledger import Call, Ledger, positions

Rule = Callable[[Ledger, Call], Flow]
"""What a layer's output is, once cuts, settings and work are noted."""
_AXIS = "reads channels along another axis than its last"


def convolution(ledger: Ledger, call: Call) -> Flow:
    """Conv1D, Conv2D, Conv3D; kernel (taps ..., C / groups, K)."""
    layer, groups = call.layer, call.layer.groups
    flow = ledger.last_axis(call, _AXIS)
    makes = ledger.make(layer, layer.filters)
    factor = positions(call.out_shape) * math.prod(layer.kernel_size)
    if groups > 1:
        _grouped(ledger, call, flow, makes, factor)
    else:
        ledger.cut(layer, layer.kernel, -2, flow, "reads")
        ledger.count(call, factor, flow, makes)
    ledger.cut(layer, layer.kernel, -1, makes, "makes")
    ledger.cut(layer, layer.bias, 0, makes, "follows")
    ledger.set(layer, "filters", makes)
    return _activated(ledger, call, makes)


def _grouped(ledger: Ledger, call: Call, flow: Flow, makes: LabelArray, factor: float) -> None:
    """Groups must stay of one size: either whole groups go, or the same places in every group, whichever is finer."""
    layer, groups = call.layer, call.layer.groups
    inputs = int(call.shape[-1] or 0) // groups
    if isinstance(flow, Fixed):
        # the number of groups stays, and each keeps as many outputs as the others
        _same_places(ledger, makes, groups)
        ledger.set(layer, "groups", flow)
        ledger.cut(layer, layer.kernel, -2, flow, "reads")
        ledger.count(call, factor * inputs, None, makes)
    elif inputs <= groups:
        rows, outputs = flow.labels.reshape(groups, -1), makes.reshape(groups, -1)
        for group in (rows, outputs):
            ledger.labels.unite(group, np.broadcast_to(rows[:, :1], group.shape))
        ledger.set(layer, "groups", flow, share=inputs)
        ledger.cut(layer, layer.kernel, -2, Fixed(f"'{layer.name}' has groups of one size"), "reads")
        ledger.count(call, factor * inputs, None, makes)
    else:
        _same_places(ledger, flow.labels, groups)
        _same_places(ledger, makes, groups)
        ledger.cut(layer, layer.kernel, -2, flow.labels[:inputs], "reads")
        ledger.count(call, factor, flow.labels[:inputs], makes)


def _same_places(ledger: Ledger, labels: LabelArray, groups: int) -> None:
    """Have the channels at the same place of every group belong together."""
    rows = labels.reshape(groups, -1)
    for row in rows[1:]:
        ledger.labels.unite(rows[0], row)


def depthwise(ledger: Ledger, call: Call) -> Flow:
    """DepthwiseConv1D, DepthwiseConv2D; kernel (taps ..., C, multiplier), output channel c * multiplier + i."""
    layer = call.layer
    kernel, multiplier = layer.depthwise_kernel, layer.depth_multiplier
    flow = ledger.last_axis(call, _AXIS)
    factor = positions(call.out_shape) * math.prod(layer.kernel_size) * multiplier
    ledger.count(call, factor, flow, None)
    ledger.cut(layer, kernel, -2, flow, "follows")
    if isinstance(flow, Fixed):
        ledger.cut(layer, layer.bias, 0, flow, "follows")
        return flow
    repeated = np.repeat(flow.labels, multiplier)
    ledger.cut(layer, layer.bias, 0, repeated, "follows")
    return _activated(ledger, call, repeated)


def separable(ledger: Ledger, call: Call) -> Flow:
    """SeparableConv1D, SeparableConv2D: a depthwise kernel, then one of (1 ..., C * multiplier, K)."""
    layer, multiplier = call.layer, call.layer.depth_multiplier
    flow = ledger.last_axis(call, _AXIS)
    places, makes = positions(call.out_shape), ledger.make(layer, layer.filters)
    ledger.count(call, places * math.prod(layer.kernel_size) * multiplier, flow, None)
    ledger.count(call, places * multiplier, flow, makes)
    between: Flow = flow if isinstance(flow, Fixed) else Channels(flow.axis, np.repeat(flow.labels, multiplier))
    ledger.cut(layer, layer.depthwise_kernel, -2, flow, "follows")
    ledger.cut(layer, layer.pointwise_kernel, -2, between, "reads")
    ledger.cut(layer, layer.pointwise_kernel, -1, makes, "makes")
    ledger.cut(layer, layer.bias, 0, makes, "follows")
    ledger.set(layer, "filters", makes)
    return _activated(ledger, call, makes)


def transposed(ledger: Ledger, call: Call) -> Flow:
    """Conv1DTranspose, Conv2DTranspose; kernel (taps ..., K, C)."""
    layer = call.layer
    flow = ledger.last_axis(call, _AXIS)
    makes = ledger.make(layer, layer.filters)
    ledger.cut(layer, layer.kernel, -1, flow, "reads")
    ledger.cut(layer, layer.kernel, -2, makes, "makes")
    ledger.cut(layer, layer.bias, 0, makes, "follows")
    ledger.set(layer, "filters", makes)
    ledger.count(call, positions(call.shape) * math.prod(layer.kernel_size), flow, makes)
    return _activated(ledger, call, makes)


def dense(ledger: Ledger, call: Call) -> Flow:
    """Dense; kernel (C, K)."""
    layer = call.layer
    flow = ledger.last_axis(call, _AXIS)
    makes = ledger.make(layer, layer.units)
    ledger.cut(layer, layer.kernel, 0, flow, "reads")
    ledger.cut(layer, layer.kernel, 1, makes, "makes")
    ledger.cut(layer, layer.bias, 0, makes, "follows")
    ledger.set(layer, "units", makes)
    ledger.count(call, positions(call.shape), flow, makes)
    return _activated(ledger, call, makes)


def embedding(ledger: Ledger, call: Call) -> Flow:
    """Embedding; table (words, K)."""
    layer = call.layer
    ledger.fix(call.flow, f"'{layer.name}' (Embedding) reads indexes")
    makes = ledger.make(layer, layer.output_dim)
    ledger.cut(layer, layer.embeddings, 1, makes, "makes")
    ledger.set(layer, "output_dim", makes)
    return Channels(len(call.out_shape) - 1, makes)


def _activated(ledger: Ledger, call: Call, makes: LabelArray) -> Flow:
    """The output after the layer's own activation."""
    if not acts_alone(call.layer.activation):
        ledger.labels.fix(makes, f"the activation of '{call.layer.name}' mixes its channels")
    return Channels(len(call.out_shape) - 1, makes)


RULES: Mapping[str, Rule] = {
    "Conv1D": convolution, "Conv2D": convolution, "Conv3D": convolution,
    "DepthwiseConv1D": depthwise, "DepthwiseConv2D": depthwise,
    "SeparableConv1D": separable, "SeparableConv2D": separable,
    "Conv1DTranspose": transposed, "Conv2DTranspose": transposed,
    "Dense": dense, "Embedding": embedding,
}


def has_kernel(layer: Any) -> bool:
    """Whether a layer is one of those that make or read channels."""
    return type(layer).__name__ in RULES
