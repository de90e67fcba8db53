"""Any number of labels a sample. Score: macro F1 at the threshold.

A label that no sample of the test split has can be neither found nor missed: it is left out of the macro means and of
the mean average precision, and the figures' method says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from device_profiles.errors import DataError
from device_profiles.records import Figure, Provenance
from stages.datasets.prepared import Preprocessing
from stages.paired import POINTS, counts
from stages.records import Metrics, PairedCounts
from stages.statistics import LEVEL, Z, mean_figure, percentiles, resampled_sums, share_figure
from stages.tasks import losses
from stages.tasks.base import ONLY_OUTPUT, Array, Task, Truth
from stages.tasks.matching import Shape
from stages.tasks.settings import SCORE_NAMES

_MOST_NAMED = 5  # labels without a sample that the figures' method names


class Multilabel(Task):
    """See the module."""

    kind = "multilabel"
    score = "f1"
    score_name = SCORE_NAMES["multilabel"]
    label_kind = "multilabel"
    output = "sigmoid"

    def encode(self, y: Array, class_names: tuple[str, ...]) -> Array:
        """Rows of 0 and 1 as uint8.  # (samples, labels)."""
        if y.ndim != 2 or y.shape[1] < 1 or (class_names and y.shape[1] != len(class_names)):
            raise DataError(f"the labels have the shape {y.shape}", f"(samples, {len(class_names) or 'labels'})",
                            "give a row of 0 and 1 for each sample, a column for each label")
        wrong = np.argwhere((y != 0) & (y != 1))
        if len(wrong):
            row, column = wrong[0]
            raise DataError(f"sample {row} has {y[row, column]} for label {column}; {len(wrong)} values are neither 0 "
                            "nor 1", "0 and 1", "give hard labels, or set task.kind to regression for shares")
        return y.astype(np.uint8)

    def check_split(self, name: str, y: Array) -> None:
        """As `Task.check_split`; and some sample must have a label."""
        super().check_split(name, y)
        if not y.any():
            raise DataError(f"no sample of the {name} split has any label", "at least one 1", "correct the labels")

    def output_shape(self, preprocessing: Preprocessing, name: str = ONLY_OUTPUT) -> Shape | None:
        """One unit per label."""
        if name in preprocessing.targets:
            return preprocessing.targets[name].shape
        return (len(preprocessing.class_names),) if preprocessing.class_names else None

    def wants(self, preprocessing: Preprocessing) -> str:
        """How many labels there are."""
        return f"the data has {len(preprocessing.class_names)} labels"

    def tensor_loss(self, x: Any, y: Any, outputs: Any, logits: bool) -> Any:  # noqa: ARG002
        """Binary cross-entropy or focal loss, mean over the labels."""
        return losses.label_tensors(self.settings.loss_name, y, outputs, logits)

    def scored_shape(self, outputs: Array, truth: Truth) -> Shape | None:  # noqa: ARG002
        """A value per label."""
        return (truth.y.shape[1],)

    def logits_in(self, outputs: Array) -> bool:
        """Outputs out of 0..1 are logits."""
        return bool(outputs.min() < -1e-3 or outputs.max() > 1 + 1e-3)

    def validate(self, outputs: Array, truth: Truth) -> tuple[float, float]:
        """(mean loss, macro F1)."""
        if not np.isfinite(outputs).all():
            return float("nan"), float("nan")
        found = losses.label_losses(self.settings.loss_name, truth.y, self.probabilities(outputs, truth))
        return float(found.mean()), float(_f1(self._cells(outputs, truth).sums()).macro[0])

    def figures(self, outputs: Array, truth: Truth, *, seed: int, resamples: int, provenance: Provenance) -> Metrics:
        """Macro and micro F1, macro precision and recall, mean average precision, exact match, Hamming and log loss."""
        cells, samples = self._cells(outputs, truth), len(truth.y)
        whole = _f1(cells.sums())
        drawn = _f1(resampled_sums(cells.columns, resamples, seed)) if resamples else None
        how = f"; bootstrap of {resamples:,} resamples, percentiles" if resamples else ""
        left_out = _left_out(truth)

        def figure(name: str, text: str) -> Figure:
            """One of `_Scores`, with its interval."""
            spread = percentiles(getattr(drawn, name)) if drawn else None
            return Figure(value=float(getattr(whole, name)[0]), unit="fraction", provenance=provenance, samples=samples,
                          level=LEVEL, interval=spread, method=f"{text}{how}")

        shares, given = self.probabilities(outputs, truth), cells.given
        wrong = (given != truth.y).sum(axis=1)  # (samples,) labels that are off
        macro, micro = (f"{kind} at {self.settings.threshold:g}" for kind in ("macro mean", "over all labels"))
        macro += left_out
        found = {
            "f1": figure("macro", macro), "micro_f1": figure("micro", micro),
            "precision": figure("precision", macro), "recall": figure("recall", macro),
            "mean_average_precision": average_precision_figure(truth.y, outputs, provenance, left_out),
            "subset_accuracy": share_figure(int((wrong == 0).sum()), samples, provenance,
                                            "share with every label right"),
            "hamming_loss": mean_figure(wrong / truth.y.shape[1], "fraction", provenance,
                                        "share of labels that are off", least=0, most=1),
            "log_loss": mean_figure(losses.label_losses("crossentropy", truth.y, shares), "nats", provenance,
                                    f"mean over samples and labels, clipped at {losses.SMALLEST_PROBABILITY:g}",
                                    least=0),
        }
        return Metrics(task=self.kind, samples=samples, score=self.score, figures=found,
                       per_class_recall=tuple(float(value) for value in _recalls(cells)))

    def drop(self, reference: Array, outputs: Array, truth: Truth, *, seed: int = 0, resamples: int = 2000,
             provenance: Provenance = "measured", level: float = LEVEL) -> Figure:
        """Points of macro F1.

        Both are scored on the same resamples. A changed decision is added to either side with an expectation of half a
        count (Agresti and Min 2005, Statistics in Medicine 24:729-740): where no decision changed, the resamples alone
        would claim a drop of 0 ± 0 on any number of samples.
        """
        before, after = self._cells(reference, truth), self._cells(outputs, truth)
        value = POINTS * float(_f1(before.sums()).macro[0] - _f1(after.sums()).macro[0])
        if not resamples:
            return Figure(value=value, unit="points", provenance=provenance, samples=len(truth.y), method="difference")
        labels = truth.y.shape[1]
        sums = resampled_sums(np.concatenate([before.columns, after.columns], axis=1), resamples, seed)
        one, other = sums[:, :3 * labels], sums[:, 3 * labels:]
        generator = np.random.default_rng((seed, 1))
        for side in (one, other):
            hits = side[:, :labels]  # a hit more or less: true positives alone, what is given stays as it is
            hits -= np.minimum(hits, generator.poisson(0.5 / labels, hits.shape))
        drops = POINTS * (_f1(one).macro - _f1(other).macro)
        return Figure(value=value, unit="points", provenance=provenance, samples=len(truth.y), level=level,
                      interval=percentiles(drops, level),
                      method=f"difference; paired bootstrap of {resamples:,} resamples, half a count added per side")

    def recalls(self, reference: Array, outputs: Array, truth: Truth) -> dict[str, PairedCounts]:
        """Of each label, over the samples that have it."""
        before, after = self._cells(reference, truth).given, self._cells(outputs, truth).given
        names = truth.class_names or tuple(map(str, range(truth.y.shape[1])))
        return {name: counts(before[has, place], after[has, place])
                for place, (name, has) in enumerate(zip(names, (truth.y > 0).T, strict=True))}

    def confidences(self, outputs: Array, truth: Truth) -> dict[str, tuple[Array, Array]]:
        """Every label's probability, and whether the sample has it."""
        return {ONLY_OUTPUT: (self.probabilities(outputs, truth), (truth.y > 0).astype(np.float64))}

    def changes(self, reference: Array, outputs: Array, truth: Truth) -> Array:
        """Samples that are given another set of labels."""
        return np.asarray((self._cells(reference, truth).given != self._cells(outputs, truth).given).any(axis=1))

    def probabilities(self, outputs: Array, truth: Truth) -> Array:
        """(samples, labels) float64, clipped at `SMALLEST_PROBABILITY` from both ends."""
        found = outputs.astype(np.float64)
        if self.is_logits(outputs, truth):
            found = 0.5 * (1 + np.tanh(found / 2))  # the logistic function, without overflow
        return np.clip(found, losses.SMALLEST_PROBABILITY, 1 - losses.SMALLEST_PROBABILITY)

    def _cells(self, outputs: Array, truth: Truth) -> _Cells:
        """Decisions at the threshold, held against the labels."""
        given = self.probabilities(outputs, truth) >= self.settings.threshold
        columns = np.concatenate([given & (truth.y > 0), given, truth.y], axis=1, dtype=np.float64)
        return _Cells(given=given, columns=columns)


