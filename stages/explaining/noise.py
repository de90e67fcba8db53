"""How far every activation of a variant is from its float model's, and where the distance is made.

For an operator with float output x and dequantized output y, over all samples:

    seen  = sum((y - x)^2) / sum(x^2),  x: the float model's own
    n_c   = sum((y - z)^2),  s_c = sum(z^2) of channel c,  z: the float operator on what the variant's operator had
    local = sum(min(n_c, s_c) / sqrt(s_c)) / sum(sqrt(s_c))

`seen` carries what the operators before have done; `local` is what this one does alone. In `local` a channel counts by
its amplitude and not by its energy: else one large channel would hide that rounding has drowned all others. Where all
channels are alike it is `sum(n) / sum(s)`. A layer's share is its `local`
over the sum of all. The local noise has three parts: values beyond the range, `sum((z - clip(z))^2)`; rounding of the
output, `scale^2 / 12` an element that is not exactly zero (Widrow and Kollar, Quantization Noise, 2008, ch. 1); the
rest comes from weights and bias.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError
from device_profiles.tflite import Graph, Tensor
from stages.context import Progress, no_progress
from stages.engines.client import EngineWorker
from stages.explaining.pairs import Pair, Pairing, label, short_name
from stages.explaining.surgery import batched, opened, taken_apart
from stages.records import Normalization
from stages.records.explaining import Matching

Array = NDArray[Any]

FLOOR = 1e-10
"""Noise below this share of the signal (100 dB) is float arithmetic in another order, not quantization."""
FIXED = ("SOFTMAX", "LOGISTIC", "TANH", "LOG_SOFTMAX", "L2_NORMALIZATION")
"""Operators whose 8-bit range the format itself sets: 1.0 lies beyond 255/256 by definition, and nobody can mend it."""
_AT_ONCE_BYTES = 32 << 20
_BATCH = 16
_INTEGERS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


@dataclass(frozen=True)
class Source:
    """A tflite model and how stored samples go into it.

    Attributes:
        content: the file.
        normalization: by input name; empty for a model that takes stored values.
        name: for messages.
    """

    content: bytes
    normalization: Mapping[str, Normalization]
    name: str


@dataclass(frozen=True)
class Bench:
    """Where models run, and on what.

    Attributes:
        samples: an `.npy` file of stored samples.
        count: how many of them, from the first on.
        engine, timeout_s, log: of the workers.
    """

    samples: Path
    count: int
    log: Path
    engine: str = "litert"
    timeout_s: float = 120.0


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
        amplitude = np.sqrt(self.energy[self.energy > 0])
        noise = np.minimum(self.distance, self.energy)[self.energy > 0]
        ratio = float((noise / amplitude).sum() / amplitude.sum()) if len(amplitude) else 0.0
        return ratio if ratio > FLOOR else 0.0

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


@dataclass(frozen=True)
class Noise:
    """What was measured.

    Attributes:
        tallies: in the variant's order; inputs first.
        total: sum of the local noise of all.
    """

    tallies: tuple[Tally, ...]
    total: float

    def share(self, tally: Tally) -> float:
        """Of the noise that is made, how much this one makes."""
        return tally.local / self.total if self.total else 0.0


def measure(variant: Source, reference: Source, pairing: Pairing, bench: Bench,
            progress: Progress = no_progress) -> Noise:
    """Run both models, and the float operators one by one, on the same samples.

    Args:
        variant: the quantized model.
        reference: the float model.
        pairing: of the two.
        bench: samples and engine.
        progress: told of samples.

    Raises:
        StageError: no operator has a counterpart, or the samples do not fit.
        EngineError: the engine cannot run a model.
    """
    if not pairing.pairs:
        raise StageError(f"no operator of {variant.name} has a counterpart in {reference.name}",
                         "two tflite models of one network", "give the float model that it was made from")
    same_inputs = bool(variant.normalization) == bool(reference.normalization)
    tallies = [each for each in _plan(pairing) if same_inputs or each.operator != "INPUT"]
    runs = _Runs(variant, reference, pairing)
    with ExitStack() as stack:
        runs.start(stack, bench)
        for start in range(0, bench.count, runs.rows):
            stop = min(start + runs.rows, bench.count)
            runs.read(start, stop)
            for tally in tallies:
                _count(tally, runs, pairing)
            progress(stop, bench.count, "samples through both models")
    found = tuple(each for each in tallies if each.elements)
    return Noise(found, sum(each.local for each in found))


class _Runs:
    """Three workers on the same rows: the variant and the float model opened up, and the float operators alone."""

    def __init__(self, variant: Source, reference: Source, pairing: Pairing) -> None:
        self._sources = (variant, reference)
        self._tensors = (_wanted(pairing.variant), _wanted(pairing.reference))
        self._shadow = taken_apart(reference.content, pairing)
        elements = sum(math.prod(graph.tensors[each].shape) for graph, chosen in
                       zip((pairing.variant, pairing.reference), self._tensors, strict=True) for each in chosen)
        self.rows = max(1, min(_BATCH * 8, _AT_ONCE_BYTES // max(1, 4 * elements)))
        self.variant: dict[int, Array] = {}
        self.reference: dict[int, Array] = {}
        self.alone: dict[int, Array] = {}

    def start(self, stack: ExitStack, bench: Bench) -> None:
        """Start the workers and load the models."""
        self._workers = []
        for source, tensors in zip(self._sources, self._tensors, strict=True):
            worker = stack.enter_context(EngineWorker(bench.engine, log=bench.log, model=source.name,
                                                      timeout_s=bench.timeout_s))
            worker.load(opened(source.content, tensors))
            worker.open(bench.samples, source.normalization)
            self._workers.append(worker)
        self._alone = stack.enter_context(EngineWorker(bench.engine, log=bench.log, timeout_s=bench.timeout_s,
                                                       model=f"{self._sources[1].name}, operator by operator"))
        if self._shadow.pairs:
            self._alone.load(self._shadow.content)

    def read(self, start: int, stop: int) -> None:
        """Values of rows start to stop - 1, by tensor number; `alone` by the variant's operator."""
        values = [dict(zip(tensors, worker.predict_rows(start, stop, batch=_BATCH), strict=True))
                  for worker, tensors in zip(self._workers, self._tensors, strict=True)]
        self.variant, self.reference = values
        shadow = self._shadow
        fed = [self.variant[each] for each in shadow.feeds]
        given = self._alone.predict(*fed, batch=_BATCH) if shadow.pairs else []
        self.alone = {pair.made.index: each for pair, each in zip(shadow.pairs, given, strict=True)}


