"""Mild corruptions of stored samples, the same for the float model and every variant.

| kind | samples | severity 1 to 5 |
|---|---|---|
| `noise` | images | normal noise of 4, 6, 8, 9, 10 % of the range of values |
| `blur` | images | Gaussian of 0.4, 0.6, 0.7, 0.8, 1 pixels, edges repeated |
| `brightness` | images | 5, 10, 15, 20, 30 % of the range more, or less, by lot |
| `shift` | images | by 1 to 5 pixels of 32, at least one, in one of 8 directions by lot, edges repeated |
| `noise` | features, vectors | normal noise of 10, 20, 30, 40, 50 % of each bin's or element's standard deviation |
| `time_shift` | features | by 2, 4, 6, 8, 10 % of the frames, at least one, earlier or later by lot, edges repeated |
| `gain` | audio | 2, 4, 6, 8, 10 dB louder or softer, by lot |

The amounts for noise, blur and brightness of images are those of CIFAR-10-C (Hendrycks and Dietterich 2019, ICLR). A
sample's draws depend on the seed, the kind and its row alone. What has at most two values over all samples (a flag, a
category) is left as it is; bytes are rounded, and nothing leaves the range that the samples have.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from stages.datasets.audio.front_end import FrontEnd

Array = npt.NDArray[Any]
Layout = Literal["image", "features", "vector"]
Kind = Literal["noise", "blur", "brightness", "shift", "time_shift", "gain"]

KINDS: dict[Layout, tuple[Kind, ...]] = {
    "image": ("noise", "blur", "brightness", "shift"), "features": ("noise", "time_shift", "gain"),
    "vector": ("noise",)}
LAYOUT_TEXT: dict[Layout, str] = {"image": "images", "features": "features over time", "vector": "vectors"}
_ORDER: tuple[Kind, ...] = ("noise", "blur", "brightness", "shift", "time_shift", "gain")
NOISE, BLUR, BRIGHTNESS = (0.04, 0.06, 0.08, 0.09, 0.10), (0.4, 0.6, 0.7, 0.8, 1.0), (0.05, 0.1, 0.15, 0.2, 0.3)
NOISE_OF_SPREAD, TIME_SHIFT, GAIN_DB = 0.1, 0.02, 2.0
_SIDE = 32
_DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Ranges:
    """What the samples of one input are like, over all that are corrupted.

    Attributes:
        low, high: of all elements.
        spread: standard deviation: of each bin (last axis that is not a single channel) for features, of each element
            for vectors; 0 where there are at most two values.
    """

    low: float
    high: float
    spread: Array


@dataclass(frozen=True)
class Corruption:
    """What is done to the samples of one input.

    Attributes:
        kind: one of those that the layout has.
        layout: of the samples.
        severity: 1 to 5.
        ranges: of the samples.
        front_end: of audio features, where it is known.
    """

    kind: Kind
    layout: Layout
    severity: int
    ranges: Ranges
    front_end: FrontEnd | None = None

    def apply(self, x: Array, rows: Array, seed: int) -> Array:
        """Corrupted samples.

        Args:
            x: (samples, *shape) as stored.
            rows: (samples,) of the test split; a sample's draws depend on its row.
            seed: of the draws.

        Returns:
            As `x`, in its type.
        """
        change = _CHANGES[self.kind]
        found = np.empty(x.shape, np.float64)
        for place, row in enumerate(rows.tolist()):
            draws = np.random.default_rng((seed, _ORDER.index(self.kind), row))
            found[place] = change(self, x[place].astype(np.float64), draws)
        if self.layout == "image":
            found = np.clip(found, self.ranges.low, self.ranges.high)
        if x.dtype == np.uint8:
            return np.asarray(np.clip(np.rint(found), 0, 255), np.uint8)
        return found.astype(np.float32)

    @property
    def text(self) -> str:
        """What was done, with its amount."""
        level = self.severity - 1
        if self.kind == "noise":
            return (f"noise of {100 * NOISE[level]:g} % of the range" if self.layout == "image" else
                    f"noise of {100 * NOISE_OF_SPREAD * self.severity:g} % of the standard deviation")
        return {"blur": f"blur of {BLUR[level]:g} pixels",
                "brightness": f"{100 * BRIGHTNESS[level]:g} % of the range brighter or darker",
                "shift": f"shift by {self.severity} in {_SIDE} pixels",
                "time_shift": f"shift by {100 * TIME_SHIFT * self.severity:g} % of the frames",
                "gain": f"{GAIN_DB * self.severity:g} dB louder or softer"}[self.kind]


def spread_axes(layout: Layout, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of (samples, *shape) over which a spread is taken: all but the bins of features, or a vector's elements."""
    if layout == "features":
        return tuple(range(len(shape))) if len(shape) < 3 else (0, 1, 3)
    return (0,)


