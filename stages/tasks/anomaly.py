"""Normal or anomalous, by how badly a model rebuilds its input. Score: area under the ROC curve of the error.

The error of a sample is the mean squared difference of output and input; parts of one recording (`Truth.clips`) are
scored together, by the mean of their errors, as MLPerf Tiny does. Models are trained on normal samples alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from device_profiles.errors import DataError, ModelError, StageError, with_near_miss
from device_profiles.records import Figure, Provenance
from stages.datasets.prepared import Preprocessing, Samples
from stages.datasets.rows import slices
from stages.paired import POINTS
from stages.records import Metrics
from stages.statistics import LEVEL, Array, percentiles, share_figure
from stages.tasks import losses, roc
from stages.tasks.base import ONLY_OUTPUT, Task, Truth
from stages.tasks.classification import class_labels
from stages.tasks.matching import Shape
from stages.tasks.settings import SCORE_NAMES, TaskSettings

ERROR_UNIT = "mse"
NORMAL, ANOMALOUS = 0, 1
_NORMAL_NAME = "normal"
_NEXT = "give the data such samples; task.normal_classes says which classes are normal"


class Anomaly(Task):
    """See the module."""

    kind = "anomaly"
    score = "auc"
    score_name = SCORE_NAMES["anomaly"]
    label_kind = "classes"
    output = "linear"
    by_parts = True

    def __init__(self, settings: TaskSettings) -> None:
        super().__init__(settings)
        self._normal_classes, self._max_fpr = settings.normal_classes, settings.max_fpr

    def encode(self, y: Array, class_names: tuple[str, ...]) -> Array:
        """0 for the normal classes, 1 for all others.  # (samples,) int64."""
        labels = class_labels(y, class_names)
        return np.where(np.isin(labels, self._normal_labels(class_names)), NORMAL, ANOMALOUS).astype(np.int64)

    def may_train(self, y: Array) -> Array:
        """Normal samples alone."""
        return np.asarray(y == NORMAL)

    def check_split(self, name: str, y: Array) -> None:
        """As `Task.check_split`; every split needs normal samples, the test split anomalous ones too."""
        super().check_split(name, y)
        if not (y == NORMAL).any():
            raise DataError(f"the {name} split has no normal samples", "at least one", _NEXT)
        if name == "test" and not (y != NORMAL).any():
            raise DataError(f"the {name} split has no anomalous samples: nothing tells how well they are found",
                            "at least one", _NEXT)

    def output_shape(self, preprocessing: Preprocessing, name: str = ONLY_OUTPUT) -> Shape | None:  # noqa: ARG002
        """That of the input."""
        if preprocessing.only_input is None:
            raise ModelError(f"the data has {len(preprocessing.inputs)} inputs: {', '.join(preprocessing.inputs)}",
                             "one, to be rebuilt by the model", "join the inputs into one array")
        return preprocessing.only_input.shape

    def wants(self, preprocessing: Preprocessing) -> str:
        """What is to be rebuilt."""
        return f"its input, which it is to rebuild, has the shape {self.output_shape(preprocessing)}"

    def tensor_loss(self, x: Any, y: Any, outputs: Any, logits: bool) -> Any:  # noqa: ARG002
        """Distance of the output from the input."""
        return losses.distance_tensors(self.settings.loss_name, x, outputs)

    def scored_shape(self, outputs: Array, truth: Truth) -> Shape | None:  # noqa: ARG002
        """That of the inputs."""
        return tuple(_inputs(truth).shape[1:])

    def validate(self, outputs: Array, truth: Truth) -> tuple[float, float]:
        """(mean loss on normal samples, ROC AUC); the latter is NaN where there are no anomalous samples."""
        return self.validate_parts((outputs[part] for part in slices(len(outputs), outputs[:1].nbytes)), truth)

    def validate_parts(self, parts: Iterable[Array], truth: Truth) -> tuple[float, float]:
        """As `validate`; of each part its distances are kept."""
        kinds = tuple(dict.fromkeys((self.settings.loss_name, ERROR_UNIT)))
        found = np.empty((len(kinds), len(truth.y)))
        start = 0
        for outputs in parts:
            rows = slice(start, start + len(outputs))
            found[:, rows] = [losses.distances(kind, _inputs(truth)[rows], outputs) for kind in kinds]
            start = rows.stop
        normal, scored = found[0][truth.y == NORMAL], _by_clip(found[-1], truth)
        both = 0 < scored.anomalous.sum() < len(scored.anomalous)
        score = roc.auc(scored.errors, scored.anomalous) if both and np.isfinite(scored.errors).all() else float("nan")
        return float(normal.mean()) if len(normal) else float("nan"), score

    def figures(self, outputs: Array, truth: Truth, *, seed: int, resamples: int, provenance: Provenance) -> Metrics:
        """ROC AUC, partial AUC, AUC by group with their mean, and a threshold with its recall."""
        scored = score_clips(outputs, truth)
        found = {"auc": auc_figure(scored, provenance),
                 "partial_auc": self._partial(scored, seed, resamples, provenance),
                 **_by_group(scored, provenance), **self._at_threshold(scored, provenance)}
        return Metrics(task=self.kind, samples=len(scored.errors), score=self.score, figures=found)

    def for_users(self, outputs: Array, truth: Truth) -> tuple[Array, Array]:
        """Labels and errors of the clips, or of the samples where there are no clips."""
        scored = score_clips(outputs, truth)
        return scored.anomalous.astype(np.int64), scored.errors

    def drop(self, reference: Array, outputs: Array, truth: Truth, *, seed: int = 0, resamples: int = 2000,
             provenance: Provenance = "measured", level: float = LEVEL) -> Figure:
        """Points of ROC AUC. Both are scored on the same resamples, drawn from either kind."""
        before, after = score_clips(reference, truth), score_clips(outputs, truth)
        anomalous, interval, how = before.anomalous, None, ""
        if resamples:
            resamples = roc.affordable(len(anomalous), resamples)
            one, other = roc.resampled_areas([before.errors, after.errors], anomalous, 1.0, resamples, seed)
            interval = percentiles(POINTS * (one - other), level)
            how = f"; paired, stratified bootstrap of {resamples:,} resamples"
        value = POINTS * (roc.auc(before.errors, anomalous) - roc.auc(after.errors, anomalous))
        return Figure(value=value, unit="points", provenance=provenance, samples=len(anomalous), level=level,
                      interval=interval, method=f"difference{how}")

    def _normal_labels(self, class_names: tuple[str, ...]) -> list[int]:
        """Which labels are normal.

        Raises:
            DataError: the run file names a class that is not there, or none and none is called "normal".
        """
        if not class_names:
            return [NORMAL]
        for name in self._normal_classes:
            if name not in class_names:
                words = with_near_miss(f"task.normal_classes names '{name}', which is no class", name, class_names)
                raise DataError(words, ", ".join(class_names), "correct task.normal_classes")
        found = [place for place, name in enumerate(class_names) if name in self._normal_classes
                 or (not self._normal_classes and name.lower() == _NORMAL_NAME)]
        if found:
            return found
        if class_names == ("0", "1"):
            return [NORMAL]
        raise DataError(f"nothing says which of the classes are normal: {', '.join(class_names)}",
                        f"a class called '{_NORMAL_NAME}', or task.normal_classes", "set task.normal_classes")

    def _partial(self, scored: Scored, seed: int, resamples: int, provenance: Provenance) -> Figure:
        """Partial AUC with a bootstrapped interval."""
        resamples = roc.affordable(len(scored.errors), resamples)
        how, interval = f"McClish's partial AUC up to {self._max_fpr:g} false alarms", None
        if resamples:
            drawn, = roc.resampled_areas([scored.errors], scored.anomalous, self._max_fpr, resamples, seed)
            interval, how = percentiles(drawn), f"{how}; stratified bootstrap of {resamples:,} resamples, percentiles"
        return Figure(value=roc.partial_auc(scored.errors, scored.anomalous, self._max_fpr), unit="fraction",
                      provenance=provenance, samples=len(scored.errors), level=LEVEL, interval=interval, method=how)

    def _at_threshold(self, scored: Scored, provenance: Provenance) -> dict[str, Figure]:
        """The lowest error above which at most `max_fpr` of the normal ones lie, and what is found above it.

        An alarm is an error above the threshold. The threshold is chosen on the same samples: on others the share of
        false alarms will differ by its interval.
        """
        normal, anomalous = scored.errors[~scored.anomalous], scored.errors[scored.anomalous]
        allowed = min(int(np.floor(self._max_fpr * len(normal) + 1e-9)), len(normal) - 1)
        threshold = float(np.sort(normal)[-1 - allowed])
        return {
            "threshold": Figure(value=threshold, unit=ERROR_UNIT, provenance=provenance, samples=len(normal),
                                method=f"error above which at most {self._max_fpr:g} of the normal samples lie"),
            "recall": share_figure(int((anomalous > threshold).sum()), len(anomalous), provenance,
                                   "share of the anomalous above the threshold"),
            "false_alarms": share_figure(int((normal > threshold).sum()), len(normal), provenance,
                                         "share of the normal above the threshold"),
        }


