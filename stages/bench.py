"""Samples that tflite models are run on, and what scores their outputs: what the trials of a study share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from device_profiles.records import Figure
from stages.datasets.prepared import read_preprocessing, read_split
from stages.records import Normalization
from stages.tasks import Task, Truth, make_task, read_truth
from stages.tasks.matching import Shape
from stages.tasks.settings import TaskSettings

Array = NDArray[Any]


@dataclass(frozen=True)
class Bench:
    """Samples of a split, and what scores outputs on them.

    Attributes:
        engine, workers, timeout_s, log: of the workers.
        samples: an `.npy` file of stored samples.
        normalization: by input name.
        truth: of these samples.
        task: that scores.
        shapes: of the outputs; see `stages.tasks.matching.arrange`.
    """

    engine: str
    workers: int
    timeout_s: float
    log: Path
    samples: Path
    normalization: Mapping[str, Normalization]
    truth: Truth
    task: Task
    shapes: Mapping[str, Shape | None]

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self.truth.y)

    def score(self, outputs: Array) -> float:
        """The task's score."""
        return self.task.validate(outputs, self.truth)[1]

    def drop(self, reference: Array, outputs: Array, seed: int = 0, resamples: int = 0) -> Figure:
        """Score of one less that of the other, in points; with an interval where there are resamples."""
        return self.task.drop(reference, outputs, self.truth, seed=seed, resamples=resamples)


def whole_split(data: Path, split: str, task: TaskSettings, *, engine: str, workers: int, timeout_s: float,
                log: Path) -> Bench:
    """All samples of a split of a prepare artifact.

    Args:
        data: the artifact.
        split: its name.
        task: what is predicted.
        engine: that is to run.
        workers: at most.
        timeout_s: for a reply.
        log: for what the workers say.

    Raises:
        StoreError: the artifact is missing or damaged.
    """
    preprocessing, scorer = read_preprocessing(data), make_task(task)
    return Bench(engine=engine, workers=workers, timeout_s=timeout_s, log=log, samples=data / f"x_{split}.npy",
                 truth=read_truth(read_split(data, split, in_memory_bytes=0), preprocessing), task=scorer,
                 normalization={name: spec.normalization for name, spec in preprocessing.inputs.items()},
                 shapes=scorer.output_shapes(preprocessing))
