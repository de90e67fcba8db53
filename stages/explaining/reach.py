"""How much of the noise at a model's outputs each operator makes.

Noise that is made early may be averaged away before it reaches the outputs, and noise made late may not: a layer's own
ratio of signal to noise says nothing about that. So it is measured. For each tensor, what the variant's operator adds,
`d = y - z` (see `tally.py`), is added to the float model's own value of that tensor, sample by sample, and the rest of
the float model is run:

    reach = sum((f(x + d) - f(x))^2) / sum(f(x)^2),  f: from that tensor to the outputs
    total = the same for the variant's outputs in place of f(x + d)

Where noise is small the parts add up to the total: on a ResNet-8 in int8 to 1.04 of it. Of weighted operators the mean
of d by channel is followed on its own, too: a bias could take it up, and no averaging does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import EngineRefusal
from stages.converting.weights import PLACES
from stages.engines.client import EngineWorker
from stages.explaining.pairs import producers
from stages.explaining.runs import BATCH, Bench, Runs, Source
from stages.explaining.surgery import Rest, from_tensors
from stages.explaining.tally import FLOOR, Tally

Array = NDArray[Any]

SAMPLES = 128
_MOST = 32
"""Tensors that are followed at most, those with the most noise of their own."""
_SHIFTED = 0.1  # of the local noise: less is not followed on its own
_HELD_BYTES = 256 << 20


@dataclass(frozen=True)
class Reach:
    """Noise at the outputs, over their signal.

    Attributes:
        total: of the variant; 0 where it could not be measured, or there is none.
        parts: of single tensors of the variant, by number.
        shifts: of what shifts whole channels of a tensor, alone.
        samples: that it was measured on.
    """

    total: float = 0.0
    parts: Mapping[int, float] = field(default_factory=dict)
    shifts: Mapping[int, float] = field(default_factory=dict)
    samples: int = 0

    @property
    def is_known(self) -> bool:
        """Whether shares rest on it."""
        return self.total > 0 and bool(self.parts)

    def share(self, tensor: int) -> float:
        """Of the total, or of the sum of the parts where noise so large that it does not add up makes that larger."""
        return self._of_total(self.parts.get(tensor, 0.0))

    def shift_share(self, tensor: int) -> float:
        """Of the same, what is a shift of whole channels."""
        return self._of_total(self.shifts.get(tensor, 0.0))

    def _of_total(self, part: float) -> float:
        return part / max(self.total, sum(self.parts.values()))


@dataclass
class _Held:
    """What is kept of the samples.

    Attributes:
        inputs: of the float model, by tensor number, in batches.
        noisy: the float model's values of a tensor with the variant's noise, by tally's tensor, in batches.
        shifted: the same with the mean of that noise by channel, where that is worth it.
        wanted, made: outputs of the float model and of the variant, in their order, in batches.
    """

    inputs: dict[int, list[Array]] = field(default_factory=dict)
    noisy: dict[int, list[Array]] = field(default_factory=dict)
    shifted: dict[int, list[Array]] = field(default_factory=dict)
    wanted: dict[int, list[Array]] = field(default_factory=dict)
    made: dict[int, list[Array]] = field(default_factory=dict)


def measure_reach(tallies: Sequence[Tally], runs: Runs, reference: Source, bench: Bench) -> Reach:
    """Follow what each operator adds to the outputs.

    Args:
        tallies: what was measured on all samples.
        runs: of the two models, started.
        reference: the float model.
        bench: samples and engine.

    Returns:
        Shares of the noise at the outputs; an empty record where the outputs cannot be compared, or the engine does not
        take a part of the float model.

    Raises:
        EngineError: a worker crashed, or did not answer.
    """
    outputs = _compared(runs)
    places = {tally.tensor.index: place for tally in _loudest(tallies)
              if (place := _place(tally, runs)) is not None}
    if not outputs or not places:
        return Reach()
    count = _count(runs, places.values(), bench)
    held = _read(runs, [each for each in tallies if each.tensor.index in places], places, outputs, count)
    total = _noise(_joined(held.wanted), _joined(held.made))
    try:
        parts = _follow(held.noisy, held, places, reference, bench)
        shifts = _follow(held.shifted, held, places, reference, bench)
    except EngineRefusal:
        return Reach()
    return Reach(total if total > FLOOR else 0.0, parts, shifts, count)


def _compared(runs: Runs) -> dict[int, int]:
    """The variant's outputs by the float model's, where both have one row a sample."""
    pairing = runs.pairing
    return {one: other for one, other in zip(pairing.reference.outputs, pairing.variant.outputs, strict=False)
            if one in runs.tensors[1] and other in runs.tensors[0]
            and pairing.reference.tensors[one].shape == pairing.variant.tensors[other].shape}


def _loudest(tallies: Iterable[Tally]) -> list[Tally]:
    """Those with the most noise of their own."""
    return sorted((each for each in tallies if each.local), key=lambda each: -each.local)[:_MOST]


def _place(tally: Tally, runs: Runs) -> int | None:
    """The float model's tensor that stands where a tally's does; None where none does, or no row is a sample's."""
    pairing, tensor = runs.pairing, tally.tensor.index
    originals = {pair.made.outputs[0]: pair.original.outputs[0] for pair in pairing.pairs}
    originals |= dict(zip(pairing.variant.inputs, pairing.reference.inputs, strict=False))
    made_by = producers(pairing.variant)
    while tensor not in originals and tensor in made_by and made_by[tensor].name in ("QUANTIZE", "DEQUANTIZE"):
        tensor = made_by[tensor].inputs[0]
    found = originals.get(tensor)
    return found if found in runs.tensors[1] else None


