"""All that `evaluate` says of a variant beside its mean: what is free always, the rest where it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.schema import SAFETY_LIMITS
from stages.outputs import read_outputs
from stages.paired import counts, mcnemar
from stages.records import Calibration, Corrupted, McNemar, Safety, Worst
from stages.safety import stress
from stages.safety.calibration import calibration
from stages.safety.members import classes_worst, share_candidate, worst_of
from stages.safety.slices import Columns, slices_worst
from stages.statistics import bounded_share
from stages.tasks import Task, Truth

Array = npt.NDArray[Any]
CHANGED, CLASS, SLICE, CORRUPTED, ERROR, RISE = SAFETY_LIMITS
_NOT_DECIDING = "{kind} decides nothing that could change; bound accuracy_drop_points instead"


@dataclass(frozen=True)
class Wish:
    """What is to be measured.

    Attributes:
        asked: limits that some profile sets.
        calibration: whether calibration is wanted without a limit too.
        columns: of slices; a value for each sample.
        least: slices with fewer samples are not judged.
        seed: of the bootstraps.
        resamples: how many.
    """

    asked: tuple[str, ...] = ()
    calibration: bool = False
    columns: Columns = field(default_factory=dict)
    least: int = 30
    seed: int = 0
    resamples: int = 2000


class Gate:
    """What every engine's outputs are held against.

    Attributes:
        corruptions: the files of corrupted samples, by kind.
    """

    def __init__(self, task: Task, reference: Array, truth: Truth, baseline: Path, wish: Wish) -> None:
        self._task, self._reference, self._truth, self._wish = task, reference, truth, wish
        self._about = stress.read_about(baseline)
        self._baseline = baseline
        decides = task.changes(reference[:1], reference[:1], truth.part(np.arange(1))) is not None
        kinds = tuple(self._about.severities) if self._about and decides else ()
        self._decides = decides
        self.corruptions = {kind: baseline / self._about.samples_file(kind) for kind in kinds} if self._about else {}

    def safety(self, outputs: Array, corrupted: Mapping[str, Array]) -> Safety:
        """Everything about one engine's outputs.

        Args:
            outputs: of all test samples.
            corrupted: by kind, outputs on the corrupted samples.
        """
        task, reference, truth = self._task, self._reference, self._truth
        changed = task.changed(reference, outputs, truth)
        found = Safety(
            tests=self._tests(outputs),
            changed=None if changed is None else bounded_share(changed, len(truth.y), "measured",
                                                               "share of predictions that differ from float"),
            classes=classes_worst(task.recalls(reference, outputs, truth)), slices=self._slices(outputs),
            calibration=self._calibration(outputs), corrupted=self._corrupted(corrupted))
        return found.model_copy(update={"missing": self._missing(found)})

    def _tests(self, outputs: Array) -> dict[str, McNemar]:
        """McNemar's test of every output with classes."""
        before = self._task.decided(self._reference, self._truth)
        after = self._task.decided(outputs, self._truth)
        tables = {name: counts(right, after[name]) for name, right in before.items()}
        return {name: McNemar(lost=table.lost, gained=table.gained, samples=table.samples,
                              p_value=mcnemar(table.lost, table.gained)) for name, table in tables.items()}

    def _slices(self, outputs: Array) -> Worst | None:
        wish = self._wish
        return slices_worst(self._task, self._reference, outputs, self._truth, wish.columns, least=wish.least,
                            seed=wish.seed, resamples=wish.resamples)

    def _calibration(self, outputs: Array) -> dict[str, Calibration]:
        """Of every output with probabilities, where it is wanted."""
        wish = self._wish
        if not wish.calibration and not {ERROR, RISE} & set(wish.asked):
            return {}
        before = self._task.confidences(self._reference, self._truth)
        after = self._task.confidences(outputs, self._truth)
        return {name: calibration(before[name], pair) for name, pair in after.items()}

    def _corrupted(self, corrupted: Mapping[str, Array]) -> Corrupted | None:
        """Changed predictions under each corruption."""
        about = self._about
        if about is None or not corrupted:
            return None
        truth = self._truth.part(np.array(about.rows, np.int64))
        candidates = []
        for kind, outputs in corrupted.items():
            reference = read_outputs(self._baseline / about.outputs_file(kind), self._task)
            changed = self._task.changed(reference, outputs, truth)
            candidates.append(share_candidate(kind, changed or 0, len(outputs)))
        worst = worst_of(candidates, "fraction", "share changed on corrupted samples")
        return Corrupted(changed=worst, severities=about.severities) if worst else None

    def _missing(self, found: Safety) -> dict[str, str]:
        """By limit that is asked for and has no figure, the reason."""
        has = {CHANGED: found.changed, CLASS: found.classes, SLICE: found.slices, CORRUPTED: found.corrupted,
               ERROR: found.calibration, RISE: found.calibration}
        reasons: dict[str, Callable[[], str]] = {
            CHANGED: self._not_deciding, CLASS: lambda: f"{self._task.kind} has no classes; leave the limit out",
            SLICE: self._no_slices, CORRUPTED: self._no_corruption,
            ERROR: self._no_probabilities, RISE: self._no_probabilities}
        return {limit: reasons[limit]() for limit in SAFETY_LIMITS if limit in self._wish.asked and not has[limit]}

    def _not_deciding(self) -> str:
        return _NOT_DECIDING.format(kind=self._task.kind)

    def _no_probabilities(self) -> str:
        return f"{self._task.kind} has no probabilities to calibrate; leave the limit out"

    def _no_slices(self) -> str:
        if self._wish.columns:
            return (f"no slice of {', '.join(self._wish.columns)} can be judged: none has {self._wish.least} test "
                    "samples and a defined score; add test samples, or lower evaluate.slice_least_samples")
        return ("the data names no slices; set data.source.slices, or for an npz file add the array slice_test or "
                "slice.<name>")

    def _no_corruption(self) -> str:
        if not self._decides:
            return self._not_deciding()
        if self._about is None:
            return "the float model was not run on corrupted samples; set baseline.corruptions.kinds to auto or a list"
        return f"no corruption fits the data: {self._about.left_out}; say what the samples are with " \
               "baseline.corruptions.layout, or leave the limit out"
