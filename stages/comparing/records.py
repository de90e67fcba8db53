"""What a comparison says, in records that go to JSON as they are.

The first ones are for every kind of comparison; the others for latencies, as `instructions.py` has those for counts.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import Field

from device_profiles.records import Figure, Record
from stages.comparing.sequential import Claim
from stages.records import Host

How = Literal["interleaved", "milliseconds"]
SCHEMA_VERSION = 1
"""Of baselines, of whatever kind."""


class KeptFile(Record):
    """One tflite model in a baseline; a kind adds its figures.

    Attributes:
        sha256: of the file.
        tflite_bytes: its size.
        file: where it is kept, relative to the baseline's folder; None where it was not kept.
    """

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    tflite_bytes: int = Field(ge=1)
    file: str | None = None


class Claimed(Protocol):
    """What was found of a pair: the claim in a word, and why in a sentence."""

    @property
    def claim(self) -> str:
        """Such as "slower"."""

    @property
    def why(self) -> str:
        """With figures."""


class Pair(Record):
    """One tflite model against another.

    Attributes:
        name: the variant, or the candidate's file.
        reference, candidate: where they are, for people.
        reason: why nothing was found.
    """

    name: str
    reference: str
    candidate: str
    reason: str = ""

    @property
    @abstractmethod
    def found(self) -> Claimed | None:
        """None where there was nothing to measure, or it could not be; `reason` says why."""


P = TypeVar("P", bound=Pair)


class Pairs(Record, Generic[P]):
    """Everything that was compared, or held against a baseline.

    Attributes:
        pairs: in the reference's order.
        only_reference, only_candidate: models that one side alone has.
        notes: what a reader should know of the whole.
    """

    pairs: tuple[P, ...]
    only_reference: tuple[str, ...] = ()
    only_candidate: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class NoiseFloor(Record):
    """The reference against itself, before anything else was measured.

    Attributes:
        launches: how many.
        ratio: one process by the other, with the interval that is always valid.
        spread: robust standard deviation of a launch's ratio, as a share.
        sound: whether that interval holds 1. Where it does not, the machine tells a model from itself, and no claim
            is made.
        detectable: the least slow-down that the budget could prove half of the time, as a share; None where it could
            prove none.
    """

    launches: int
    ratio: Figure
    spread: float
    sound: bool
    detectable: float | None


class LatencyComparison(Record):
    """The candidate against the reference.

    Attributes:
        claim: "slower", "faster", "same" (within the margin) or "undecided".
        why: a sentence.
        how: "interleaved": both measured in turns here; "milliseconds": held against figures of an earlier day.
        margin: the difference that does not matter, as a share.
        ratio: candidate's latency by the reference's: trimmed geometric mean of launches, 99 % interval valid at all
            times.
        medians_ratio: ratio of medians, median over all rounds; block bootstrap over launches, 95 %.
        reference, candidate: medians in ms; block bootstrap over launches.
        floor: the noise floor; None where the reference cannot be run here.
        launches: pairs of processes.
        inferences: of both, timed.
        seconds: wall time, floor included.
        launches_needed: where it is undecided, about how many launches would decide it if the ratio stays; None where
            no number would.
        seconds_needed: what these would take, floor left out.
        findings: what disturbed the measurement, in sentences.
    """

    claim: Claim
    why: str
    how: How = "interleaved"
    engine: str
    engine_version: str = ""
    threads: int = 1
    cpus: tuple[int, ...] = ()
    margin: float
    ratio: Figure | None = None
    medians_ratio: Figure | None = None
    reference: Figure | None = None
    candidate: Figure | None = None
    floor: NoiseFloor | None = None
    launches: int = 0
    inferences: int = 0
    seconds: float = 0.0
    launches_needed: int | None = None
    seconds_needed: float | None = None
    findings: tuple[str, ...] = ()


class OperatorCount(Record):
    """How often an operator occurs on each side."""

    operator: str
    reference: int
    candidate: int


class OutputDifference(Record):
    """One output of both on the same inputs, dequantized.

    Attributes:
        largest, mean: absolute difference.
        range: largest less smallest value of the reference's.
        decisions_changed: share of the samples whose largest of several values is another one; None for one value.
    """

    name: str
    largest: float
    mean: float
    range: float
    decisions_changed: Figure | None


class Predictions(Record):
    """Outputs on the same inputs; `reason` says why there are none."""

    samples: int = 0
    inputs: str = ""
    outputs: tuple[OutputDifference, ...] = ()
    reason: str = ""


class StaticDifference(Record):
    """What differs besides time: [reference, candidate] each.

    Attributes:
        operators: those whose counts differ.
        arena_bytes: the least that TFLM loads the model into; None where TFLM does not take it or is not installed.
        activation_peak_bytes: activations that live at the same time; no arena can be smaller.
    """

    tflite_bytes: tuple[int, int]
    number_format: tuple[str, str]
    macs: tuple[int, int]
    operator_count: tuple[int, int]
    operators: tuple[OperatorCount, ...]
    arena_bytes: tuple[int | None, int | None]
    activation_peak_bytes: tuple[int, int]
    identical: bool


class PairComparison(Pair):
    """One tflite model against another: time, and everything else.

    Attributes:
        latency: None where it was not measured.
        differences: None where one of the two files is not at hand.
    """

    latency: LatencyComparison | None
    differences: StaticDifference | None
    predictions: Predictions

    @property
    def found(self) -> LatencyComparison | None:
        """What their times say."""
        return self.latency


class ComparisonResult(Pairs[PairComparison]):
    """Latencies and everything else, on this host."""

    host: Host
