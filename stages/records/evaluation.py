"""What a model scores."""

from __future__ import annotations

from pydantic import Field

from device_profiles.records import Figure, Record
from stages.records.base import EngineStatus, StageResult


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


class EngineEvaluation(Record):
    """One tflite model in one engine.

    Attributes:
        status: "ok", or why there are no metrics; `message` says it in words.
        metrics: of the model's output; of its first one where it has several.
        outputs: by output name, the metrics of each, for a model with several; else empty.
        drop: score of the float model less this one's, in points (hundredths), with a paired bootstrap interval; the
            largest of all outputs.
        changed: predictions that differ from the float model's; None for tasks that decide nothing.
        largest_difference: of any output from the float Keras model's, in units of the output.
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


class Agreement(Record):
    """How far two engines agree on the same tflite model and inputs.

    Attributes:
        equal_labels: share of samples that both decide alike; None for tasks that decide nothing.
    """

    engines: tuple[str, str]
    largest_difference: float
    equal_labels: float | None = None


class EvaluateResult(StageResult):
    """One tflite model in every engine; by engine name. Outputs are in the artifact as `outputs_<engine>.npy`."""

    engines: dict[str, EngineEvaluation]
    agreements: tuple[Agreement, ...] = ()


class BaselineResult(StageResult):
    """The float model on the test split. Its outputs are in the artifact as `outputs.npy`.

    Attributes:
        metrics: of its output; of its first one where it has several.
        outputs: by output name, the metrics of each, for a model with several; else empty.
    """

    metrics: Metrics
    outputs: dict[str, Metrics] = Field(default_factory=dict)
