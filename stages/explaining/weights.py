"""Weights and biases of a variant beside the float model's: what rounding them costs before any sample is run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.tflite import Graph, Tensor
from stages.converting.weights import PLACES, Editor, unpacked
from stages.explaining.pairs import Pair, Pairing, constant, producers

Array = NDArray[Any]

_STORED = {"float32": "<f4", "float16": "<f2", "int8": "<i1", "uint8": "<u1", "int16": "<i2", "int32": "<i4",
           "int64": "<i8"}
_ENOUGH, _USUAL = 10, 0.9  # weights that a channel must have; part of them that is usual
CREST = 10.0
"""Largest weight over the usual ones from which on it is an outlier.

576 normal weights reach 3.9 on average, as many of a Laplace distribution 6.7 (worked out for `_usual`).
"""
_LIMITS = {"int32": 2**31 - 1, "int64": 2**63 - 1}


@dataclass(frozen=True)
class WeightFacts:
    """The weights of one operator.

    Attributes:
        snr_db: `10 log10(sum(w^2) / sum((v - w)^2))`, v: the variant's, dequantized; None where they are equal.
        channel_snr_db: the same by output channel; infinite where equal.
        bits: of one weight as stored.
        per_channel: whether each output channel has a scale of its own.
        peaks: largest absolute float weight by output channel.
        crests: the same over the root of the mean square of the channel's usual weights: those that are not zero, less
            the largest tenth. 0 for a channel that has too few.
        outlying_inputs: input channels whose weights are far beyond the usual ones in most output channels.
        zeros: share of the variant's weights that are zero, 0 to 1.
        values: most distinct values of one channel's weights in the variant.
        bias_error: variant's bias less the float one by channel, in real values; None without biases.
        bias_clipped: channels whose bias stands at the end of its integer type.
    """

    snr_db: float | None
    channel_snr_db: Array
    bits: int
    per_channel: bool
    peaks: Array
    crests: Array
    outlying_inputs: tuple[int, ...]
    zeros: float
    values: int
    bias_error: Array | None
    bias_clipped: tuple[int, ...]


def weight_facts(pairing: Pairing, pair: Pair) -> WeightFacts | None:
    """What is known of a pair's weights; None for an operator without constant weights.

    Args:
        pairing: that the pair is of.
        pair: an operator of the variant and the float model's.
    """
    place = PLACES.get(pair.made.name)
    if place is None:
        return None
    stored = _tensor(pairing.variant, pair.made.inputs, place.weights)
    wanted = _tensor(pairing.reference, pair.original.inputs, place.weights)
    if stored is None or wanted is None or stored.shape != wanted.shape:
        return None
    float_weights, made = _rows(real_values(wanted), place.axis), _rows(real_values(stored), place.axis)
    energy, noise = (float_weights**2).sum(axis=1), ((made - float_weights)**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_channel = np.where(noise > 0, 10 * np.log10(energy / noise), np.inf)
        usual = _usual(float_weights)
        peaks = np.abs(float_weights).max(axis=1)
        crests = np.where(usual > 0, peaks / usual, 0.0)
    whole = float(10 * np.log10(energy.sum() / noise.sum())) if noise.sum() > 0 and energy.sum() > 0 else None
    biases = [_tensor(graph, inputs, place.bias) for graph, inputs in
              ((pairing.variant, pair.made.inputs), (pairing.reference, pair.original.inputs))]
    inputs = _outlying_inputs(float_weights, usual, wanted.shape, place.axis)
    return WeightFacts(
        snr_db=whole, channel_snr_db=by_channel, bits=stored.bits, per_channel=len(stored.scales) > 1, peaks=peaks,
        crests=crests, outlying_inputs=inputs, zeros=float((made == 0).mean()),
        values=max(len(np.unique(row)) for row in made),
        bias_error=_bias_error(*biases), bias_clipped=_clipped(biases[0]))


def with_weights(reference: bytes, pairing: Pairing) -> bytes:
    """The float model with the variant's weights and biases, dequantized.

    A variant that was trained with quantization has weights of its own; held against this model, it shows what its
    activations cost and not how far training has moved the weights.

    Args:
        reference: the float tflite model of `pairing`.
        pairing: of the variant with it.
    """
    editor = Editor(reference)
    ordinals = {operator.index: ordinal for ordinal, operator in
                enumerate(each for each in pairing.reference.operators if each.name in PLACES)}
    for pair in pairing.pairs:
        place = PLACES.get(pair.made.name)
        if place is None:
            continue
        found = [_tensor(pairing.variant, pair.made.inputs, position) for position in (place.weights, place.bias)]
        shapes = [_tensor(pairing.reference, pair.original.inputs, position)
                  for position in (place.weights, place.bias)]
        weights, bias = (real_values(one).astype(np.float32) if one is not None and other is not None
                         and one.shape == other.shape else None for one, other in zip(found, shapes, strict=True))
        editor.set_floats(ordinals[pair.original.index], weights, bias)
    return editor.content()


def real_values(tensor: Tensor) -> Array:
    """A constant's values as float64: `scale * (q - zero_point)`, by slice of the axis where there are several scales.

    Args:
        tensor: dense; of a type that weights and biases have.
    """
    if tensor.bits < 8:
        values: Array = unpacked(bytes(tensor.data), tensor.elements).reshape(tensor.shape).astype(np.float64)
    else:
        values = np.frombuffer(tensor.data, _STORED[tensor.dtype]).reshape(tensor.shape).astype(np.float64)
    if not tensor.scales:
        return values
    shape = [1] * len(tensor.shape)
    if len(tensor.scales) > 1:
        shape[tensor.axis] = -1
    zeros = np.array(tensor.zero_points or [0], np.float64)
    zero = zeros.reshape(shape) if len(zeros) > 1 else zeros[0]
    real: Array = (values - zero) * np.array(tensor.scales, np.float64).reshape(shape if len(tensor.scales) > 1 else ())
    return real


def _usual(rows: Array) -> Array:
    """(channels,): root of the mean square of each row's weights that are not zero, less the largest tenth of them."""
    found = np.zeros(len(rows))
    for number, row in enumerate(rows):
        values = np.sort(np.abs(row[row != 0]))
        if len(values) >= _ENOUGH:
            found[number] = math.sqrt(float((values[:int(_USUAL * len(values))]**2).mean()))
    return found


