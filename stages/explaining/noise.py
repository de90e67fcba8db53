"""How far every activation of a variant is from its float model's, where that is made, and what of it comes out.

`tally.py` has the sums and their equations, `reach.py` how much of the noise at the outputs each operator makes.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

from device_profiles.errors import StageError
from stages.context import Progress, no_progress
from stages.explaining.pairs import Pairing, label, short_name
from stages.explaining.reach import Reach, measure_reach
from stages.explaining.runs import Bench, Runs, Source
from stages.explaining.tally import Tally


@dataclass(frozen=True)
class Noise:
    """What was measured.

    Attributes:
        tallies: in the variant's order; inputs first.
        total: sum of the local noise of all.
        reach: how much of it comes out at the model's outputs.
    """

    tallies: tuple[Tally, ...]
    total: float
    reach: Reach = field(default_factory=Reach)

    def share(self, tally: Tally) -> float:
        """Of the noise at the outputs, how much this one makes; where that is not known, of the noise that is made."""
        if self.reach.is_known:
            return self.reach.share(tally.tensor.index)
        return tally.local / self.total if self.total else 0.0

    def shift_share(self, tally: Tally) -> float:
        """Of the same, what is one shift for each channel: a bias could take it up."""
        return self.reach.shift_share(tally.tensor.index) if self.reach.is_known else self.share(tally) * tally.shifted


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
    runs = Runs(variant, reference, pairing)
    with ExitStack() as stack:
        runs.start(stack, bench)
        for start in range(0, bench.count, runs.rows):
            stop = min(start + runs.rows, bench.count)
            runs.read(start, stop)
            for tally in tallies:
                _count(tally, runs)
            progress(stop, bench.count, "samples through both models")
        found = tuple(each for each in tallies if each.elements)
        return Noise(found, sum(each.local for each in found), measure_reach(found, runs, reference, bench))


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


def _count(tally: Tally, runs: Runs) -> None:
    """Add one batch to a tally."""
    made, given = runs.variant.get(tally.tensor.index), runs.noiseless(tally)
    if made is None:
        return
    wanted = given if tally.pair is None else runs.reference.get(tally.pair.original.outputs[0])
    if wanted is not None and wanted.shape == made.shape:
        tally.add_seen(wanted, made)
    if given is not None and given.shape == made.shape:
        tally.add_local(given, made)
