"""Instructions per inference of two tflite models, and kept for later: a regression signal that no clock can give.

The same tflite model in the same runtime on the same emulated core executes the same instructions, but for a few that
depend on where memory happens to lie; each count therefore has the range of its rounds. A claim holds for every value
in both ranges, so that it is the same on every repeat, on every machine, under any load.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from device_profiles.records import Figure, Record
from stages.comparing.records import KeptFile, Pair, Pairs
from stages.comparing.sequential import Placed, placed
from stages.engines.targets.counting import InstructionCounts
from stages.engines.targets.emulated import EmulatedTarget
from stages.engines.targets.target import WORKER

THRESHOLD = 0.01
"""A difference of instructions that does not matter, as a share, unless told otherwise."""
Claim = Literal["more", "fewer", "same", "undecided"]
How = Literal["counted", "kept"]
_CLAIMS: dict[Placed, Claim] = {"above": "more", "below": "fewer", "within": "same", "across": "undecided"}


class Core(Record):
    """Everything that a count depends on besides the tflite model and its inputs.

    Attributes:
        target: how the emulated core is written: "emulated:cortex-a72".
        cpu: as QEMU names it.
        worker: SHA-256 of the worker file: the call from Python is in the count.
    """

    target: str
    engine: str
    engine_version: str
    cpu: str
    qemu: str
    python: str
    packages: dict[str, str]
    worker: str


class CountedModel(KeptFile):
    """One tflite model in a baseline.

    Attributes:
        instructions, accesses: of one inference; see `stages.engines.targets.counting`.
    """

    instructions: Figure
    accesses: Figure


class InstructionBaseline(Record):
    """What was counted, and on what.

    Attributes:
        made: when, ISO 8601.
        inputs: SHA-256 of the file of samples; "" for random ones, which are the same each time.
        models: by variant or file name.
    """

    kind: Literal["instructions"] = "instructions"
    schema_version: Literal[1] = 1
    litesmith: str
    made: str
    core: Core
    inputs: str = ""
    models: dict[str, CountedModel]


class InstructionComparison(Record):
    """The candidate against the reference.

    Attributes:
        claim: "more" or "fewer" instructions, "same" (within the threshold), or "undecided" (the ranges of the rounds
            span it).
        why: a sentence.
        how: "counted": both now; "kept": the reference's count is that of the baseline.
        threshold: the difference that does not matter, as a share.
        ratio: candidate's instructions by the reference's; the interval is that of the ranges.
        instructions, accesses: of one inference, reference and candidate.
    """

    claim: Claim
    why: str
    how: How
    threshold: float
    ratio: Figure
    instructions: tuple[Figure, Figure]
    accesses: tuple[Figure, Figure]


class CountedPair(Pair):
    """One tflite model against another."""

    instructions: InstructionComparison | None = None

    @property
    def found(self) -> InstructionComparison | None:
        """What their instructions say."""
        return self.instructions


class CountedResult(Pairs[CountedPair]):
    """Instructions, on the emulated core of today."""

    core: Core


def core_of(target: EmulatedTarget, engine: str) -> Core:
    """What counts on a target depend on."""
    about = target.about
    return Core(target=f"emulated:{target.cpu}", engine=engine, cpu=target.cpu, qemu=about.qemu,
                engine_version=target.engine_info(engine).version or "", python=about.python, packages=about.packages,
                worker=hashlib.sha256(WORKER.read_bytes()).hexdigest())


def why_not_comparable(before: Core, now: Core) -> str:
    """What differs between two cores, so that their counts cannot be compared; empty where nothing does."""
    told = {"worker": "of another worker file"}
    return ", ".join(told.get(name, f"with {name} {_told(then)} and not {_told(today)}")
                     for name, then, today in ((name, getattr(before, name), getattr(now, name))
                                               for name in Core.model_fields) if then != today)


def _told(value: object) -> str:
    """A field's value in words."""
    return ", ".join(f"{name} {version}" for name, version in value.items()) if isinstance(value, dict) else str(value)


def compared(reference: CountedModel | InstructionCounts, candidate: InstructionCounts, threshold: float,
             how: How) -> InstructionComparison:
    """The claim, which holds for every value in both ranges.

    With the ratio's range [low, high] and the threshold t:

        more       low > 1 + t
        fewer      high < 1 / (1 + t)
        same       1 / (1 + t) <= low and high <= 1 + t
        undecided  otherwise

    Args:
        reference: counted before, or now.
        candidate: counted now.
        threshold: as a share.
        how: see `InstructionComparison`.
    """
    ratio = _ratio(reference.instructions, candidate.instructions)
    claim = _CLAIMS[placed(ratio.interval or (ratio.value, ratio.value), (1 / (1 + threshold), 1 + threshold))]
    return InstructionComparison(
        claim=claim, how=how, threshold=threshold, ratio=ratio, why=_why(ratio, threshold, claim),
        instructions=(reference.instructions, candidate.instructions),
        accesses=(reference.accesses, candidate.accesses))


def _ratio(one: Figure, other: Figure) -> Figure:
    """Second by first, with the ends of both ranges."""
    first, second = (each.interval or (each.value, each.value) for each in (one, other))
    return Figure(value=other.value / one.value, unit="ratio", provenance="emulated",
                  samples=min(one.samples, other.samples), interval=(second[0] / first[1], second[1] / first[0]),
                  level=min(one.level, other.level), method="ratio of medians; from the ends of both ranges")


def _why(ratio: Figure, threshold: float, claim: Claim) -> str:
    """`+12.31 % (+12.28 % to +12.35 %) instructions`."""
    low, high = (f"{100 * (end - 1):+.2f} %" for end in ratio.interval or (ratio.value, ratio.value))
    told = f"{100 * (ratio.value - 1):+.2f} % ({low} to {high}) instructions"
    if claim == "undecided":
        return f"{told}: the rounds differ by more than the way to the threshold of {100 * threshold:g} %"
    return told