@dataclass(frozen=True)
class Scored:
    """What an anomaly task decides on: clips, or samples where there are no clips.

    Attributes:
        errors: (clips,) float64 mean squared error of the reconstruction.
        anomalous: (clips,) bool.
        groups: of each, or empty.
    """

    errors: Array
    anomalous: Array
    groups: Array


def _inputs(truth: Truth) -> Samples:
    """What outputs are held against."""
    if truth.x is None:
        raise StageError("an anomaly task scores outputs against inputs; there are none", "the inputs of the split")
    return truth.x


def _sample_errors(outputs: Array, truth: Truth) -> Array:
    """Mean squared error of each output, read some megabytes at a time.  # (samples,) float64."""
    found, x = np.empty(len(outputs)), _inputs(truth)
    for part in slices(len(outputs), outputs[:1].nbytes):
        found[part] = losses.distances(ERROR_UNIT, x[part], outputs[part])
    return found


def score_clips(outputs: Array, truth: Truth) -> Scored:
    """The mean error of each clip.

    Raises:
        DataError: a clip with normal and anomalous parts.
    """
    return _by_clip(_sample_errors(outputs, truth), truth)


def _by_clip(errors: Array, truth: Truth) -> Scored:
    """As `score_clips`, from the error of each sample."""
    groups = np.array(truth.groups)
    if truth.clips is None or not len(truth.clips):
        return Scored(errors=errors, anomalous=truth.y != NORMAL, groups=groups)
    clips, first, place, counts = np.unique(truth.clips, return_index=True, return_inverse=True, return_counts=True)
    share = np.bincount(place, weights=truth.y != NORMAL) / counts
    mixed = np.flatnonzero((share > 0) & (share < 1))
    if len(mixed):
        raise DataError(f"clip {clips[mixed[0]]} has parts that are normal and parts that are anomalous",
                        "one label a clip", "label whole recordings, or give the parts names of their own")
    return Scored(errors=np.bincount(place, weights=errors) / counts, anomalous=share > 0,
                  groups=groups[first] if len(groups) else groups)


