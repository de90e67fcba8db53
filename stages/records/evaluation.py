"""What a model scores."""

from __future__ import annotations

from pydantic import Field

from device_profiles.records import Figure, Record
from stages.records.base import EngineStatus, StageResult
from stages.records.targets import OperatorDifference


class Metrics(Record):
    """What a task measures on the test split.

    Attributes:
        task: the task's kind.
        samples: how many were scored.
        score: key in `figures` of the figure that a drop is measured in; a share up to 1, higher is better.
        figures: by name, in the order to be shown. Classification: accuracy, precision, recall, f1, log_loss. See
            `stages.tasks` for the others.
        per_class_recall: in label order; () for tasks without classes.
        confusion: `confusion[i][j]` counts samples of class `i` that were given label `j`; () for other tasks.
    """

    task: str = "classification"
    samples: int
    score: str = "accuracy"
    figures: dict[str, Figure]
    per_class_recall: tuple[float, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()

    @property
    def headline(self) -> Figure:
        """The figure that a drop is measured in."""
        return self.figures[self.score]


class PairedCounts(Record):
    """Decisions of two models on the same samples.

    Attributes:
        lost: right by the float model and wrong by the variant.
        gained: wrong by the float model and right by the variant.
        samples: all of them.
    """

    lost: int
    gained: int
    samples: int


class McNemar(PairedCounts):
    """McNemar's exact test: p value, two-sided, of as many lost and gained where neither model is better."""

    p_value: float


class Member(Record):
    """One class, slice or corruption, held against the float model by itself.

    Attributes:
        name: of a class; of a slice "column=value"; of a corruption.
        samples: how many it has.
        value: drop in points, or share changed; None where it has no score of its own.
        interval: each end a one-sided 95 % bound; None where there is none.
        lost, gained: of a classification's drop; a share has `lost` alone: the changed ones. None for other scores.
        judged: whether it counts for the limit.
        note: why it does not.
    """

    name: str
    samples: int
    value: float | None = None
    interval: tuple[float, float] | None = None
    lost: int | None = None
    gained: int | None = None
    judged: bool = True
    note: str = ""


class Worst(Record):
    """The worst of several members.

    The lower end of the figure's interval is the highest lower bound of any member, each at 1 - 0.05 / members
    (Bonferroni): that some member is worse than a limit is claimed by looking at all of them. Its upper end is the
    highest upper bound of any member, each at 95 %: that all are within a limit is claimed only where each one is,
    which needs no correction (Berger 1982, Technometrics 24:295-300).

    Attributes:
        name: of the member with the largest value.
        figure: its value, with that interval.
        members: all of them, the ones that are not judged too.
    """

    name: str
    figure: Figure
    members: tuple[Member, ...]


class Calibration(Record):
    """How far confidence and share of right answers lie apart; see `stages.safety.calibration`.

    Attributes:
        bins: of equal mass; fewer than 15 where confidences repeat.
        error: of the variant, in points.
        noise: the most of it that noise alone adds, in points.
        float_error: of the float model on the same samples.
        rise: the variant's less the float model's, both in the float model's bins.
    """

    bins: int
    error: Figure
    noise: float
    float_error: Figure
    rise: Figure


class Corrupted(Record):
    """Predictions on mildly corrupted inputs, held against the float model's on the same ones.

    Attributes:
        changed: of every corruption, and the worst.
        severities: by corruption, what was done: "noise of 4 % of the range".
        agreement: by corruption, 1 - the share changed.
    """

    changed: Worst
    severities: dict[str, str]

    @property
    def agreement(self) -> dict[str, float]:
        """By corruption, the share of samples that both decide alike."""
        return {one.name: 1 - one.value for one in self.changed.members if one.value is not None}


class Safety(Record):
    """What a mean hides: how a variant differs from its float model on the same samples.

    Attributes:
        tests: by output name ("output" for the only one), whether the accuracy differs at all; classification only.
        changed: share of the predictions that differ from the float model's; None for tasks that decide nothing.
        classes: drop of the recall of each class.
        slices: drop of the score in each slice of the user's columns.
        calibration: by output name; where it was asked for.
        corrupted: where corruptions were asked for.
        missing: by limit, why there is no figure for it, with what to do; nothing for one that nobody asked for.
    """

    tests: dict[str, McNemar] = Field(default_factory=dict)
    changed: Figure | None = None
    classes: Worst | None = None
    slices: Worst | None = None
    calibration: dict[str, Calibration] = Field(default_factory=dict)
    corrupted: Corrupted | None = None
    missing: dict[str, str] = Field(default_factory=dict)


class EngineEvaluation(Record):
    """One tflite model in one engine.

    Attributes:
        status: "ok", or why there are no metrics; `message` says it in words.
        metrics: of the model's output; of its first one where it has several.
        outputs: by output name, the metrics of each, for a model with several; else empty.
        drop: score of the float model less this one's, in points (hundredths), paired, each end of the interval a
            one-sided bound; the largest of all outputs.
        changed: predictions that differ from the float model's; None for tasks that decide nothing.
        largest_difference: of any output from the float Keras model's, in units of the output.
        safety: what the mean hides; None without metrics.
    """

    engine: str
    engine_version: str
    status: EngineStatus
    message: str = ""
    metrics: Metrics | None = None
    outputs: dict[str, Metrics] = Field(default_factory=dict)
    drop: Figure | None = None
    changed: int | None = None
    largest_difference: float | None = None
    safety: Safety | None = None


class Agreement(Record):
    """How far two engines agree on the same tflite model and inputs.

    Attributes:
        equal_labels: share of samples that both decide alike; None for tasks that decide nothing.
    """

    engines: tuple[str, str]
    largest_difference: float
    equal_labels: float | None = None


class EvaluateResult(StageResult):
    """One tflite model in every engine; by engine name. Outputs are in the artifact as `outputs_<engine>.npy`.

    Attributes:
        engines: by engine.
        agreements: of each two that ran it.
        target: where they ran; the provenance of the figures follows from it.
        differences: by engine, the first operator that gives something else there than here (an emulated target
            alone).
    """

    engines: dict[str, EngineEvaluation]
    agreements: tuple[Agreement, ...] = ()
    target: str = "host"
    differences: dict[str, OperatorDifference] = Field(default_factory=dict)


class BaselineResult(StageResult):
    """The float model on the test split. Its outputs are in the artifact as `outputs.npy`.

    Attributes:
        metrics: of its output; of its first one where it has several.
        outputs: by output name, the metrics of each, for a model with several; else empty.
    """

    metrics: Metrics
    outputs: dict[str, Metrics] = Field(default_factory=dict)
