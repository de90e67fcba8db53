"""What reaches the weights of a layer: means and second moments of its inputs, tap by tap, over calibration samples.

A convolution multiplies patches of its input; a patch laid flat is a row x, and all that the error of a layer's output
depends on is E[x] and E[x x^T] (`stages.converting.rounding`). Up to `ROWS` positions of all samples are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.tflite import read_tflite
from stages.converting.weights import Editor, Layer

Array = NDArray[Any]
Doubles = NDArray[np.float64]

ROWS = 16384
LARGEST_TAPS = 4608
"""Taps of a 3x3 convolution of 512 channels; moments of more would take a gigabyte and minutes."""
MEASURED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_SAME = 0


@dataclass(frozen=True)
class Moments:
    """Of a layer's inputs, in the float model (x) and in the one whose earlier layers are quantized (y).

    Attributes:
        mean_x, mean_y: (groups, taps).
        cross: (groups, taps of y, taps of x) covariance.
        own: (groups, taps, taps) covariance of y.
    """

    mean_x: Doubles
    mean_y: Doubles
    cross: Doubles
    own: Doubles

    @property
    def second(self) -> Doubles:
        """E[y y^T], (groups, taps, taps)."""
        return self.own + self.mean_y[:, :, None] * self.mean_y[:, None, :]

    @property
    def cross_second(self) -> Doubles:
        """E[y x^T], (groups, taps of y, taps of x)."""
        return self.cross + self.mean_y[:, :, None] * self.mean_x[:, None, :]


def moments_of(rows_x: Array, rows_y: Array) -> Moments:
    """Moments of inputs as `rows_of` gives them: (rows, groups, taps), those of the two models side by side."""
    x, y = rows_x.astype(np.float64).transpose(1, 0, 2), rows_y.astype(np.float64).transpose(1, 0, 2)
    mean_x, mean_y = x.mean(axis=1), y.mean(axis=1)
    x, y = x - mean_x[:, None], y - mean_y[:, None]
    turned = np.swapaxes(y, 1, 2)
    return Moments(mean_x, mean_y, turned @ x / x.shape[1], turned @ y / x.shape[1])


def is_measured(layer: Layer) -> bool:
    """Whether moments of the layer's inputs can be had."""
    return layer.operator in MEASURED and (layer.operator == "DEPTHWISE_CONV_2D" or
                                           layer.weights[0].size <= LARGEST_TAPS)


def as_matrix(layer: Layer, values: Array, groups: int) -> Doubles:
    """A layer's weights as (groups, taps, channels)."""
    if layer.operator == "DEPTHWISE_CONV_2D":  # (1, height, width, inputs * multiplier)
        taps = values.shape[1] * values.shape[2]
        return np.asarray(values.reshape(taps, groups, -1).transpose(1, 0, 2), np.float64)
    return np.asarray(values.reshape(groups, values.shape[0] // groups, -1).transpose(0, 2, 1), np.float64)


def from_matrix(layer: Layer, matrix: Array) -> Array:
    """The other way."""
    if layer.operator == "DEPTHWISE_CONV_2D":
        return matrix.transpose(1, 0, 2).reshape(layer.weights.shape)
    return matrix.transpose(0, 2, 1).reshape(layer.weights.shape)


def per_channel(values: Array) -> Array:
    """(groups, 1, channels of a group) as (channels,), in the layer's own order."""
    return values[:, 0].reshape(-1)


def groups_of(layer: Layer, channels: int) -> int:
    """How many groups the layer's channels are in, for an input of so many channels."""
    if layer.operator == "DEPTHWISE_CONV_2D":
        return channels
    return channels // int(layer.weights.shape[3]) if layer.operator == "CONV_2D" else 1


def rows_of(layer: Layer, inputs: Array, limit: int, seed: int) -> Array:
    """What reaches the weights: (rows, groups, taps).

    Args:
        layer: a convolution or a fully connected layer.
        inputs: (samples, height, width, channels) or (samples, ..., taps).
        limit: rows at most; positions are drawn where there are more.
        seed: of the draw; the same gives the same positions.
    """
    if layer.operator == "FULLY_CONNECTED":
        flat = inputs.reshape(-1, layer.weights.shape[1])
        return flat[_drawn(len(flat), limit, seed)][:, None, :]
    patches = _patches(layer, inputs)  # (samples, out_h, out_w, channels, height, width)
    places = np.unravel_index(_drawn(int(np.prod(patches.shape[:3])), limit, seed), patches.shape[:3])
    rows = patches[places].transpose(0, 2, 3, 1)  # (rows, height, width, channels)
    groups = groups_of(layer, inputs.shape[-1])
    if layer.operator == "DEPTHWISE_CONV_2D":
        return rows.reshape(len(rows), -1, groups).transpose(0, 2, 1)
    split = rows.reshape(*rows.shape[:3], groups, -1)
    return split.transpose(0, 3, 1, 2, 4).reshape(len(rows), groups, -1)


def _drawn(count: int, limit: int, seed: int) -> NDArray[np.int64]:
    """Row numbers, ascending."""
    if count <= limit:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))


