"""Ranges of activations for 8 bits: the extremes over the samples, or less where that rounds better.

A range that ends at the one largest value of all samples spends its 256 steps on values that hardly ever come. Here
both ends are moved towards zero by one factor, the one with the least mean squared error over values drawn from the
samples, cut off and rounding counted together. Inputs and outputs keep their extremes: what a user sees is not cut.
R. Krishnamoorthi 2018, arXiv:1806.08342, section 3; M. Nagel et al. 2021, arXiv:2106.08295, section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_profiles.tflite import Graph
from stages.converting.moments import Tap

Array = NDArray[Any]
Ranges = dict[str, dict[str, Any]]
"""By tensor name, the smallest and the largest value: "min" and "max", arrays of one element an axis."""
RangeMethod = Literal["extremes", "mse"]

Wish = Literal["auto", "extremes", "mse"]
"""What a user may say."""

_CUT_TASKS = ("classification", "multilabel")
_FACTORS = np.arange(100, 28, -2) / 100
_DRAWN = 20_000  # values of a tensor that the error is taken over
_STEPS = 255


def method_for(number_format: str, task_kind: str, wish: Wish = "auto") -> RangeMethod:
    """How ranges are found: 16 bits have room for the extremes, and what is far out is what some tasks are about."""
    if number_format == "int16x8":
        return "extremes"
    if wish != "auto":
        return wish
    return "mse" if task_kind in _CUT_TASKS else "extremes"


def clip(ranges: Ranges, content: bytes, graph: Graph, batches: Iterable[Mapping[str, Array]], samples: int) -> Ranges:
    """Ranges whose ends were moved towards zero where that rounds better.

    Args:
        ranges: the extremes; not changed.
        content: the float32 tflite model.
        graph: its main graph.
        batches: the calibration samples.
        samples: how many there are.

    Returns:
        All of `ranges`, those of inner activations moved.
    """
    outer = {*graph.inputs, *graph.outputs}
    inner = {number: tensor.name for number, tensor in enumerate(graph.tensors)
             if number not in outer and tensor.name in ranges and _is_single(ranges[tensor.name])}
    made = {number for operator in graph.operators for number in operator.outputs}
    numbers = [number for number in inner if number in made]
    if not numbers:
        return ranges
    drawn = _draw(content, numbers, batches, samples)
    return {**ranges, **{inner[number]: _moved(ranges[inner[number]], values) for number, values in drawn.items()}}


def best_factor(low: float, high: float, values: Array) -> float:
    """The factor on both ends of a range at which 8 bits come nearest to some values.

    Args:
        low: the smallest value; zero is taken in, as quantized tensors must hold it.
        high: the largest value, likewise.
        values: (n,) float32.

    Returns:
        0.3 to 1; 1 for a range of nothing.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if high <= low:
        return 1.0
    errors = [_error(low * factor, high * factor, values) for factor in _FACTORS]
    return float(_FACTORS[int(np.argmin(errors))])


def _error(low: float, high: float, values: Array) -> float:
    """Mean squared error of values in 256 steps between two ends."""
    scale = (high - low) / _STEPS
    zero = np.round(-low / scale)
    steps = np.clip(np.round(values / scale) + zero, 0, _STEPS) - zero
    return float(np.square(steps * scale - values, dtype=np.float64).mean())


def _moved(found: dict[str, Any], values: Array) -> dict[str, Any]:
    """One tensor's range with its ends moved."""
    factor = np.float32(best_factor(float(np.min(found["min"])), float(np.max(found["max"])), values))
    return {**found, "min": np.asarray(found["min"]) * factor, "max": np.asarray(found["max"]) * factor}


def _is_single(found: Mapping[str, Any]) -> bool:
    """Whether a tensor has one range, and not one for each channel."""
    return "min" in found and "max" in found and np.size(found["min"]) == 1


def _draw(content: bytes, numbers: list[int], batches: Iterable[Mapping[str, Array]], samples: int) -> dict[int, Array]:
    """Values of tensors, by number, drawn alike from all samples."""
    tap, rng = Tap(content, numbers), np.random.default_rng(0)
    parts: dict[int, list[Array]] = {number: [] for number in numbers}
    for batch in batches:
        share = max(1, round(_DRAWN * len(next(iter(batch.values()))) / max(1, samples)))
        for number, found in tap.read([batch]).items():
            values = found.ravel()
            parts[number].append(values[rng.integers(0, values.size, min(share, values.size))])
    return {number: np.concatenate(found) for number, found in parts.items()}
