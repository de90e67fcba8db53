"""The calibration set: which training samples set the activation ranges, and what is odd about them.

| labels | balanced means |
|---|---|
| one class a sample | each class gives the same number, as far as it has samples |
| several classes a sample | the class that is rarest among those chosen so far is next; no class at all counts as one |
| values | the same with tenths of each value's range of ranks in place of classes |
| normal and anomalous | normal samples, at random: a model for anomalies never sees others in training |

Samples are put into an order by seed and the first ones are taken, so a larger set holds every smaller one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stages.datasets.labels import are_classes, class_counts, first_output
from stages.datasets.prepared import ONLY_INPUT, Samples
from stages.records import CalibrationReport, InputRange
from stages.tasks.settings import TaskKind

Array = NDArray[Any]
Rows = NDArray[np.int64]
Strategy = Literal["balanced", "random", "all", "outliers-dropped"]

TENTHS = 10
_FENCE = 3.0
"""Interquartile ranges beyond the quartiles from which on a sample's extreme is an outlier: Tukey's "far out"
(Exploratory Data Analysis, 1977, section 2D)."""
_FENCE_SAMPLES, _FENCE_FACTOR = 1000, 4
_OTHERS = 1000
_TAIL = 0.001
_NAMED, _AT_ONCE = 10, 64


def choose(y: Array, samples: int, seed: int, *, kind: TaskKind = "classification", strategy: Strategy = "balanced",
           x: Samples | None = None) -> Rows:
    """Rows of a calibration set.

    Args:
        y: stored labels of the training split; those of the first output count where there are several.
        samples: how many to choose; all where there are fewer.
        seed: of the draw.
        kind: the task.
        strategy: "balanced" by what the table above says, "random", "all", or "outliers-dropped": balanced, without
            samples whose smallest or largest value lies far out.
        x: model inputs of the training split, for "outliers-dropped".

    Returns:
        (at most `samples`,) row numbers, ascending.
    """
    if strategy == "all":
        return np.arange(len(y), dtype=np.int64)
    order = draw(y, seed, kind=kind, strategy=strategy)
    if strategy == "outliers-dropped" and x is not None:
        seen = order[:max(_FENCE_SAMPLES, _FENCE_FACTOR * samples)]
        order = np.concatenate([seen[~_far_out(_extremes(x, seen))], order[len(seen):]])
    return np.sort(order[:samples])


def draw(y: Array, seed: int, *, kind: TaskKind = "classification", strategy: Strategy = "balanced") -> Rows:
    """Rows in the order in which they would be chosen: the first n of them are a calibration set of n.

    Args:
        y: as for `choose`, and so are the others.
        seed: of the draw.
        kind: the task.
        strategy: "balanced" or "random".
    """
    labels = first_output(y)
    if kind == "anomaly":
        return np.random.default_rng((seed, 0)).permutation(np.flatnonzero(labels == 0))
    if strategy == "random":
        return np.random.default_rng((seed, 0)).permutation(len(labels))
    if are_classes(labels):
        return _by_turns(labels, seed)
    return _rarest_first(labels if labels.dtype == np.uint8 else _tenths(labels), seed)


def describe(x: Samples, y: Array, rows: Rows, classes: int, *, strategy: Strategy = "balanced",
             seed: int = 0) -> CalibrationReport:
    """What a calibration set holds.

    Args:
        x: model inputs of the training split; only the chosen rows and up to 1,000 others are read, a few at a time.
        y: stored labels of the training split.
        rows: of the calibration set, at least one.
        classes: how many the data has; 0 where labels are values.
        strategy: that chose them.
        seed: of the others.
    """
    found = _extremes(x, rows)
    outliers = rows[_far_out(found)]
    others = np.random.default_rng((seed, 1)).permutation(np.setdiff1d(np.arange(len(x)), rows))[:_OTHERS]
    bulk, rest = x[rows[:: max(1, len(rows) // _OTHERS)]], x[np.sort(others)]
    return CalibrationReport(
        strategy=strategy, samples=len(rows), available=len(x), class_counts=class_counts(y[rows], classes),
        duplicates=len(rows) - len(set(found.digests)), outliers=tuple(outliers[:_NAMED].tolist()),
        outlier_count=len(outliers),
        inputs={name: _range(found.lows[name], found.highs[name], rows, values, _field(rest, name))
                for name, values in _fields(bulk)})


# -- orders --------------------------------------------------------------------------------------------------------


def _by_turns(labels: Array, seed: int) -> Rows:
    """Every class's first sample, then every class's second, and so on; each class in an order of its own."""
    turns = []
    for label in np.unique(labels).tolist():
        rows = np.random.default_rng((seed, label)).permutation(np.flatnonzero(labels == label))
        turns += [(place, label, row) for place, row in enumerate(rows.tolist())]
    return np.array([row for _, _, row in sorted(turns)], np.int64)


def _rarest_first(labels: Array, seed: int) -> Rows:
    """Rows in an order that keeps all labels about equally frequent; `labels` are (samples, labels) of 0 and 1.

    The label that the fewest chosen samples have is served next, with the first sample in a random order that has it.
    """
    bare = ~labels.any(axis=1, keepdims=True)
    table = np.concatenate([labels.astype(bool), bare], axis=1)  # (samples, labels + 1)
    order = np.random.default_rng((seed, 0)).permutation(len(table))
    queues = [iter(order[table[order, label]].tolist()) for label in range(table.shape[1])]
    counts: list[float] = [0.0] * len(queues)
    used = np.zeros(len(table), bool)
    chosen: list[int] = []
    while len(chosen) < len(table):
        label = int(np.argmin(counts))
        row = next((each for each in queues[label] if not used[each]), None)
        if row is None:
            counts[label] = np.inf
            continue
        used[row] = True
        chosen.append(row)
        for other in np.flatnonzero(table[row]).tolist():
            counts[other] += 1
    return np.array(chosen, np.int64)


def _tenths(values: Array) -> NDArray[np.uint8]:
    """(samples, values * 10) of 0 and 1: in which tenth of the ranks each value lies; equal values share a tenth."""
    columns = values.reshape(len(values), -1)
    parts = []
    for column in columns.T:
        edges = np.quantile(column, np.linspace(0, 1, TENTHS + 1)[1:-1])
        parts.append(np.eye(TENTHS, dtype=np.uint8)[np.searchsorted(edges, column, side="right")])
    return np.concatenate(parts, axis=1)


# -- what is in a set ----------------------------------------------------------------------------------------------


@dataclass
class _Extremes:
    """Of each of some rows: smallest and largest value by input name, and what stands for its bytes."""

    lows: dict[str, Array]
    highs: dict[str, Array]
    digests: list[bytes]


def _extremes(x: Samples, rows: Rows) -> _Extremes:
    """Read the rows a few at a time, so that a set of all samples need not fit into memory."""
    parts: list[dict[str, tuple[Array, Array]]] = []
    digests: list[bytes] = []
    for start in range(0, len(rows), _AT_ONCE):
        block = x[rows[start:start + _AT_ONCE]]
        digests += [hashlib.sha256(row.tobytes()).digest() for row in block]
        flat = {name: values.reshape(len(values), -1) for name, values in _fields(block)}
        parts.append({name: (values.min(axis=1), values.max(axis=1)) for name, values in flat.items()})
    lows, highs = ({name: np.concatenate([part[name][end] for part in parts]) for name in (parts[0] if parts else ())}
                   for end in (0, 1))
    return _Extremes(lows, highs, digests)


def _far_out(found: _Extremes) -> NDArray[np.bool_]:
    """Which rows have a smallest or largest value, in any input, far beyond those of the other rows."""
    flags = [_beyond(values) for name in found.lows for values in (found.highs[name], -found.lows[name])]
    return np.logical_or.reduce(flags) if flags else np.zeros(len(found.digests), bool)


def _beyond(extremes: Array) -> NDArray[np.bool_]:
    """Which of the samples' extremes lie far above the others; a hair's breadth does not count."""
    low, high = np.quantile(extremes, [0.25, 0.75])
    spread = max(high - low, 0.01 * abs(high))
    return np.asarray(extremes > high + _FENCE * spread)


def _range(lows: Array, highs: Array, rows: Rows, bulk: Array, rest: Array) -> InputRange:
    """Extremes of one input over the set, against most of its values and what other samples have beyond them.

    Args:
        lows: (rows,) smallest value of each row.
        highs: the largest.
        rows: of the training split.
        bulk: samples of the set that the percentiles are taken of.
        rest: samples outside the set.
    """
    low, high = np.quantile(bulk, [_TAIL, 1 - _TAIL])
    smallest, largest = float(lows.min()), float(highs.max())
    span = max(float(high - low), 1e-30)
    outside = float(((rest < smallest) | (rest > largest)).mean()) if rest.size else 0.0
    return InputRange(
        low=smallest, high=largest, low_row=int(rows[lows.argmin()]), high_row=int(rows[highs.argmax()]),
        beyond_low=(float(low) - smallest) / span, beyond_high=(largest - float(high)) / span, outside=outside)


def _fields(samples: Array) -> Iterator[tuple[str, Array]]:
    """(name, samples) of every input."""
    for name in samples.dtype.names or (ONLY_INPUT,):
        yield name, _field(samples, name)


def _field(samples: Array, name: str) -> Array:
    """One input's part."""
    return samples[name] if samples.dtype.names else samples
