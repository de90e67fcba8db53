"""Split, normalize and examine the data; stop on whatever would make the figures wrong.

The split is stratified by class and drawn by seed. Exact duplicates are drawn as one, so none lies in two splits. The
normalization is fitted on the training split alone and travels with the model.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from device_profiles.errors import DataError
from device_profiles.records import Record
from stages.context import StageContext
from stages.datasets import Source, digits, load_source
from stages.datasets.prepared import Preprocessing, Split, write_preprocessing, write_split
from stages.datasets.records import SPLITS, TEST, TRAIN, VALIDATION, RawData
from stages.datasets.splitting import draw_splits, group_duplicates
from stages.records import Normalization, PrepareResult, SplitReport

NAME = "prepare"
VERSION = 1
LIBRARIES = ("numpy", "scikit-learn")

Indices = dict[str, NDArray[np.int64]]


class Settings(Record):
    """What a user may set for the data."""

    source: Source = Field(
        default=digits.Settings(), description="where the samples are from: digits, or {kind: npz, path: FILE}")
    validation_share: float = Field(default=0.15, gt=0, lt=1, description="share of the samples for validation")
    test_share: float = Field(default=0.2, gt=0, lt=1, description="share of the samples that no training sees")
    normalization: Literal["none", "minmax", "standard"] = Field(
        default="minmax", description="per channel, from the training split: to 0..1, or to mean 0 and deviation 1")
    allowed_duplicates: int = Field(
        default=0, ge=0, description="exact duplicates allowed across splits that the data source itself has drawn")

    @model_validator(mode="after")
    def _leave_training_samples(self) -> Settings:
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share and test_share leave nothing to train on; their sum must be below 1")
        return self


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        seed: of the split.
        source_digest: what stands for the samples in the stage's key; see `stages.datasets.source_digest`.
    """

    seed: int = 0
    source_digest: str = ""


def run(*, options: Options, context: StageContext) -> PrepareResult:
    """Write the three splits and `preprocessing.json`.

    Raises:
        DataError: the data would make the figures wrong.
    """
    context.progress(0, 3, "reading")
    raw = load_source(options.source)
    _check_samples(raw)
    context.progress(1, 3, "splitting")
    groups = group_duplicates(raw.x)
    indices = draw_splits(raw, groups, options.validation_share, options.test_share, options.seed)
    normalization = _fit_normalization(raw.x[indices[TRAIN]], options.normalization)
    context.progress(2, 3, "writing")
    for name in SPLITS:
        write_split(context.out, name, _normalize(raw, indices[name], normalization))
    input_shape = tuple(int(size) for size in raw.x.shape[1:])
    write_preprocessing(context.out, Preprocessing(input_shape=input_shape, class_names=raw.class_names,
                                                   normalization=normalization))
    result = _report(raw, groups, indices, normalization, options)
    _check_report(result, options)
    context.progress(3, 3, "done")
    return result


def _check_samples(raw: RawData) -> None:
    """Refuse data that no split can mend."""
    if not len(raw.x):
        raise DataError("the data source has no samples", "at least 3 samples in each class")
    if len(raw.class_names) < 2:
        raise DataError(f"the data source has {len(raw.class_names)} class", "at least 2 classes")
    bad = np.flatnonzero(~np.isfinite(raw.x).reshape(len(raw.x), -1).all(axis=1))
    if len(bad):
        raise DataError(f"{len(bad)} of {len(raw.x)} samples hold NaN or an infinity, the first is sample {bad[0]}",
                        "finite numbers", "drop or mend these samples in the data source")
    outside = np.flatnonzero((raw.y < 0) | (raw.y >= len(raw.class_names)))
    if len(outside):
        raise DataError(f"sample {outside[0]} has the label {raw.y[outside[0]]}",
                        f"0 to {len(raw.class_names) - 1}, one label for each of the {len(raw.class_names)} classes")
    if (raw.x == raw.x.flat[0]).all():
        raise DataError(f"every element of every sample is {raw.x.flat[0]:g}", "samples that differ")