@dataclass(frozen=True)
class _Cells:
    """What F1 is counted from.

    Attributes:
        given: (samples, labels) bool, labels given at the threshold.
        columns: (samples, 3 * labels): right ones, given ones, true ones.
    """

    given: Array
    columns: Array

    def sums(self) -> Array:
        """Over all samples.  # (1, 3 * labels)."""
        return np.asarray(self.columns.sum(axis=0)[None])


@dataclass(frozen=True)
class _Scores:
    """Of each resample.  # each (resamples,)."""

    macro: Array
    micro: Array
    precision: Array
    recall: Array


def _f1(sums: Array) -> _Scores:
    """Scores of (resamples, 3 * labels) sums of `_Cells.columns`; macro means over the labels that a resample has.

    precision = hits / given, recall = hits / true, F1 = 2 hits / (given + true); 0 where nothing is given.
    """
    labels = sums.shape[1] // 3
    hits, given, true = (sums[:, part * labels:(part + 1) * labels] for part in range(3))
    there = true > 0
    present = np.maximum(there.sum(axis=1), 1)

    def mean(values: Array) -> Array:
        """Over the labels that a resample has.  # (resamples,)."""
        return np.asarray((values * there).sum(axis=1) / present)

    return _Scores(macro=mean(2 * hits / np.maximum(given + true, 1)), precision=mean(hits / np.maximum(given, 1)),
                   recall=mean(hits / np.maximum(true, 1)),
                   micro=2 * hits.sum(axis=1) / np.maximum((given + true).sum(axis=1), 1))


