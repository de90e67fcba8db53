"""One tensor that a variant makes, beside the float model's: sums over the samples, and what follows from them.

For an operator with float output x and dequantized output y, over all samples:

    seen  = sum((y - x)^2) / sum(x^2),  x: the float model's own
    n_c   = sum((y - z)^2),  s_c = sum(z^2) of channel c,  z: the float operator on what the variant's operator had
    local = sum(min(n_c, s_c) / sqrt(s_c)) / sum(sqrt(s_c))

`seen` carries what the operators before have done; `local` is what this one does alone. In `local` a channel counts by
its amplitude and not by its energy: else one large channel would hide that rounding has drowned all others. Where all
channels are alike it is `sum(n) / sum(s)`. The local noise has three parts: values beyond the range,
`sum((z - clip(z))^2)`; rounding of the output, `scale^2 / 12` an element that is not exactly zero (Widrow and Kollar,
Quantization Noise, 2008, ch. 1); the rest comes from weights and bias.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.tflite import Tensor
from stages.explaining.pairs import Pair
from stages.records.explaining import Matching

Array = NDArray[Any]

FLOOR = 1e-10
"""Noise below this share of the signal (100 dB) is float arithmetic in another order, not quantization."""
FIXED = ("SOFTMAX", "LOGISTIC", "TANH", "LOG_SOFTMAX", "L2_NORMALIZATION")
"""Operators whose 8-bit range the format itself sets: 1.0 lies beyond 255/256 by definition, and nobody can mend it."""
_INTEGERS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


@dataclass
class Tally:
    """Sums over the samples of one tensor that the variant makes.

    Attributes:
        label: of the operator that makes it.
        operator: its name, "INPUT" for an input.
        original: label of the float model's; "" for what it has no counterpart of.
        matching: how they were paired.
        tensor: of the variant.
        pair: None for inputs, QUANTIZE and DEQUANTIZE.
        low, high: of the range, in real values; infinite for float.
        lows, highs: of the float output by channel (last axis); `made_lows`, `made_highs` of the variant's.
        distance, energy: by channel, `sum((y - z)^2)` and `sum(z^2)`; `shift` is `sum(y - z)`.
        changed: rows whose largest value is another one than in the float model.
        ties: rows whose two largest values are equal in the variant and not in the float model; `rows` are all.
    """

    label: str
    operator: str
    original: str
    matching: Matching
    tensor: Tensor
    pair: Pair | None = None
    low: float = -math.inf
    high: float = math.inf
    signal: float = 0.0
    error: float = 0.0
    local_error: float = 0.0
    clip_error: float = 0.0
    beyond: int = 0
    elements: int = 0
    rounded_elements: int = 0
    lows: Array = field(default_factory=lambda: np.empty(0))
    highs: Array = field(default_factory=lambda: np.empty(0))
    made_lows: Array = field(default_factory=lambda: np.empty(0))
    made_highs: Array = field(default_factory=lambda: np.empty(0))
    distance: Array = field(default_factory=lambda: np.zeros(1))
    energy: Array = field(default_factory=lambda: np.zeros(1))
    shift: Array = field(default_factory=lambda: np.zeros(1))
    changed: int = 0
    ties: int = 0
    rows: int = 0

    def __post_init__(self) -> None:
        limits = _INTEGERS.get(self.tensor.dtype)
        if limits and self.tensor.scales:
            zero = self.tensor.zero_points[0] if self.tensor.zero_points else 0
            self.low, self.high = ((limit - zero) * self.tensor.scales[0] for limit in limits)

    @property
    def scale(self) -> float:
        """Of one step of the output; 0 for float."""
        return self.tensor.scales[0] if math.isfinite(self.high) else 0.0

    @property
    def local(self) -> float:
        """Noise that is made here, over the signal; channels count by their amplitude."""
        amplitude = float(np.sqrt(self.energy).sum())
        ratio = float(self.channel_noise.sum()) / amplitude if amplitude else 0.0
        return ratio if ratio > FLOOR else 0.0

    @property
    def channel_noise(self) -> Array:
        """(channels,) `min(n_c, s_c) / sqrt(s_c)`, what each channel adds to the local noise; 0 without signal."""
        noise = np.minimum(self.distance, self.energy)
        found: Array = np.divide(noise, np.sqrt(self.energy), out=np.zeros(len(noise)), where=self.energy > 0)
        return found

    @property
    def seen(self) -> float:
        """Noise that is seen here, over the signal."""
        ratio = self.error / self.signal if self.signal else 0.0
        return ratio if ratio > FLOOR else 0.0

    @property
    def clipped(self) -> float:
        """Part of the local noise that comes from values beyond the range."""
        return min(1.0, self.clip_error / self.local_error) if self.local else 0.0

    @property
    def rounded(self) -> float:
        """Part of the local noise that rounding the output makes by itself."""
        energy = self.rounded_elements * self.scale**2 / 12
        return min(1.0 - self.clipped, energy / self.local_error) if self.local else 0.0

    @property
    def rest(self) -> float:
        """Part of the local noise that neither edges nor rounding of the output make: weights and bias."""
        return max(0.0, 1.0 - self.clipped - self.rounded)

    def won_by_range(self, low: float, high: float) -> float:
        """Part of the local noise that a range from `low` to `high` with as many steps would take off; negative: add.

        Rounding grows with the square of the range's width; what it cuts off is taken to be nothing.
        """
        if not self.scale:
            return 0.0
        width = (max(0.0, high) - min(0.0, low)) / (self.high - self.low)
        return self.clipped + self.rounded * (1 - width**2)

    @property
    def mean_shift(self) -> Array:
        """(channels,) mean of `y - z`, in real values."""
        found: Array = self.shift / (self.elements / len(self.shift)) if self.elements else 0 * self.shift
        return found

    @property
    def shifted(self) -> float:
        """Part of the local noise that is a constant shift of each channel: what a bias could take up."""
        each = self.elements / max(1, len(self.shift))
        return min(1.0, float((self.shift**2).sum()) / each / self.local_error) if self.local and each else 0.0

    @property
    def range_used(self) -> float | None:
        """Width of the float values over the range's; None for a float output.

        16-bit ranges are symmetric by definition of the format, so that of two sides only the wider one counts.
        """
        if not self.scale or not len(self.lows):
            return None
        low, high = min(0.0, float(self.lows.min())), max(0.0, float(self.highs.max()))
        return max(-low, high) / self.high if self.tensor.dtype == "int16" else (high - low) / (self.high - self.low)

    def add_seen(self, x: Array, y: Array) -> None:
        """Count the float model's values and the variant's, both (samples, ...) float32."""
        wanted, made = x.astype(np.float64), y.astype(np.float64)
        self.signal += float((wanted**2).sum())
        self.error += float(((made - wanted)**2).sum())
        self.lows, self.highs = _widened(self.lows, self.highs, wanted)
        self.made_lows, self.made_highs = _widened(self.made_lows, self.made_highs, made)
        self.rows += len(made)
        if made.ndim == 2 and made.shape[1] > 1:
            self.changed += int((made.argmax(axis=1) != wanted.argmax(axis=1)).sum())
            self.ties += int((_tied(made) & ~_tied(wanted)).sum())

    def add_local(self, z: Array, y: Array) -> None:
        """Count what the float operator gives on the variant's inputs, and what the variant's does."""
        wanted, made = z.astype(np.float64), y.astype(np.float64)
        apart = (made - wanted)**2
        self.energy = self.energy + (wanted**2).reshape(-1, apart.shape[-1]).sum(axis=0)
        self.local_error += float(apart.sum())
        self.distance = self.distance + apart.reshape(-1, apart.shape[-1]).sum(axis=0)
        self.shift = self.shift + (made - wanted).reshape(-1, apart.shape[-1]).sum(axis=0)
        over = wanted - np.clip(wanted, self.low - self.scale / 2, self.high + self.scale / 2)
        self.beyond += 0 if self.operator in FIXED else int((over != 0).sum())
        self.clip_error += float(((wanted - np.clip(wanted, self.low, self.high))[over != 0]**2).sum())
        self.elements += wanted.size
        self.rounded_elements += int((wanted != 0).sum())


def _widened(lows: Array, highs: Array, values: Array) -> tuple[Array, Array]:
    """The extremes by channel (last axis), with these values."""
    rows = values.reshape(-1, values.shape[-1])
    low, high = rows.min(axis=0), rows.max(axis=0)
    return (low, high) if not len(lows) else (np.minimum(lows, low), np.maximum(highs, high))


def _tied(values: Array) -> Array:
    """(rows,) bool: whether the two largest values of a row are equal."""
    top = np.sort(values, axis=1)[:, -2:]
    found: Array = top[:, 0] == top[:, 1]
    return found


def decibel(noise: float) -> float | None:
    """`-10 log10(noise)`; None where there is none."""
    return -10 * math.log10(noise) if noise > 0 else None


def constant_channels(lows: Array, highs: Array, tolerance: float = 0.0) -> tuple[int, ...]:
    """Channels whose values do not change by more than the tolerance."""
    return tuple(np.flatnonzero(highs - lows <= tolerance).tolist())