def _outlying_inputs(rows: Array, usual: Array, shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Input channels whose weights are far beyond the usual ones in at least half of the output channels.

    Args:
        rows: (output channels, weights of each), the weights' last axis running fastest.
        usual: (output channels,), see `_usual`.
        shape: of the weights as stored.
        axis: of the output channels.
    """
    if axis == len(shape) - 1 or not (usual > 0).any():
        return ()
    far = (np.abs(rows) > CREST * usual[:, None]) & (usual > 0)[:, None]
    by_input = far.reshape(len(rows), -1, shape[-1]).any(axis=1).sum(axis=0)  # (input channels,)
    return tuple(np.flatnonzero(by_input >= len(rows) / 2).tolist())


def _rows(values: Array, axis: int) -> Array:
    """(output channels, weights of each)."""
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def _tensor(graph: Graph, inputs: tuple[int, ...], position: int) -> Tensor | None:
    """A dense constant among an operator's inputs."""
    if len(inputs) <= position:
        return None
    tensor = constant(graph, producers(graph), inputs[position])
    known = tensor is not None and not tensor.sparse and (tensor.dtype in _STORED or tensor.bits == 4)
    return tensor if known else None


def _bias_error(made: Tensor | None, wanted: Tensor | None) -> Array | None:
    """The variant's bias less the float model's."""
    if made is None or wanted is None or made.shape != wanted.shape:
        return None
    return real_values(made) - real_values(wanted)


def _clipped(bias: Tensor | None) -> tuple[int, ...]:
    """Channels whose bias stands at the end of its type."""
    limit = _LIMITS.get(bias.dtype) if bias is not None and bias.scales else None
    if bias is None or limit is None:
        return ()
    values = np.frombuffer(bias.data, _STORED[bias.dtype]).astype(np.float64)
    return tuple(np.flatnonzero(np.abs(values) >= limit).tolist())