def _count(runs: Runs, places: Iterable[int], bench: Bench) -> int:
    """Samples whose values can be held in memory."""
    tensors = runs.pairing.reference.tensors
    each = 4 * sum(tensors[index].elements for index in (*places, *runs.pairing.reference.inputs))
    return max(1, min(bench.count, SAMPLES, _HELD_BYTES // max(1, each)))


def _read(runs: Runs, tallies: Sequence[Tally], places: Mapping[int, int], outputs: Mapping[int, int],
          count: int) -> _Held:
    """Run the first samples again, and keep what is needed of them."""
    held = _Held()
    for start in range(0, count, runs.rows):
        runs.read(start, min(start + runs.rows, count))
        for index in runs.pairing.reference.inputs:
            if index in runs.reference:
                held.inputs.setdefault(index, []).append(runs.reference[index])
        for one, other in outputs.items():
            held.wanted.setdefault(one, []).append(runs.reference[one])
            held.made.setdefault(one, []).append(runs.variant[other])
        for tally in tallies:
            index = tally.tensor.index
            clean, given, made = (runs.reference[places[index]], runs.noiseless(tally), runs.variant.get(index))
            if given is not None and made is not None and given.shape == made.shape == clean.shape:
                held.noisy.setdefault(index, []).append(clean + (made - given))
                if tally.operator in PLACES and tally.shifted >= _SHIFTED:
                    held.shifted.setdefault(index, []).append(clean + tally.mean_shift.astype(np.float32))
    return held


def _follow(values: Mapping[int, list[Array]], held: _Held, places: Mapping[int, int], reference: Source,
            bench: Bench) -> dict[int, float]:
    """Noise at the outputs by tally's tensor, with other values than the float model's in its place."""
    if not values:
        return {}
    inputs, wanted, found = _joined(held.inputs), _joined(held.wanted), {}
    rests = from_tensors(reference.content, [places[index] for index in values], list(wanted))
    with EngineWorker(bench.engine, log=bench.log, timeout_s=bench.timeout_s,
                      model=f"{reference.name}, from one tensor on") as worker:
        for (index, batches), rest in zip(values.items(), rests, strict=True):
            noisy = np.concatenate(batches)
            found[index] = _noise(wanted, _given(worker, rest, {**inputs, places[index]: noisy}) | (
                {places[index]: noisy} if places[index] in wanted else {}))
    return found


def _given(worker: EngineWorker, rest: Rest, values: Mapping[int, Array]) -> dict[int, Array]:
    """Outputs of the rest of a model, by tensor number."""
    if not rest.outputs:
        return {}
    worker.load(rest.content)
    return dict(zip(rest.outputs, worker.predict(*(values[index] for index in rest.feeds), batch=BATCH), strict=True))


def _joined(batches: Mapping[int, list[Array]]) -> dict[int, Array]:
    """Batches as one array each."""
    return {index: np.concatenate(each) for index, each in batches.items()}


def _noise(wanted: Mapping[int, Array], made: Mapping[int, Array]) -> float:
    """Energy of the difference over that of the signal, summed over outputs; one that nothing was added to has none."""
    return sum(float(((made[index].astype(np.float64) - each) ** 2).sum()) / max(1e-30, float(
        (each.astype(np.float64) ** 2).sum())) for index, each in wanted.items() if index in made)
