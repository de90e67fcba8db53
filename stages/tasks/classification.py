"""One class a sample. Score: accuracy.

A bootstrap that draws n samples with replacement and counts them in cells draws the cell counts from a multinomial
distribution with the observed shares. So resampling is one call to numpy on the cells of the confusion matrix, not n
index draws, and the distribution is the same.

A model may end in one unit per class, or for two classes in a single unit: the probability (or logit) of the second.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from device_profiles.errors import DataError, StageError
from device_profiles.records import Figure, Provenance
from stages.datasets.prepared import Preprocessing
from stages.paired import counts, drop_figure
from stages.records import Metrics, PairedCounts
from stages.statistics import LEVEL, Interval, mean_figure, percentiles, share_figure
from stages.tasks import losses
from stages.tasks.base import ONLY_OUTPUT, Array, Task, Truth
from stages.tasks.matching import Shape
from stages.tasks.settings import SCORE_NAMES

TOP = 5
TOP_FROM_CLASSES = 11
"""Top-5 accuracy says little about ten classes; it is given from here on."""
_MEND = "end the model in one unit per class, or correct the labels"
_LABELS = "one whole number a sample, or one-hot rows"
_CELLS_AT_ONCE = 2_000_000  # resampled counts held in memory at a time


class Classification(Task):
    """See the module."""

    kind = "classification"
    score = "accuracy"
    score_name = SCORE_NAMES["classification"]
    label_kind = "classes"
    output = "softmax"

    def encode(self, y: Array, class_names: tuple[str, ...]) -> Array:
        """Labels or one-hot rows as int64 labels.  # (samples,)."""
        return class_labels(y, class_names)

    def output_shape(self, preprocessing: Preprocessing, name: str = ONLY_OUTPUT) -> Shape | None:
        """One unit per class."""
        if name in preprocessing.targets:
            return preprocessing.targets[name].shape
        return (len(preprocessing.class_names),) if preprocessing.class_names else None

    def fits(self, shape: Shape, wanted: Shape | None) -> bool:
        """One unit per class; a single one will do for two classes."""
        return super().fits(shape, wanted) or (shape == (1,) and wanted == (2,))

    def wants(self, preprocessing: Preprocessing) -> str:
        """How many classes there are."""
        return f"the data has {len(preprocessing.class_names)} classes"

    def tensor_loss(self, x: Any, y: Any, outputs: Any, logits: bool) -> Any:  # noqa: ARG002
        """Cross-entropy or focal loss."""
        return losses.class_tensors(self.settings.loss_name, y, outputs, logits)

    def scored_shape(self, outputs: Array, truth: Truth) -> Shape | None:
        """As many units as classes; where their names are not known, as the outputs have."""
        if truth.class_names:
            return (len(truth.class_names),)
        return (max(2, outputs.shape[1]),) if outputs.ndim == 2 else (2,)

    def check_outputs(self, outputs: Array, truth: Truth, name: str = "the model") -> None:
        """As `Task.check_outputs`; and every label must have an output."""
        super().check_outputs(outputs, truth, name)
        classes = max(2, outputs.shape[1])
        if truth.y.min() < 0 or truth.y.max() >= classes:
            raise StageError(f"{name} tells {classes} classes apart, but the labels run from {truth.y.min()} to "
                             f"{truth.y.max()}", f"labels from 0 to {classes - 1}", _MEND)

    def logits_in(self, outputs: Array) -> bool:
        """Whether they are no probabilities: see `are_logits`."""
        return are_logits(outputs)

    def validate(self, outputs: Array, truth: Truth) -> tuple[float, float]:
        """(mean loss, accuracy)."""
        if not np.isfinite(outputs).all():
            return float("nan"), float("nan")
        shares = probabilities(outputs, self.is_logits(outputs, truth))
        found = losses.class_losses(self.settings.loss_name, truth.y, shares)
        return float(found.mean()), float((self._labels(outputs, truth) == truth.y).mean())

    def figures(self, outputs: Array, truth: Truth, *, seed: int, resamples: int, provenance: Provenance) -> Metrics:
        """Accuracy, macro precision, recall and F1, log loss, recall per class and the confusion matrix.

        Macro means are taken over the classes that occur in the labels or the predictions (scikit-learn's rule); a
        class without samples has recall 0.
        """
        logits = self.is_logits(outputs, truth)
        labels, classes, samples = truth.y, max(2, outputs.shape[1]), len(truth.y)
        cells = np.bincount(labels * classes + predicted_labels(outputs, logits), minlength=classes * classes)
        confusion = cells.reshape(classes, classes)  # row: true class, column: the label given
        found = {"accuracy": accuracy_figure(int(np.trace(confusion)), samples, provenance)}
        if classes >= TOP_FROM_CLASSES:
            found["top5_accuracy"] = top_figure(outputs, labels, provenance)
        found |= _macro_figures(confusion, seed, resamples, provenance)
        found["log_loss"] = log_loss_figure(outputs, labels, logits, provenance)
        recalls = np.diag(confusion) / np.maximum(confusion.sum(axis=1), 1)
        return Metrics(task=self.kind, samples=samples, score=self.score, figures=found,
                       per_class_recall=tuple(float(value) for value in recalls),
                       confusion=tuple(tuple(int(count) for count in row) for row in confusion))

    def drop(self, reference: Array, outputs: Array, truth: Truth, *, seed: int = 0, resamples: int = 2000,  # noqa: ARG002
             provenance: Provenance = "measured", level: float = LEVEL) -> Figure:
        """Points of accuracy, with the score interval of paired shares: nothing is resampled; see `stages.paired`."""
        before, after = (self._labels(each, truth) == truth.y for each in (reference, outputs))
        found = drop_figure(counts(before, after), provenance, level)
        return found if resamples else found.model_copy(update={"interval": None, "method": "difference"})

    def decided(self, outputs: Array, truth: Truth) -> dict[str, Array]:
        """Those that are given their label."""
        return {ONLY_OUTPUT: self._labels(outputs, truth) == truth.y}

    def recalls(self, reference: Array, outputs: Array, truth: Truth) -> dict[str, PairedCounts]:
        """Of each class, over its samples."""
        before, after = (self._labels(each, truth) == truth.y for each in (reference, outputs))
        size = max(2, outputs.shape[1])
        lost, gained, samples = (np.bincount(truth.y[rows], minlength=size) for rows in (
            before & ~after, ~before & after, slice(None)))
        names = truth.class_names or tuple(map(str, range(size)))
        return {name: PairedCounts(lost=int(lost[label]), gained=int(gained[label]), samples=int(samples[label]))
                for label, name in enumerate(names)}

    def confidences(self, outputs: Array, truth: Truth) -> dict[str, tuple[Array, Array]]:
        """The probability of the label that is given."""
        shares, given = probabilities(outputs, self.is_logits(outputs, truth)), self._labels(outputs, truth)
        return {ONLY_OUTPUT: (shares[np.arange(len(given)), given][:, None],
                              (given == truth.y).astype(np.float64)[:, None])}

    def changes(self, reference: Array, outputs: Array, truth: Truth) -> Array:
        """Samples that are given another label."""
        return np.asarray(self._labels(reference, truth) != self._labels(outputs, truth))

    def _labels(self, outputs: Array, truth: Truth) -> Array:
        """The labels that are given.  # (samples,)."""
        return predicted_labels(outputs, self.is_logits(outputs, truth))