def auc_figure(scored: Scored, provenance: Provenance) -> Figure:
    """ROC AUC with its interval."""
    interval, how = roc.auc_interval(scored.errors, scored.anomalous)
    return Figure(value=roc.auc(scored.errors, scored.anomalous), unit="fraction", provenance=provenance,
                  samples=len(scored.errors), level=LEVEL, interval=interval, method=f"area under the ROC curve; {how}")


def _by_group(scored: Scored, provenance: Provenance) -> dict[str, Figure]:
    """AUC of each group that has normal and anomalous samples, and first their mean, as MLPerf Tiny scores machines."""
    found, left_out = {}, []
    for name in np.unique(scored.groups):
        members = scored.groups == name
        anomalous = scored.anomalous[members]
        if anomalous.all() or not anomalous.any():
            left_out.append(str(name))
            continue
        group = Scored(errors=scored.errors[members], anomalous=anomalous, groups=scored.groups[members])
        found[f"auc_{name}"] = auc_figure(group, provenance)
    if not found:
        return {}
    without = f"; without {', '.join(left_out)}, which have one kind alone" if left_out else ""
    mean = Figure(value=float(np.mean([figure.value for figure in found.values()])), unit="fraction",
                  provenance=provenance, samples=sum(figure.samples for figure in found.values()),
                  method=f"mean ROC AUC over {len(found)} groups{without}")
    return {"auc_mean": mean, **found}
