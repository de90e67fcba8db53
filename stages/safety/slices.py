"""Drops within slices of the user's columns: "light=night" may lose what the mean does not show.

`prepare` leaves `slices_test.json`: by column, a value for each test sample. The samples' groups (speakers, patients)
are a further column, "group".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.errors import DataError, StoreError, UsageError, with_near_miss
from stages.paired import counts
from stages.records import Member, Worst
from stages.safety.members import Candidate, family_level, paired_candidate, worst_of
from stages.statistics import ENDS_LEVEL, Interval
from stages.tasks import Task, Truth
from stages.tasks.base import ONLY_OUTPUT

Array = npt.NDArray[Any]
Columns = Mapping[str, Sequence[str]]

FILE = "slices_test.json"
GROUP = "group"
MOST_VALUES = 200
"""A column with more values is no set of slices."""
LEAST_SAMPLES = 30
_DRAWS_BEYOND = 20  # resamples that should lie beyond a bound


def write_slices(folder: Path, columns: Columns) -> None:
    """Write `slices_test.json`; nothing where there are no columns.

    Args:
        folder: a prepare artifact.
        columns: by name, a value for each test sample.

    Raises:
        DataError: a column has more values than slices can have.
    """
    for name, values in columns.items():
        _check_values(name, values, DataError)
    if columns:
        text = json.dumps({name: list(values) for name, values in columns.items()}, ensure_ascii=False)
        (folder / FILE).write_text(text + "\n", "utf-8")


def read_slices(data: Path, groups: Sequence[str]) -> dict[str, Sequence[str]]:
    """The columns of a prepare artifact's test split, "group" last where the samples have groups.

    Raises:
        StoreError: the file is damaged.
    """
    found: dict[str, Sequence[str]] = {}
    if (data / FILE).exists():
        try:
            found = {str(name): tuple(values) for name, values in json.loads((data / FILE).read_text("utf-8")).items()}
        except (OSError, ValueError, AttributeError) as error:
            raise StoreError(f"{data / FILE} cannot be read: {error}", "", "litesmith prepare") from error
    return found if not groups or GROUP in found else {**found, GROUP: groups}


def chosen_columns(known: Columns, wanted: Sequence[str], asked: bool) -> Columns:
    """The columns to judge by.

    Args:
        known: all there are.
        wanted: those that the run file names; none: all but "group", or where a limit asks and there is no other,
            "group".
        asked: whether a limit asks for slices.

    Raises:
        UsageError: a column that is not there, or has more values than slices can have.
    """
    for name in wanted:
        if name not in known:
            what = f"evaluate.slices names the column '{name}', which the test samples do not have"
            raise UsageError(with_near_miss(what, name, known), ", ".join(known) or "the data has no slice columns",
                             "name columns under data.source.slices")
    names = list(wanted) or [name for name in known if name != GROUP] or (list(known) if asked else [])
    for name in names:
        _check_values(name, known[name], UsageError)
    return {name: known[name] for name in names}


def _check_values(name: str, values: Sequence[str], kind: type[DataError] | type[UsageError]) -> None:
    """Refuse a column that is no set of slices."""
    count = len(set(values))
    if count > MOST_VALUES:
        raise kind(f"the slice column '{name}' has {count:,} values", f"at most {MOST_VALUES}",
                   "put its values into a few ranges or groups first")


def slices_worst(task: Task, reference: Array, outputs: Array, truth: Truth, columns: Columns, *, least: int,
                 seed: int, resamples: int) -> Worst | None:
    """The largest drop of the score in any slice.

    Args:
        task: what is scored.
        reference: outputs of the float model.
        outputs: of the variant.
        truth: of as many samples.
        columns: by name, a value for each sample.
        least: slices with fewer samples are reported, not judged.
        seed: of the bootstrap, for scores that need one.
        resamples: at least so many.

    Returns:
        None where there are no columns, or none of their slices is judged.
    """
    members = [(f"{name}={value}", np.flatnonzero(np.asarray(values) == value))
               for name, values in columns.items() for value in sorted(set(values))]
    if not members:
        return None
    tails = (1 - family_level(len(members))) / 2
    resamples = max(resamples, math.ceil(_DRAWS_BEYOND / tails))
    found = []
    for name, rows in members:
        part = _Slice(task, np.asarray(reference[rows]), np.asarray(outputs[rows]),
                      truth.part(rows, inputs=task.by_parts), seed, resamples)
        found.append(part.candidate(name, least))
    return worst_of(found, "points", "drop in a slice")


class _Slice:
    """One slice's outputs."""

    def __init__(self, task: Task, reference: Array, outputs: Array, truth: Truth, seed: int, resamples: int) -> None:
        self._task, self._reference, self._outputs, self._truth = task, reference, outputs, truth
        self._seed, self._resamples = seed, resamples
        self._known: dict[float, tuple[float, Interval | None]] = {}

    def candidate(self, name: str, least: int) -> Candidate:
        """The slice as one of several: of a classification by its counts, else by the task's own drop."""
        before, after = (self._task.decided(each, self._truth) for each in (self._reference, self._outputs))
        if set(before) == {ONLY_OUTPUT}:
            return paired_candidate(name, counts(before[ONLY_OUTPUT], after[ONLY_OUTPUT]), least)
        samples = len(self._truth.y)
        if samples < least:
            return _not_judged(name, samples, f"fewer than {least} samples")
        try:
            self._task.check_split("test", self._truth.y)
            value, _ = self._drop(ENDS_LEVEL)
        except DataError as error:
            return _not_judged(name, samples, error.found)
        if not math.isfinite(value):
            return _not_judged(name, samples, "the score is not defined on these samples")
        return Candidate(Member(name=name, samples=samples, value=value), lambda level: self._drop(level)[1])

    def _drop(self, level: float) -> tuple[float, Interval | None]:
        """Value and interval at a level, worked out once."""
        if level not in self._known:
            figure = self._task.drop(self._reference, self._outputs, self._truth, seed=self._seed,
                                     resamples=self._resamples, level=level)
            self._known[level] = figure.value, figure.interval
        return self._known[level]


def _not_judged(name: str, samples: int, note: str) -> Candidate:
    """A slice that is only named."""
    return Candidate(Member(name=name, samples=samples, judged=False, note=note), lambda level: None)  # noqa: ARG005