def _fit_normalization(x: NDArray[np.float32], kind: str) -> Normalization:
    """Offset and scale per channel from the training samples.  # x (samples, height, width, channels)."""
    if kind == "none":
        return Normalization(kind=kind)
    channels = x.reshape(-1, x.shape[-1]).astype(np.float64)  # (elements, channels)
    if kind == "minmax":
        offset, scale = channels.min(axis=0), np.ptp(channels, axis=0)
    else:
        offset, scale = channels.mean(axis=0), channels.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)  # a constant channel becomes 0, not NaN
    return Normalization(kind=kind, offset=tuple(offset.tolist()), scale=tuple(scale.tolist()))


def _normalize(raw: RawData, indices: NDArray[np.int64], normalization: Normalization) -> Split:
    """One split as the model takes it."""
    offset, scale = (np.array(value, np.float32) for value in (normalization.offset, normalization.scale))
    x = ((raw.x[indices] - offset) / scale).astype(np.float32)  # (samples, height, width, channels)
    return Split(x=x, y=raw.y[indices])


def _report(raw: RawData, groups: NDArray[np.int64], indices: Indices, normalization: Normalization,
            options: Options) -> PrepareResult:
    """Count what a reader of the figures should know."""
    classes = len(raw.class_names)
    splits = {name: SplitReport(samples=len(rows),
                                class_counts=tuple(np.bincount(raw.y[rows], minlength=classes).tolist()))
              for name, rows in indices.items()}
    flat, train = raw.x.reshape(len(raw.x), -1), raw.x[indices[TRAIN]]
    within = {name: len(rows) - len(np.unique(groups[rows])) for name, rows in indices.items()}
    across = {f"{a}/{b}": len(np.intersect1d(groups[indices[a]], groups[indices[b]]))
              for a, b in combinations(SPLITS, 2)}
    constant, stuck = int((flat == flat[:, :1]).all(axis=1).sum()), int((train == train[:1]).all(axis=0).sum())
    sizes = ", ".join(f"{splits[name].samples} {name}" for name in SPLITS)
    return PrepareResult(
        summary=f"{len(raw.x)} samples in {classes} classes: {sizes}", warnings=_warnings(raw, groups, constant),
        source=options.source.kind, input_shape=tuple(raw.x.shape[1:]), class_names=raw.class_names, splits=splits,
        normalization=normalization, nan_samples=0, constant_samples=constant, constant_features=stuck,
        duplicates_within=within, duplicates_across=across)


def _warnings(raw: RawData, groups: NDArray[np.int64], constant: int) -> tuple[str, ...]:
    """What is not wrong enough to stop."""
    found = []
    if constant:
        found.append(f"{constant} samples have one value in all their elements")
    pairs = Counter(group for group, _ in set(zip(groups.tolist(), raw.y.tolist(), strict=True)))
    clashes = sum(count > 1 for count in pairs.values())
    if clashes:
        found.append(f"{clashes} samples occur with two labels")
    return tuple(found)


def _check_report(result: PrepareResult, options: Options) -> None:
    """Refuse a split that lacks a class, and leakage beyond what is allowed."""
    for name in (TRAIN, VALIDATION, TEST):
        counts = result.splits[name].class_counts
        missing = [result.class_names[i] for i, count in enumerate(counts) if not count]
        if missing:
            raise DataError(f"the {name} split has no sample of the class '{missing[0]}'", "every class in every split",
                            f"raise {name}_share, or add samples" if name != TRAIN else "add samples of the class")
    leaked = sum(result.duplicates_across.values())
    if leaked > options.allowed_duplicates:
        pair = max(result.duplicates_across, key=lambda key: result.duplicates_across[key])
        raise DataError(f"{leaked} samples lie in two splits, {result.duplicates_across[pair]} of them in {pair}",
                        f"{options.allowed_duplicates} (data.allowed_duplicates)",
                        "let litesmith draw the splits (x and y instead of x_train, x_test), or drop the duplicates")
