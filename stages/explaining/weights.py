"""Weights and biases of a variant beside the float model's: what rounding them costs before any sample is run."""

from __future__ import annotations

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
        crests: the same over the channel's root of the mean square; 0 for a channel of zeros.
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
        root = np.sqrt(energy / float_weights.shape[1])
        peaks = np.abs(float_weights).max(axis=1)
        crests = np.where(root > 0, peaks / root, 0.0)
    whole = float(10 * np.log10(energy.sum() / noise.sum())) if noise.sum() > 0 and energy.sum() > 0 else None
    biases = [_tensor(graph, inputs, place.bias) for graph, inputs in
              ((pairing.variant, pair.made.inputs), (pairing.reference, pair.original.inputs))]
    return WeightFacts(
        snr_db=whole, channel_snr_db=by_channel, bits=stored.bits, per_channel=len(stored.scales) > 1, peaks=peaks,
        crests=crests, zeros=float((made == 0).mean()), values=max(len(np.unique(row)) for row in made),
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