def _patches(layer: Layer, inputs: Array) -> Array:
    """Windows of a convolution's input, padded as TFLite pads it; a view."""
    options, kernel = layer.options, layer.weights.shape[1:3]
    strides = int(options["stride_h"]), int(options["stride_w"])
    steps = int(options["dilation_h"]), int(options["dilation_w"])
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, steps, strict=True)]
    if int(options["padding"]) == _SAME:
        ends = [_padding(size, window, stride)
                for size, window, stride in zip(inputs.shape[1:3], reach, strides, strict=True)]
        inputs = np.pad(inputs, [(0, 0), *ends, (0, 0)])
    windows: Array = np.lib.stride_tricks.sliding_window_view(inputs, reach, axis=(1, 2))  # type: ignore[call-overload]
    return windows[:, ::strides[0], ::strides[1], :, ::steps[0], ::steps[1]]


def _padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind an axis with padding "SAME": the odd one goes behind."""
    whole = max(0, (-(-size // stride) - 1) * stride + window - size)
    return whole // 2, whole - whole // 2


class Tap:
    """Runs a float tflite model as far as some tensors, and gives these.

    Args:
        content: the model.
        tensors: numbers in its main graph.
    """

    def __init__(self, content: bytes, tensors: Iterable[int]) -> None:
        from ai_edge_litert import interpreter

        self._numbers = list(tensors)
        inputs = read_tflite(content).graphs[0].inputs
        self._given = {number: inputs.index(number) for number in self._numbers if number in inputs}
        self._run = [number for number in self._numbers if number not in self._given]
        if self._run:
            editor = Editor(content)
            editor.cut(self._run)
            self._interpreter = interpreter.Interpreter(model_content=editor.content(), num_threads=1)

    def read(self, batches: Iterable[Mapping[str, Array]]) -> dict[int, Array]:
        """The tensors by number, over all batches; each batch has the model's inputs in their order."""
        parts: dict[int, list[Array]] = {number: [] for number in self._numbers}
        for batch in batches:
            values = list(batch.values())
            for number, position in self._given.items():
                parts[number].append(values[position])
            for number, found in zip(self._run, self._invoke(values) if self._run else (), strict=True):
                parts[number].append(found)
        return {number: np.concatenate(found) for number, found in parts.items()}

    def _invoke(self, values: list[Array]) -> list[Array]:
        """One batch through the interpreter."""
        work = self._interpreter
        for detail, value in zip(work.get_input_details(), values, strict=True):
            if tuple(detail["shape"]) != value.shape:
                work.resize_tensor_input(detail["index"], value.shape)
        work.allocate_tensors()
        for detail, value in zip(work.get_input_details(), values, strict=True):
            work.set_tensor(detail["index"], value)
        work.invoke()
        return [work.get_tensor(detail["index"]) for detail in work.get_output_details()]
