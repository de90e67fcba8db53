"""Look closer at the data: leakage by near-duplicates, suspected label errors, values at their ends, groups, classes.

What `prepare` counts it counts exactly, over all samples. What is costly is done here, on a sample of the data drawn
by seed, and says so. Nothing here stops a run: a suspicion is for a person to judge.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from device_profiles.records import Record
from stages.context import StageContext
from stages.datasets.prepared import Preprocessing, Split, read_preprocessing
from stages.datasets.rows import Rows
from stages.examining.gathering import Examined, draw, field, gather, read_splits
from stages.examining.labels import label_errors
from stages.examining.nearby import near_duplicates
from stages.examining.thumbnails import is_picture, thumbnail, write_thumbnails
from stages.records import ExamineResult, GroupSizes, LabelErrors, NearDuplicates, Sample

NAME = "examine"
VERSION = 1
LIBRARIES = ("numpy", "scikit-learn")

WARN_IMBALANCE = 10.0
"""Largest class over smallest in the training split from which on a user is warned."""
WARN_SUSPECTED = 0.01
"""Share of suspected labels from which on a user is warned."""
_OFF = "switched off in the run file"

Array = NDArray[Any]


class Settings(Record):
    """What a user may write under `examine:`."""

    samples: int = Field(20_000, ge=50, description="most samples that near-duplicates and labels are looked for in; "
                                                    "more than there are: all. Time grows with the square")
    near_duplicates: bool = Field(True, description="look for samples that nearly repeat another one")
    label_errors: bool = Field(True, description="look for labels that a cross-validated model contradicts")
    least_score: float = Field(0.75, ge=0, le=1,
                               description="cross-validated accuracy below which no label is suspected")


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        seed: of the sample and the folds.
    """

    seed: int = 0


def run(*, data: Path, options: Options, context: StageContext) -> ExamineResult:
    """Write `thumbnails.json` where samples are pictures, and return what was found.

    Args:
        data: the artifact of `prepare`.
        options: see `Options`.
        context: where to write.

    Raises:
        StoreError: the artifact is damaged.
    """
    context.progress(0, 4, "reading")
    preprocessing, splits = read_preprocessing(data), read_splits(data)
    rows = draw({name: len(split.y) for name, split in splits.items()}, options.samples, options.seed)
    largest = max(preprocessing.inputs, key=lambda name: int(np.prod(preprocessing.inputs[name].shape)))
    examined = gather(data, splits, rows, preprocessing, largest)
    context.progress(1, 4, "near-duplicates")
    near = near_duplicates(examined, options.seed) if options.near_duplicates else NearDuplicates(left_out=_OFF)
    context.progress(2, 4, "labels")
    labels = label_errors(examined, preprocessing, options.least_score, options.seed) if options.label_errors else (
        LabelErrors(left_out=_OFF))
    context.progress(3, 4, "pictures")
    listed = [sample for pair in near.pairs for sample in (pair.first, pair.second)]
    listed += [one.sample for one in labels.listed]
    shown = is_picture(preprocessing.inputs[largest].shape) and bool(listed)
    if shown:
        ends = examined.extremes[largest]
        write_thumbnails(context.out, _pictures(data, listed, largest, (ends.lowest, ends.highest)))
    result = _result(splits, rows, preprocessing, examined, near, labels)
    context.progress(4, 4, "done")
    return result.model_copy(update={"thumbnails": shown})


def _result(splits: dict[str, Split], rows: dict[str, Array], preprocessing: Preprocessing, examined: Examined,
            near: NearDuplicates, labels: LabelErrors) -> ExamineResult:
    """Put together what was found."""
    imbalance = {name: round(found, 3) for name, split in splits.items()
                 if (found := _imbalance(split.y, preprocessing)) is not None}
    return ExamineResult(
        summary=_summary(near, labels), warnings=_warnings(near, labels, imbalance, len(examined.index)),
        samples={name: len(split.y) for name, split in splits.items()},
        examined={name: len(chosen) for name, chosen in rows.items()}, imbalance=imbalance,
        extremes=examined.extremes, near_duplicates=near, label_errors=labels,
        groups={name: _group_sizes(split.groups) for name, split in splits.items() if split.groups})


def _imbalance(y: Array, preprocessing: Preprocessing) -> float | None:
    """Largest class over smallest that occurs; None where labels are values or of several outputs."""
    if y.dtype.names is not None or preprocessing.task not in ("classification", "multilabel"):
        return None
    counts = y.sum(axis=0, dtype=np.int64) if y.ndim > 1 else np.bincount(y)
    there = counts[counts > 0]
    return float(there.max() / there.min()) if len(there) else None


def _group_sizes(groups: tuple[str, ...]) -> GroupSizes:
    """Samples by group."""
    sizes = np.unique(groups, return_counts=True)[1]
    return GroupSizes(groups=len(sizes), smallest=int(sizes.min()), median=float(np.median(sizes)),
                      largest=int(sizes.max()))


def _summary(near: NearDuplicates, labels: LabelErrors) -> str:
    """`3 near-duplicate pairs across splits, 12 within; 5 labels suspected`."""
    pairs = "near-duplicates not looked for" if near.left_out else (
        f"{sum(near.across.values())} near-duplicate pairs across splits, {sum(near.within.values())} within")
    return f"{pairs}; " + ("no labels suspected" if labels.left_out else f"{labels.suspected} labels suspected")


def _warnings(near: NearDuplicates, labels: LabelErrors, imbalance: dict[str, float], count: int) -> tuple[str, ...]:
    """What a user should look at before believing the figures."""
    found = [_leak_text(pair, samples) for pair, samples in near.samples_across.items() if samples]
    if labels.suspected >= max(1.0, WARN_SUSPECTED * count):
        found.append(f"{labels.suspected} of {count} labels are contradicted by a cross-validated model")
    if imbalance.get("train", 1.0) >= WARN_IMBALANCE:
        found.append(f"the largest class of the training split has {imbalance['train']:.0f} times the samples of the "
                     "smallest; see the recall of each class")
    return tuple(found)


def _leak_text(pair: str, samples: int) -> str:
    """`26 test samples nearly repeat a train sample: a score on such samples is too good`."""
    earlier, _, later = pair.partition("/")
    verb = "sample nearly repeats" if samples == 1 else "samples nearly repeat"
    return f"{samples} {later} {verb} a {earlier} sample: a score on such samples is too good"


def _pictures(data: Path, listed: list[Sample], largest: str, ends: tuple[float, float]) -> dict[str, str]:
    """By "split/index", pictures of samples.

    Args:
        data: a prepare artifact.
        listed: the samples.
        largest: the input that is shown.
        ends: what is black and white for whole numbers; others are shown between their own ends.
    """
    stored = {name: Rows(data / f"x_{name}.npy") for name in {sample.split for sample in listed}}
    found = {}
    for sample in listed:
        values = field(stored[sample.split][sample.index], largest)
        low, high = ends if values.dtype.kind in "iu" else (float(values.min()), float(values.max()))
        found[f"{sample.split}/{sample.index}"] = thumbnail(values, low, high)
    return found
