"""Layers that give each channel a factor and an offset, and what becomes of a kernel that takes them in.

For channel c of the last axis such a layer computes `y_c = scale_c * x_c + offset_c`:

    BatchNormalization   scale = gamma / sqrt(variance + epsilon)    offset = beta - mean * scale
    Normalization        scale = 1 / max(sqrt(variance), 1e-7)       offset = -mean * scale
    Rescaling            scale and offset as given

A kernel before it takes it in as `W'_k = scale_k W_k, b'_k = scale_k b_k + offset_k` for each output channel k, a
kernel behind it as `W'_ck = scale_c W_ck, b'_k = b_k + (sum over taps and c of offset_c W_ck)`. Sums are in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

AFFINE_LAYERS = ("BatchNormalization", "SyncBatchNormalization", "Normalization", "Rescaling")
KERNEL_LAYERS = ("Dense", "Conv1D", "Conv2D", "Conv3D")
"""Kernels of (taps ..., input channels, output channels)."""
DEPTHWISE_LAYERS = ("DepthwiseConv1D", "DepthwiseConv2D")
"""Kernels of (taps ..., channels, multiplier)."""
TRANSPOSED_LAYERS = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
"""Kernels of (taps ..., output channels, input channels)."""
_LEAST_DEVIATION = 1e-7  # Normalization divides by no less: keras.backend.epsilon()

Floats = NDArray[np.float64]
Weights = list[NDArray[np.float32]]


@dataclass(frozen=True)
class Affine:
    """`scale * x + offset`, each of the shape (channels,)."""

    scale: Floats
    offset: Floats


def affine_of(layer: Any) -> Affine | None:
    """What a layer of `AFFINE_LAYERS` computes, or None where it is not one factor and offset per last-axis channel."""
    shape = layer.input_shape
    if isinstance(shape, list) or shape[-1] is None:
        return None
    ones = np.ones(shape[-1])
    if type(layer).__name__ == "Rescaling":
        scale, offset = np.asarray(layer.scale, np.float64), np.asarray(layer.offset, np.float64)
        return Affine(ones * scale, ones * offset) if max(scale.ndim, offset.ndim) <= 1 else None
    if type(layer).__name__ == "Normalization":
        return _normalization(layer, len(shape), ones)
    if type(layer).__name__ in AFFINE_LAYERS and tuple(np.atleast_1d(layer.axis)) in ((-1,), (len(shape) - 1,)):
        return _batch_normalization(layer, ones)
    return None


def _batch_normalization(layer: Any, ones: Floats) -> Affine:
    """In inference: by the moving statistics."""
    gamma, beta = (ones if layer.gamma is None else np.asarray(layer.gamma.numpy(), np.float64),
                   0 * ones if layer.beta is None else np.asarray(layer.beta.numpy(), np.float64))
    scale = gamma / np.sqrt(np.asarray(layer.moving_variance.numpy(), np.float64) + layer.epsilon)
    return Affine(scale, beta - np.asarray(layer.moving_mean.numpy(), np.float64) * scale)


def _normalization(layer: Any, rank: int, ones: Floats) -> Affine | None:
    """By the layer's own mean and variance, given or adapted; None where they differ along other axes, or invert."""
    if layer.invert or any(axis % rank != rank - 1 for axis in layer.axis or ()):
        return None
    mean, variance = (np.asarray(value, np.float64).reshape(-1) for value in (layer.mean, layer.variance))
    scale = 1 / np.maximum(np.sqrt(variance), _LEAST_DEVIATION)
    return Affine(ones * scale, ones * (-mean * scale))


def folded_after(kind: str, weights: Weights, affine: Affine) -> Weights:
    """[kernel, bias] of a layer that computes its own output and then `affine` of it.

    Args:
        kind: the layer's class, one of `KERNEL_LAYERS`, `DEPTHWISE_LAYERS` and `TRANSPOSED_LAYERS`.
        weights: [kernel] or [kernel, bias]; the bias is (output channels,).
        affine: of the output channels.
    """
    kernel, bias = _kernel_and_bias(weights, len(affine.scale))
    if kind in DEPTHWISE_LAYERS:  # output channel c * multiplier + m
        kernel = kernel * affine.scale.reshape(kernel.shape[-2:])
    elif kind in TRANSPOSED_LAYERS:
        kernel = kernel * affine.scale[:, None]
    else:
        kernel = kernel * affine.scale
    return _float32(kernel, affine.scale * bias + affine.offset)


def folded_before(kind: str, weights: Weights, affine: Affine) -> Weights:
    """[kernel, bias] of a layer that reads `affine` of its input; exact where no tap of it reads padding.

    Args:
        kind: the layer's class, one of `KERNEL_LAYERS` (ungrouped) and `DEPTHWISE_LAYERS`.
        weights: [kernel] or [kernel, bias].
        affine: of the input channels.
    """
    shape = weights[0].shape
    kernel, bias = _kernel_and_bias(weights, shape[-2] * shape[-1] if kind in DEPTHWISE_LAYERS else shape[-1])
    given = kernel * affine.offset[:, None]  # (taps ..., input channels, output channels or multiplier)
    taps = tuple(range(kernel.ndim - 2))
    added = given.sum(axis=taps).reshape(-1) if kind in DEPTHWISE_LAYERS else given.sum(axis=(*taps, kernel.ndim - 2))
    return _float32(kernel * affine.scale[:, None], bias + added)


def _kernel_and_bias(weights: Weights, channels: int) -> tuple[Floats, Floats]:
    """Both in float64; zeros for a bias that is not there."""
    bias = np.asarray(weights[1], np.float64) if len(weights) > 1 else np.zeros(channels)
    return np.asarray(weights[0], np.float64), bias


def _float32(kernel: Floats, bias: Floats) -> Weights:
    return [kernel.astype(np.float32), bias.astype(np.float32)]
