"""Integer weights for the layers of a float tflite model, each fitted to what the float model computes there.

Layers are taken in order. For each the model runs twice on the calibration samples: as it is, which gives the layer
the inputs x, and with all earlier layers quantized, which gives it the inputs y. Then

    W' = (C_yy + d I)^-1 (C_yx W + d I W)   gptq: make up for the error in y, by least squares
    q  = integers for W'                    see `stages.converting.rounding`
    b' = b + E[x] W - E[y] scale q          bias correction: take up the shift that is left

so that a layer's mean output is that of the float model, exactly, on these samples. C are covariances, or second
moments where the bias is to stay. Such shifts are the subject of Nagel et al., 2019, arXiv:1906.04721, section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.converting import rounding
from stages.converting.moments import (
    ROWS,
    Moments,
    Tap,
    as_matrix,
    from_matrix,
    groups_of,
    is_measured,
    moments_of,
    per_channel,
    rows_of,
)
from stages.converting.rounding import Doubles
from stages.converting.weights import Editor, Floats, Integers, Layer, read_layers, sharing
from stages.recipes import Algorithm

Array = NDArray[Any]
Batches = Callable[[], Iterable[Mapping[str, Array]]]

_DAMPING = 0.01


@dataclass(frozen=True)
class Wish:
    """What is asked of the weights.

    Attributes:
        bits: by a layer's ordinal, 8 or 4; others stay as they are.
        algorithm: see `stages.converting.rounding`.
        one_scale: ordinals of layers whose channels share one scale, because not every engine takes more.
        bias_correction: whether biases take up the shift.
    """

    bits: Mapping[int, int]
    algorithm: Algorithm
    bias_correction: bool
    one_scale: frozenset[int] = frozenset()

    @property
    def needs_samples(self) -> bool:
        """Whether the model has to run."""
        return self.bias_correction or self.algorithm == "gptq"


@dataclass(frozen=True)
class Fitted:
    """A layer's integer weights, and the bias that belongs to them.

    Attributes:
        noise: mean squared error of the layer's output before its activation, over its variance; None where it was not
            measured.
    """

    weights: Integers
    bias: Floats | None
    noise: float | None = None


def fit_weights(content: bytes, wish: Wish, batches: Batches, *, alone: bool = False) -> dict[int, Fitted]:
    """Integer weights by layer ordinal.

    Args:
        content: the float32 tflite model.
        wish: what is asked.
        batches: the calibration samples, anew for each call; each holds the inputs in the model's order.
        alone: fit each layer as if all others stayed in float.
    """
    work = _Work(content, wish, batches, alone)
    groups = [group for group in sharing(read_layers(content)) if group[0].ordinal in wish.bits]
    for group in groups:
        work.fit(group)
    return work.fitted


class _Work:
    """The float model and the one that is being quantized."""

    def __init__(self, content: bytes, wish: Wish, batches: Batches, alone: bool) -> None:
        self.fitted: dict[int, Fitted] = {}
        self._alone = alone
        self._content, self._wish, self._batches = content, wish, batches
        self._now = content

    def fit(self, group: list[Layer]) -> None:
        """One layer, or several that share their weights."""
        layer, bits = group[0], self._wish.bits[group[0].ordinal]
        if not self._wish.needs_samples or not is_measured(layer):
            found = {each.ordinal: Fitted(_plain(layer, bits, self._wish), each.bias) for each in group}
        else:
            moments, groups = self._measure(group)
            weights, shift, noise = _fit(layer, bits, moments, groups, self._wish)
            found = {each.ordinal: Fitted(weights, None if each.bias is None else each.bias + shift, noise)
                     for each in group}
        self.fitted |= found
        if self._wish.needs_samples and not self._alone:
            editor = Editor(self._now)
            for each in group:
                fitted = found[each.ordinal]
                editor.set_floats(each.ordinal, fitted.weights.floats(each.axis), fitted.bias)
            self._now = editor.content()

    def _measure(self, group: list[Layer]) -> tuple[Moments, int]:
        """Moments of what reaches the shared weights, and in how many groups."""
        tensors = sorted({layer.data for layer in group})
        before = Tap(self._content, tensors).read(self._batches())
        now = before if self._now is self._content else Tap(self._now, tensors).read(self._batches())
        limit = max(1, ROWS // len(group))
        rows_x, rows_y = (np.concatenate([rows_of(layer, found[layer.data], limit, layer.ordinal) for layer in group])
                          for found in (before, now))
        return moments_of(rows_x, rows_y), groups_of(group[0], before[group[0].data].shape[-1])


def _plain(layer: Layer, bits: int, wish: Wish) -> Integers:
    """Integers by the weights alone."""
    moved = np.moveaxis(layer.weights, layer.axis, -1)
    matrix = moved.reshape(1, -1, layer.channels).astype(np.float64)
    clip: Algorithm = "mse" if wish.algorithm == "gptq" else wish.algorithm
    one = layer.ordinal in wish.one_scale
    scales = rounding.one_scale(matrix, bits, clip) if one else rounding.scales_of(matrix, bits, clip)
    integers = rounding.nearest(matrix, scales, bits).reshape(moved.shape)
    return _integers(np.moveaxis(integers, -1, layer.axis), per_channel(scales), bits, one)


def _fit(layer: Layer, bits: int, moments: Moments, groups: int, wish: Wish) -> tuple[Integers, Floats, float]:
    """Integers, the shift that the bias has to take up, and the noise that is left."""
    weights = as_matrix(layer, layer.weights, groups)
    one = layer.ordinal in wish.one_scale
    own, cross = (moments.own, moments.cross) if wish.bias_correction else (moments.second, moments.cross_second)
    if wish.algorithm == "gptq":
        target = _made_up_for(weights, own, cross)
        integers, scales = rounding.gptq_with_scales(target, own, bits, one=one)
    else:
        scales = rounding.one_scale(weights, bits, wish.algorithm) if one else rounding.scales_of(
            weights, bits, wish.algorithm, np.diagonal(moments.second, axis1=1, axis2=2))
        integers = rounding.nearest(weights, scales, bits)
    scales = np.asarray(scales, np.float32).astype(np.float64)
    shift = _shift(weights, scales * integers, moments) if wish.bias_correction else np.zeros(layer.channels)
    found = _integers(from_matrix(layer, integers), per_channel(scales), bits, one)
    return found, shift.astype(np.float32), _noise(weights, scales * integers, moments, wish.bias_correction)


def _made_up_for(weights: Doubles, own: Doubles, cross: Doubles) -> Doubles:
    """Weights that give on the inputs y what the float weights give on x; near to those where the data says little."""
    damped = rounding.damped_moments(own, _DAMPING)
    added = np.diagonal(damped - own, axis1=1, axis2=2)[:, :1, None]
    return np.asarray(np.linalg.solve(damped, cross @ weights + added * weights))


def _shift(weights: Doubles, quantized: Doubles, moments: Moments) -> Doubles:
    """(channels,) by how much the mean output of the float layer lies above the quantized one's."""
    wanted = np.einsum("gt,gtc->gc", moments.mean_x, weights)
    return np.asarray((wanted - np.einsum("gt,gtc->gc", moments.mean_y, quantized)).reshape(-1))


def _noise(weights: Doubles, quantized: Doubles, moments: Moments, centred: bool) -> float:
    """Mean squared error from what the inputs y make of the float weights, over the variance of that."""
    error = rounding.output_error(weights - quantized, moments.own if centred else moments.second)
    signal = rounding.output_error(weights, moments.own)
    return float(error.sum() / max(float(signal.sum()), 1e-30))


def _integers(values: Doubles, scales: Doubles, bits: int, one: bool) -> Integers:
    """As they are stored."""
    return Integers(values.astype(np.int8), (scales[:1] if one else scales).astype(np.float32), bits)