def _wanted(graph: Graph) -> list[int]:
    """Inputs and activations of a main graph that have one row a sample."""
    made = [index for operator in graph.operators for index in operator.outputs]
    chosen = dict.fromkeys(index for index in (*graph.inputs, *made) if batched(graph, index))
    return [index for index in chosen if graph.tensors[index].dtype in ("float32", *_INTEGERS)]


def _plan(pairing: Pairing) -> list[Tally]:
    """A tally for each input, boundary and pair, in the variant's order."""
    variant, reference = pairing.variant, pairing.reference
    found = [Tally(label=f"input {short_name(tensor.name)}", operator="INPUT", original="", matching="order",
                   tensor=tensor) for tensor in (variant.tensors[index] for index in variant.inputs)]
    paired = {pair.made.index: pair for pair in pairing.pairs}
    for operator in variant.operators:
        pair = paired.get(operator.index)
        if pair is not None:
            found.append(Tally(label=label(variant, operator), operator=operator.name, pair=pair,
                               original=label(reference, pair.original), matching=pair.matching,
                               tensor=variant.tensors[operator.outputs[0]]))
        elif operator.name == "QUANTIZE":
            found.append(Tally(label=label(variant, operator), operator=operator.name, original="", matching="order",
                               tensor=variant.tensors[operator.outputs[0]]))
    return found


def _count(tally: Tally, runs: _Runs, pairing: Pairing) -> None:
    """Add one batch to a tally."""
    made = runs.variant.get(tally.tensor.index)
    if made is None:
        return
    if tally.pair is not None:
        wanted, alone = runs.reference.get(tally.pair.original.outputs[0]), runs.alone.get(tally.pair.made.index)
        if wanted is not None and wanted.shape == made.shape:
            tally.add_seen(wanted, made)
        if alone is not None and alone.shape == made.shape:
            tally.add_local(alone, made)
        return
    given = _before(tally, runs, pairing)
    if given is not None and given.shape == made.shape:
        tally.add_seen(given, made)
        tally.add_local(given, made)


def _before(tally: Tally, runs: _Runs, pairing: Pairing) -> Array | None:
    """What a boundary is given: the float model's input, or what QUANTIZE reads."""
    variant, index = pairing.variant, tally.tensor.index
    if tally.operator == "INPUT":
        place = variant.inputs.index(index)
        return runs.reference.get(pairing.reference.inputs[place]) if place < len(pairing.reference.inputs) else None
    source = next(each for each in variant.operators if index in each.outputs)
    return runs.variant.get(source.inputs[0])


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

