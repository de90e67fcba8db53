"""A model's outputs on a split: had from an engine, held side by side, read back.

Outputs are (samples, *shape) float32, or a structured array with a field for each of several outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import cast

import numpy as np

from device_profiles.errors import StoreError
from device_profiles.records import Figure
from stages.datasets.rows import RowPlacer, Rows, slices
from stages.engines.pool import Job, predict_file
from stages.records import Metrics
from stages.tasks.base import Array, Task
from stages.tasks.matching import Shape, arrange
from stages.tasks.settings import MEAN_SCORE, SCORE_NAMES

OUTPUTS_FILE = "outputs.npy"
"""The float model's outputs on the test split, in a baseline artifact."""


def engine_outputs(job: Job, wanted: Mapping[str, Shape | None], progress: Callable[[int, int], None]) -> Array:
    """Run a file of samples through a tflite model and give its outputs the task's names and order.

    Args:
        job: what to run.
        wanted: shape by output name; see `arrange`.
        progress: called with (samples done, samples).

    Raises:
        StageError: samples or outputs do not fit.
        EngineError: the engine cannot run the model.
    """
    found = predict_file(job, progress)
    names = found.outputs.dtype.names
    parts = {name: found.outputs[name] for name in names} if names else {found.output_names[0]: found.outputs}
    return arrange(parts, wanted, f"{job.model} in {job.engine}")


def write_outputs(job: Job, wanted: Mapping[str, Shape | None], path: Path,
                  progress: Callable[[int, int], None]) -> None:
    """As `engine_outputs`, into an `.npy` file and part by part: outputs may be larger than memory.

    Args:
        job: what to run.
        wanted: shape by output name; see `arrange`.
        path: of the file; where an error ends this, it is not there.
        progress: called with (samples done, samples).

    Raises:
        StageError: samples or outputs do not fit.
        EngineError: the engine cannot run the model.
    """
    where = f"{job.model} in {job.engine}"
    with RowPlacer(path, len(Rows(job.samples))) as file:
        predict_file(job, progress, lambda start, parts: file.put(start, arrange(parts, wanted, where)))


def read_outputs(path: Path, task: Task) -> Array:
    """An `.npy` file of outputs: in memory, or where the task goes through them part by part, read where it is indexed.

    Raises:
        StoreError: it is missing or damaged.
    """
    if task.by_parts:
        return cast(Array, Rows(path))
    try:
        found: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"{path} cannot be read: {error}", "", "run again: what is missing is built anew") from error
    return found


def largest_difference(one: Array, other: Array) -> float:
    """Of any value of any output."""
    return max((float(abs(left - right).max()) for left, right in _side_by_side(one, other)), default=0.0)


def _side_by_side(one: Array, other: Array) -> Iterator[tuple[Array, Array]]:
    """Both arrays some megabytes at a time, output by output."""
    for part in slices(len(one), one[:1].nbytes):
        if one.dtype.names is None:
            yield one[part], other[part]
        else:
            yield from ((one[name][part], other[name][part]) for name in one.dtype.names)


def score_name(metrics: Metrics, outputs: Mapping[str, Metrics]) -> str:
    """What `overall_score` is called: "accuracy", "R2", ..."""
    names = {SCORE_NAMES[each.task] for each in outputs.values()} or {SCORE_NAMES[metrics.task]}
    return names.pop() if len(names) == 1 else MEAN_SCORE


def overall_score(metrics: Metrics, outputs: Mapping[str, Metrics]) -> Figure:
    """The score of a model: its output's, or the mean of its outputs' scores.

    Args:
        metrics: of the only output, or of the first.
        outputs: by name, of a model with several; else empty.
    """
    if not outputs:
        return metrics.headline
    scores = [each.headline.value for each in outputs.values()]
    return metrics.headline.model_copy(update={"value": float(np.mean(scores)), "interval": None,
                                               "method": f"mean of the scores of {len(scores)} outputs"})