def _recalls(cells: _Cells) -> Array:
    """Recall of each label; 0 for one that no sample has."""
    hits, _, true = cells.sums().reshape(3, -1)
    return np.asarray(hits / np.maximum(true, 1))


def _left_out(truth: Truth) -> str:
    """Which labels have no positive sample, as a clause; "" where all have one."""
    missing = np.flatnonzero(~truth.y.any(axis=0))
    if not len(missing):
        return ""
    names = ", ".join(truth.class_names[place] if truth.class_names else str(place) for place in missing[:_MOST_NAMED])
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    labels = truth.y.shape[1]
    return f" over {labels - len(missing)} of {labels} labels (no sample has {names}{more})"


def average_precision_figure(y: Array, outputs: Array, provenance: Provenance = "measured",
                             left_out: str = "") -> Figure:
    """Mean over the labels of the average precision.

    AP = 1/P · sum over the positives i of TP_i / N_i, where N_i counts the samples with an output no lower than that of
    i and TP_i the positives among them (scikit-learn's definition, ties together). Resampling would sort anew for each
    resample; its variance is had from the derivative of AP by each sample's weight instead (the infinitesimal
    jackknife, Efron 1981, Biometrika 68:589-599): `se² = sum over samples of (mean over labels of dAP/dw)²`.

    Args:
        y: (samples, labels) of 0 and 1.
        outputs: (samples, labels); any scale that rises with the probability.
        provenance: of the figure.
        left_out: which labels have no positive sample.
    """
    present = np.flatnonzero(y.any(axis=0))
    values, slopes = zip(*(average_precision(y[:, place] > 0, outputs[:, place]) for place in present), strict=True)
    mean = float(np.mean(values))
    half = Z * float(np.sqrt((np.mean(slopes, axis=0) ** 2).sum()))
    return Figure(value=mean, unit="fraction", provenance=provenance, samples=len(y), level=LEVEL,
                  interval=(max(0.0, mean - half), min(1.0, mean + half)),
                  method=f"mean over labels of the average precision{left_out}; infinitesimal jackknife")


def average_precision(positive: Array, outputs: Array) -> tuple[float, Array]:
    """Average precision of one label, and how it changes with each sample's weight.

    With weights w: AP = sum_i w_i y_i TP_i / N_i / sum_i w_i y_i, hence

        dAP/dw_k = 1/P · (y_k TP_k / N_k - y_k AP + sum over positives i not above k of (y_k / N_i - TP_i / N_i²))

    Args:
        positive: (samples,) bool, at least one True.
        outputs: (samples,) float.

    Returns:
        AP, and (samples,) slopes, which sum to 0.
    """
    order = np.argsort(-outputs, kind="stable")
    sorted_outputs, hit = outputs[order], positive[order].astype(np.float64)
    last = np.searchsorted(-sorted_outputs, -sorted_outputs, side="right") - 1  # last place of each tie
    first = np.searchsorted(-sorted_outputs, -sorted_outputs, side="left")
    reached = last + 1.0  # N
    found = np.cumsum(hit)[last]  # TP
    total = hit.sum()
    value = float((hit * found / reached).sum() / total)
    gains, losses_ = hit / reached, hit * found / reached**2
    from_here = [np.cumsum(each[::-1])[::-1][first] for each in (gains, losses_)]  # positives from k's tie on
    slopes = np.empty(len(outputs))
    slopes[order] = (hit * found / reached - hit * value + hit * from_here[0] - from_here[1]) / total
    return value, slopes