def class_labels(y: Array, class_names: tuple[str, ...]) -> Array:
    """Labels, or one-hot rows, as int64 labels.

    Args:
        y: (samples,) whole numbers, (samples, 1) of them, or (samples, classes) with one 1 a row.
        class_names: in label order; () where they are not known.

    Raises:
        DataError: rows that are not one-hot, labels that are no whole numbers, or that have no class.
    """
    if y.ndim == 2 and y.shape[1] > 1:
        return _from_one_hot(y, class_names)
    if y.ndim not in (1, 2):
        raise DataError(f"the labels have the shape {y.shape}", _LABELS, "flatten the labels")
    flat = y.reshape(len(y))
    if flat.dtype.kind not in "iufb" or not np.equal(np.mod(flat, 1), 0).all():
        raise DataError(f"the labels are {y.dtype}, and some are no whole numbers", _LABELS,
                        "set task.kind to regression if they are values")
    labels = flat.astype(np.int64)
    most = len(class_names) or np.iinfo(np.int64).max
    wrong = np.flatnonzero((labels < 0) | (labels >= most))
    if len(wrong):
        allowed = f"0 to {most - 1}: there are {most} classes" if class_names else "labels from 0 on"
        raise DataError(f"sample {wrong[0]} has the label {labels[wrong[0]]}", allowed,
                        "correct the label, or name its class")
    return labels


def _from_one_hot(y: Array, class_names: tuple[str, ...]) -> Array:
    """The place of the 1 in each row."""
    if class_names and y.shape[1] != len(class_names):
        raise DataError(f"the one-hot labels have {y.shape[1]} columns", f"{len(class_names)}: one per class",
                        "correct the labels, or the class names")
    wrong = np.flatnonzero(((y != 0) & (y != 1)).any(axis=1) | (y.sum(axis=1) != 1))
    if len(wrong):
        bad = f"the one-hot row of sample {wrong[0]} sums to {y[wrong[0]].sum():g}"
        raise DataError(f"{bad}; {len(wrong)} rows are not one-hot", "one 1 and otherwise 0 in each row",
                        "set task.kind to multilabel if a sample has several labels")
    return np.asarray(y.argmax(axis=1), np.int64)


def accuracy_figure(correct: int, samples: int, provenance: Provenance = "measured") -> Figure:
    """Share of samples with the right label, with Wilson's score interval."""
    return share_figure(correct, samples, provenance)