# -- of one sample -----------------------------------------------------------------------------------------------------


def noisy(x: Array, deviation: float | Array, draws: np.random.Generator) -> Array:
    """Normal noise added to every element."""
    return np.asarray(x + deviation * draws.normal(size=x.shape))


def blurred(x: Array, pixels: float) -> Array:
    """Gaussian of that deviation along rows and columns, edges repeated.  # x (height, width, channels)."""
    radius = math.ceil(3 * pixels)
    weights = np.exp(-np.arange(-radius, radius + 1) ** 2 / (2 * pixels**2))
    weights = weights / weights.sum()
    for axis in (0, 1):
        padded = np.pad(x, [(radius, radius) if each == axis else (0, 0) for each in range(x.ndim)], mode="edge")
        moved = [np.take(padded, range(start, start + x.shape[axis]), axis) for start in range(len(weights))]
        x = np.asarray(np.tensordot(weights, np.stack(moved), axes=1))
    return x


def shifted(x: Array, steps: tuple[int, ...]) -> Array:
    """Moved along the first axes, edges repeated: 1 moves every row down by one."""
    for axis, step in enumerate(steps):
        places = np.clip(np.arange(x.shape[axis]) - step, 0, x.shape[axis] - 1)
        x = np.take(x, places, axis)
    return x


def louder(x: Array, decibel: float, front_end: FrontEnd) -> Array:
    """What the front end makes of a clip that is so much louder.

    A waveform is multiplied. Each mel energy is multiplied by g^power, g = 10^(decibel / 20), so that its logarithm
    grows by D = power ln g, or in decibels by `decibel`; the floor and the offset of the logarithm are passed over. Of
    the cosine transform's coefficients only number 0 sees a constant: it grows by sqrt(2 bins) D, ortho by
    sqrt(bins) D.

    Args:
        x: (samples, 1), or (frames, bins, 1).
        decibel: below 0 is softer.
        front_end: of the features.
    """
    if front_end.feature == "waveform":
        return x * 10 ** (decibel / 20)
    grown = decibel if front_end.log == "decibel" else front_end.power * math.log(10) * decibel / 20
    if front_end.feature == "log_mel":
        return x + grown
    found = x.copy()
    found[:, 0] += math.sqrt((1 if front_end.dct == "ortho" else 2) * front_end.mel_bins) * grown
    return found


def _noise(how: Corruption, x: Array, draws: np.random.Generator) -> Array:
    if how.layout == "image":
        return noisy(x, NOISE[how.severity - 1] * (how.ranges.high - how.ranges.low), draws)
    return noisy(x, NOISE_OF_SPREAD * how.severity * how.ranges.spread, draws)


def _blur(how: Corruption, x: Array, draws: np.random.Generator) -> Array:  # noqa: ARG001
    return blurred(x, BLUR[how.severity - 1])


def _brightness(how: Corruption, x: Array, draws: np.random.Generator) -> Array:
    return x + _sign(draws) * BRIGHTNESS[how.severity - 1] * (how.ranges.high - how.ranges.low)


def _shift(how: Corruption, x: Array, draws: np.random.Generator) -> Array:
    down, right = _DIRECTIONS[int(draws.integers(len(_DIRECTIONS)))]
    height, width = (max(1, round(side * how.severity / _SIDE)) for side in x.shape[:2])
    return shifted(x, (down * height, right * width))


def _time_shift(how: Corruption, x: Array, draws: np.random.Generator) -> Array:
    return shifted(x, (_sign(draws) * max(1, round(TIME_SHIFT * how.severity * len(x))),))


def _gain(how: Corruption, x: Array, draws: np.random.Generator) -> Array:
    if how.front_end is None:
        raise ValueError("gain needs a front end")
    return louder(x, _sign(draws) * GAIN_DB * how.severity, how.front_end)


def _sign(draws: np.random.Generator) -> int:
    """1 or -1."""
    return 2 * int(draws.integers(2)) - 1


_CHANGES: dict[Kind, Callable[[Corruption, Array, np.random.Generator], Array]] = {
    "noise": _noise, "blur": _blur, "brightness": _brightness, "shift": _shift, "time_shift": _time_shift,
    "gain": _gain}
