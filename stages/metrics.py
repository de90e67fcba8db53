"""Classification metrics as figures: each with its 95 % interval and the way that it was computed.

A bootstrap that draws n samples with replacement and counts them in cells draws the cell counts from a multinomial
distribution with the observed shares. So resampling is one call to numpy on the cells of the confusion matrix, not n
index draws, and the distribution is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.errors import DataError, StageError
from device_profiles.records import Figure, Provenance
from stages.records import Metrics

Array = npt.NDArray[Any]

LEVEL = 0.95
Z = 1.959963984540054  # the normal distribution's 97.5 % quantile
SMALLEST_PROBABILITY = 1e-7  # log loss clips here: an int8 softmax gives exact zeros
_MEND = "end the model in one unit per class, or correct the labels"
_CELLS_AT_ONCE = 2_000_000  # resampled counts held in memory at a time


def classification_metrics(outputs: Array, labels: Array, *, from_logits: bool | None = None, seed: int = 0,
                           resamples: int = 2000, provenance: Provenance = "measured") -> Metrics:
    """Accuracy, macro precision, recall and F1, log loss, recall per class and the confusion matrix.

    Macro means are taken over the classes that occur in the labels or the predictions (scikit-learn's rule); a class
    without samples has recall 0.

    Args:
        outputs: (samples, classes) float; probabilities or logits.
        labels: (samples,) int, 0 to classes - 1.
        from_logits: apply a softmax for the log loss; None finds out with `are_logits`.
        seed: of the bootstrap.
        resamples: bootstrap resamples; 0 leaves the bootstrapped intervals out.
        provenance: of the figures.

    Raises:
        StageError: `outputs` does not fit `labels`.
        DataError: no samples, or outputs that are not finite.
    """
    check_outputs(outputs, labels, outputs.shape[-1] if outputs.ndim else 0)
    classes, samples = outputs.shape[1], len(labels)
    predicted = outputs.argmax(axis=1)  # (samples,)
    cells = np.bincount(labels * classes + predicted, minlength=classes * classes)
    confusion = cells.reshape(classes, classes)  # row: true class, column: the label given
    true, given = np.nonzero(confusion)
    macro = _macro_scores(confusion[true, given][None], true, given, classes)[0]
    spreads = _bootstrap_macro(confusion, resamples, seed)
    how = f"macro mean; bootstrap of {resamples:,} resamples, percentiles" if resamples else "macro mean"
    precision, recall, f1 = (
        Figure(value=float(value), unit="fraction", provenance=provenance, samples=samples, interval=spread, method=how)
        for value, spread in zip(macro, spreads, strict=True))
    totals = confusion.sum(axis=1)
    recalls = np.diag(confusion) / np.maximum(totals, 1)
    return Metrics(
        samples=samples, accuracy=accuracy_figure(int(np.trace(confusion)), samples, provenance), precision=precision,
        recall=recall, f1=f1, log_loss=log_loss_figure(outputs, labels, from_logits, provenance),
        per_class_recall=tuple(float(value) for value in recalls),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion))


def check_outputs(outputs: Array, labels: Array, classes: int, name: str = "the model") -> None:
    """Refuse outputs that cannot be scored against the labels.

    Args:
        outputs: what should be (samples, classes).
        labels: (samples,) int.
        classes: how many classes the data has.
        name: of what gave the outputs, for the message.

    Raises:
        StageError: another shape, or a label without an output.
        DataError: no samples, or an output that is NaN or infinite.
    """
    if not len(labels):
        raise DataError("the test split has no samples", "at least one", "give the data a test split")
    if outputs.ndim != 2 or len(outputs) != len(labels) or outputs.shape[1] != classes or classes < 2:
        raise StageError(f"{name} gives outputs of shape {outputs.shape}; there are {len(labels)} samples of {classes} "
                         "classes",
                         f"({len(labels)}, {max(classes, 2)}): one output per class", _MEND)
    if labels.min() < 0 or labels.max() >= classes:
        raise StageError(f"{name} has {classes} outputs, but the labels run from {labels.min()} to {labels.max()}",
                         f"labels from 0 to {classes - 1}", _MEND)
    if not np.isfinite(outputs).all():
        bad = int((~np.isfinite(outputs)).any(axis=1).sum())
        raise DataError(f"{name} gives NaN or infinity on {bad} of {len(labels)} samples", "finite outputs",
                        "look for an overflow in the model, or NaN in the data")


def accuracy_figure(correct: int, samples: int, provenance: Provenance = "measured") -> Figure:
    """Share of samples with the right label, with Wilson's score interval (Wilson 1927, JASA 22:209-212).

    centre = (p + z²/2n) / (1 + z²/n); half width = z / (1 + z²/n) · sqrt(p(1-p)/n + z²/4n²)
    """
    share, z2 = correct / samples, Z * Z
    centre = (share + z2 / (2 * samples)) / (1 + z2 / samples)
    half = Z / (1 + z2 / samples) * float(np.sqrt(share * (1 - share) / samples + z2 / (4 * samples**2)))
    return Figure(value=share, unit="fraction", provenance=provenance, samples=samples, level=LEVEL,
                  interval=(max(0.0, centre - half), min(1.0, centre + half)), method="share; Wilson score interval")


def drop_figure(baseline: Array, outputs: Array, labels: Array, *, seed: int = 0, resamples: int = 2000,
                provenance: Provenance = "measured") -> Figure:
    """Accuracy of `baseline` less that of `outputs`, in points; positive is worse. Paired: both saw the same samples.

    With b samples that only the baseline gets right and c that only the other does, drop = 100 (b - c) / n. The
    bootstrap draws (b, c, rest) from a multinomial. Half a sample is added to each cell of the paired 2x2 table before
    (Agresti and Min 2005, Statistics in Medicine 24:729-740): without it, b = c = 0 would claim a drop of 0 ± 0 on any
    number of samples.

    Args:
        baseline: (samples, classes) outputs of the float Keras model.
        outputs: (samples, classes) outputs of the variant.
        labels: (samples,) int.
        seed: of the bootstrap.
        resamples: how many; 0 leaves the interval out.
        provenance: of the figure.
    """
    before, after = baseline.argmax(axis=1) == labels, outputs.argmax(axis=1) == labels  # (samples,) bool
    samples, lost, gained = len(labels), int((before & ~after).sum()), int((~before & after).sum())
    value = 100.0 * (lost - gained) / samples
    if not resamples:
        return Figure(value=value, unit="points", provenance=provenance, samples=samples, method="difference")
    shares = np.array([lost + 0.5, gained + 0.5, samples - lost - gained + 1.0]) / (samples + 2)
    counts = np.random.default_rng(seed).multinomial(samples, shares, size=resamples)  # (resamples, 3)
    return Figure(value=value, unit="points", provenance=provenance, samples=samples, level=LEVEL,
                  interval=_percentiles(100.0 * (counts[:, 0] - counts[:, 1]) / samples),
                  method=f"difference; paired bootstrap of {resamples:,} resamples, half a count added per cell")


def changed_labels(baseline: Array, outputs: Array) -> int:
    """How many samples are given another label; both arrays are (samples, classes)."""
    return int((baseline.argmax(axis=1) != outputs.argmax(axis=1)).sum())


def are_logits(outputs: Array) -> bool:
    """Whether (samples, classes) outputs are no probabilities: out of 0..1, or rows that do not sum to 1.

    An int8 softmax rounds each of its outputs to a multiple of 1/256, so a row's sum may be off by classes / 512.
    """
    off = abs(outputs.sum(axis=1, dtype=np.float64) - 1.0).max()
    in_range = outputs.min() >= -1e-3 and outputs.max() <= 1.0 + 1e-3
    return not (in_range and off <= 0.01 + outputs.shape[1] / 512)


def probabilities(outputs: Array, from_logits: bool | None = None) -> Array:
    """(samples, classes) probabilities in float64 whose rows sum to 1, none below `SMALLEST_PROBABILITY` by much.

    Logits go through a softmax; quantized probabilities are clipped and divided by their sum.
    """
    if are_logits(outputs) if from_logits is None else from_logits:
        shifted = outputs.astype(np.float64) - outputs.max(axis=1, keepdims=True)  # no overflow in exp
        powers = np.exp(shifted)
        outputs = powers / powers.sum(axis=1, keepdims=True)
    clipped = np.clip(outputs.astype(np.float64), SMALLEST_PROBABILITY, 1.0)
    return np.asarray(clipped / clipped.sum(axis=1, keepdims=True))


def log_loss_figure(outputs: Array, labels: Array, from_logits: bool | None = None,
                    provenance: Provenance = "measured") -> Figure:
    """Mean of -ln p(true class), in nats, with the interval of a mean (normal approximation)."""
    chosen = probabilities(outputs, from_logits)[np.arange(len(labels)), labels]  # (samples,)
    losses = -np.log(chosen)
    mean = float(losses.mean())
    half = Z * float(losses.std(ddof=1)) / len(losses) ** 0.5 if len(losses) > 1 else None
    return Figure(value=mean, unit="nats", provenance=provenance, samples=len(losses), level=LEVEL,
                  interval=None if half is None else (max(0.0, mean - half), mean + half),
                  method=f"mean, probabilities clipped at {SMALLEST_PROBABILITY:g}; normal interval")


def _bootstrap_macro(confusion: Array, resamples: int, seed: int) -> list[tuple[float, float] | None]:
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
    return [_percentiles(scores[:, column]) for column in range(3)]


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


def _percentiles(values: Array) -> tuple[float, float]:
    """The middle `LEVEL` of bootstrapped values."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