def top_figure(outputs: Array, labels: Array, provenance: Provenance = "measured") -> Figure:
    """Share of samples whose label is among the `TOP` highest outputs; a tie at the edge counts the lower label."""
    own = outputs[np.arange(len(labels)), labels][:, None]
    ties = (outputs == own) & (np.arange(outputs.shape[1]) < labels[:, None])
    before = ((outputs > own) | ties).sum(axis=1)  # (samples,)
    what = f"share with the label among the first {TOP}"
    return share_figure(int((before < TOP).sum()), len(labels), provenance, what)


def predicted_labels(outputs: Array, logits: bool) -> Array:
    """The highest output; a single one stands for the second of two classes, given from one half on.  # (samples,)."""
    if outputs.shape[1] == 1:
        return np.asarray(outputs[:, 0] > (0 if logits else 0.5), np.int64)
    return np.asarray(outputs.argmax(axis=1), np.int64)


def are_logits(outputs: Array) -> bool:
    """Whether (samples, classes) outputs are no probabilities.

    Outputs out of 0..1 are logits. Rows within 0..1 that do not sum to 1 are those of one sigmoid per class if they
    come from a trained model, and logits so small would be a rare chance; they are taken as probabilities. An int8
    softmax rounds each of its outputs to a multiple of 1/256: its sums are off too.
    """
    return bool(outputs.min() < -1e-3 or outputs.max() > 1.0 + 1e-3)


def probabilities(outputs: Array, logits: bool | None = None) -> Array:
    """(samples, classes) probabilities in float64 whose rows sum to 1, none below `SMALLEST_PROBABILITY` by much.

    Logits go through a softmax; quantized probabilities are clipped and divided by their sum. A single output becomes
    two columns.
    """
    logits = are_logits(outputs) if logits is None else logits
    found = outputs.astype(np.float64)
    if found.shape[1] == 1:
        found = np.concatenate([np.zeros_like(found) if logits else 1 - found, found], axis=1)
    if logits:
        powers = np.exp(found - found.max(axis=1, keepdims=True))  # no overflow in exp
        found = powers / powers.sum(axis=1, keepdims=True)
    clipped = np.clip(found, losses.SMALLEST_PROBABILITY, 1.0)
    return np.asarray(clipped / clipped.sum(axis=1, keepdims=True))


def log_loss_figure(outputs: Array, labels: Array, logits: bool | None = None,
                    provenance: Provenance = "measured") -> Figure:
    """Mean of -ln p(true class), in nats, with the interval of a mean (normal approximation)."""
    found = losses.class_losses("crossentropy", labels, probabilities(outputs, logits))
    how = f"mean, probabilities clipped at {losses.SMALLEST_PROBABILITY:g}"
    return mean_figure(found, "nats", provenance, how, least=0)


def _macro_figures(confusion: Array, seed: int, resamples: int, provenance: Provenance) -> dict[str, Figure]:
    """Macro precision, recall and F1 of a (classes, classes) confusion matrix."""
    true, given = np.nonzero(confusion)
    macro = _macro_scores(confusion[true, given][None], true, given, len(confusion))[0]
    spreads = _bootstrap_macro(confusion, resamples, seed)
    how = f"macro mean; bootstrap of {resamples:,} resamples, percentiles" if resamples else "macro mean"
    return {name: Figure(value=float(value), unit="fraction", provenance=provenance, samples=int(confusion.sum()),
                         interval=spread, method=how)
            for name, value, spread in zip(("precision", "recall", "f1"), macro, spreads, strict=True)}


def _bootstrap_macro(confusion: Array, resamples: int, seed: int) -> list[Interval | None]:
    """Intervals of macro precision, recall and F1 from a (classes, classes) confusion matrix."""
    if not resamples:
        return [None, None, None]
    true, predicted = np.nonzero(confusion)
    shares = confusion[true, predicted] / confusion.sum()  # (cells,)
    generator = np.random.default_rng(seed)
    step = max(1, _CELLS_AT_ONCE // len(shares))
    parts = []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        counts = generator.multinomial(int(confusion.sum()), shares, size=size)  # (size, cells)
        parts.append(_macro_scores(counts, true, predicted, len(confusion)))
    scores = np.concatenate(parts)  # (resamples, 3)
    return [percentiles(scores[:, column]) for column in range(3)]


def _macro_scores(counts: Array, true: Array, predicted: Array, classes: int) -> Array:
    """(resamples, 3) macro precision, recall, F1 from (resamples, cells) counts; cell i is (true[i], predicted[i])."""
    cells = len(true)
    is_true, is_predicted = np.zeros((cells, classes)), np.zeros((cells, classes))
    is_true[np.arange(cells), true] = 1.0
    is_predicted[np.arange(cells), predicted] = 1.0
    actual, given = counts @ is_true, counts @ is_predicted  # (resamples, classes)
    hits = counts @ (is_true * is_predicted)
    present = (actual + given) > 0
    recall, precision = hits / np.maximum(actual, 1), hits / np.maximum(given, 1)
    f1 = 2 * hits / np.maximum(actual + given, 1)
    stacked = np.stack([precision, recall, f1], axis=-1)  # (resamples, classes, 3)
    return np.asarray(stacked.sum(axis=1) / present.sum(axis=1, keepdims=True))
