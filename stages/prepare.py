"""Split, normalize and examine the data; stop on whatever would make the figures wrong.

A source is read once, chunk by chunk, into a file; what the split and the report need of a sample is kept in memory:
its label, a digest, its name. So data may be larger than memory. Splits are given by the source or by rules on names,
or drawn by seed, class by class; exact duplicates, parts of one recording and, where asked, whole groups stay together.
The normalization is fitted on the training split alone and travels with the model.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from device_profiles.errors import DataError
from device_profiles.records import Record
from stages import datasets
from stages.context import StageContext
from stages.datasets import Source, digits, labels, open_source
from stages.datasets.collecting import Collected, collect
from stages.datasets.normalizing import FixedNormalization, NormalizationKind, fit_normalizations, fit_targets
from stages.datasets.prepared import Preprocessing, write_about, write_preprocessing
from stages.datasets.records import SPLITS, TEST, TRAIN, VALIDATION
from stages.datasets.rows import Rows, RowWriter, slices
from stages.datasets.splitting import Indices, SplitRule, Wanted, draw_splits, join_units, number
from stages.records import PrepareResult, SplitReport, TensorSpec
from stages.safety.slices import write_slices
from stages.tasks import Task, make_task
from stages.tasks.settings import TaskSettings

NAME = "prepare"
VERSION = 2
LIBRARIES = ("numpy", "scipy", "scikit-learn")

Array = NDArray[Any]
MOST_NAMED = 20
"""How many skipped samples a report names."""


class Settings(Record):
    """What a user may set for the data."""

    source: Source = Field(
        default=digits.Settings(),
        description="where the samples are from: digits, a file, a folder, or a mapping: {kind: npz, path: FILE}")
    validation_share: float = Field(default=0.15, gt=0, lt=1, description="share of the samples for validation")
    test_share: float = Field(default=0.2, gt=0, lt=1, description="share of the samples that no training sees")
    splits: dict[Literal["validation", "test"], SplitRule] = Field(
        default_factory=dict,
        description="which samples a split takes, by name: {test: {pattern: REGEX}} or {test: {names: FILE}}")
    split_by: Literal["sample", "group"] = Field(
        default="sample", description="group: no group (a speaker, a patient) in two splits")
    normalization: NormalizationKind | FixedNormalization = Field(
        default="auto", description="per channel: minmax, standard (from the training split), symmetric (0..255 to "
                                    "-1..1), none, {offset: [..], scale: [..]}; auto: minmax, or none for a model that "
                                    "comes trained")
    targets: Literal["auto", "none", "standard"] = Field(
        default="auto", description="regression: standard trains on targets of mean 0 and deviation 1; figures stay in "
                                    "your units; auto: standard, or none for a model that is given trained")
    allowed_duplicates: int = Field(
        default=0, ge=0, description="exact duplicates allowed across splits that the data source itself has drawn")
    allowed_corrupt_share: float = Field(
        default=0.01, ge=0, lt=1, description="share of unreadable samples that are skipped; more is an error")

    @model_validator(mode="after")
    def _leave_training_samples(self) -> Settings:
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share and test_share leave nothing to train on; their sum must be below 1")
        return self


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        seed: of the split.
        source_digest: what stands for the samples in the stage's key; see `source_digest`.
        task: what is to be predicted.
        given_model: whether the model comes trained, and so has its own idea of what its inputs look like.
    """

    seed: int = 0
    source_digest: str = ""
    task: TaskSettings = TaskSettings()
    given_model: bool = False


def source_digest(settings: Settings, cache: Path | None = None) -> str:
    """What stands for the samples, and for the lists of names that split them, in the stage's key.

    Args:
        settings: what names them.
        cache: a file that keeps the digests of files that have not changed since; None: all are read.

    Raises:
        DataError: they cannot be read.
    """
    lists = [f"{name}:{rule.digest()}" for name, rule in sorted(settings.splits.items()) if rule.names is not None]
    return " ".join([datasets.source_digest(settings, cache), *lists])


def run(*, options: Options, context: StageContext) -> PrepareResult:
    """Write the three splits and `preprocessing.json`.

    Raises:
        DataError: the data would make the figures wrong.
    """
    task = make_task(options.task)
    context.progress(0, 0, "reading")
    reader = open_source(options.source, task.label_kind)
    found = collect(reader, context.scratch, lambda done, total: context.progress(done, total, "reading"))
    _check_samples(found, options)
    y = task.encode(_labels(found, task), found.class_names)
    class_names = labels.stored_class_names(options.task.kind, found.class_names)
    if options.task.kind == "classification" and not options.task.outputs and len(class_names) < 2:
        raise DataError(f"the data source has {len(class_names)} class", "at least 2 classes")
    kept = _Kept(found, y, class_names, task, options)
    indices, dropped = kept.split()
    targets, y = fit_targets(y, indices[TRAIN], options.targets, options.given_model)
    rows = found.rows()
    inputs = fit_normalizations(rows, indices[TRAIN], options.normalization, options.given_model)
    _write(rows, y, kept, indices, context)
    write_preprocessing(context.out, Preprocessing(task=options.task.kind, inputs=inputs, class_names=class_names,
                                                   targets=targets))
    reader.write_extras(context.out)
    result = _report(kept, indices, dropped, inputs, targets, rows)
    _check_report(result, options)
    found.path.unlink()
    return result


class _Kept:
    """The samples with their labels as the task keeps them, and what belongs together."""

    def __init__(self, found: Collected, y: Array, class_names: tuple[str, ...], task: Task, options: Options) -> None:
        self.found, self.y, self.class_names, self.task, self.options = found, y, class_names, task, options
        self.duplicates = number(found.digests)
        if options.split_by == "group" and not found.groups:
            raise DataError("the samples have no groups to split by", "a source that names a group for each sample",
                            "set group in data.source, or data.split_by to sample")
        self.groups = found.groups
        self.clips = number(found.names) if len(set(found.names)) < len(found.names) else None

    def split(self) -> tuple[Indices, int]:
        """Rows of each split, and how many samples were left out: those that must not be trained on."""
        given = self._given()
        may_train = self.task.may_train(self.y)  # (samples,) bool
        has_test, places = TEST in given, np.array(given, object)
        dropped = ~may_train & np.isin(places, (TRAIN, VALIDATION) if not has_test else ("", TRAIN, VALIDATION))
        extra = ~may_train & ~dropped & (places != TEST)
        free = np.flatnonzero(~dropped & ~extra)
        units = [self.duplicates] if self.clips is None else [self.duplicates, self.clips]
        by_group = self.options.split_by == "group"
        if by_group:
            units.append(number(self.groups))
        strata, names = labels.strata(self.y, self.class_names)
        if by_group or not may_train.all():
            strata, names = np.zeros_like(strata), ()
        shares = {TEST: self.options.test_share, VALIDATION: self.options.validation_share}
        wanted = Wanted(shares, self.options.seed, names, lenient=_may_lack_classes(self.options))
        drawn = draw_splits(strata[free], join_units(*units)[free], places[free].tolist(), wanted)
        indices = {name: free[rows] for name, rows in drawn.items()}
        indices[TEST] = np.sort(np.concatenate([indices[TEST], np.flatnonzero(extra)]))
        if by_group:
            self._check_groups(indices)
        return indices, int(dropped.sum())

    def _given(self) -> list[str]:
        """The split that the rules or the source give each sample, or ""."""
        names, rules = self.found.names, self.options.splits
        if not rules:
            return self.found.given or [""] * len(self.found)
        if not names:
            raise DataError("data.splits has rules, but the samples have no names", "a source whose samples have names",
                            "leave data.splits out")
        given = [""] * len(names)
        for split in (TEST, VALIDATION):
            rule = rules.get(split)  # type: ignore[call-overload]
            if rule is None:
                continue
            taken = np.flatnonzero(rule.members(names)).tolist()
            if not taken:
                raise DataError(f"data.splits.{split} takes no sample", f"names such as '{names[0]}'",
                                f"change data.splits.{split}")
            for row in taken:
                given[row] = given[row] or split
        return given

    def _check_groups(self, indices: Indices) -> None:
        """Refuse a group that the source or the rules put into two splits."""
        groups = np.array(self.groups)
        for one, other in combinations(SPLITS, 2):
            shared = sorted(set(groups[indices[one]]) & set(groups[indices[other]]))
            if shared:
                raise DataError(f"the group '{shared[0]}' lies in {one} and in {other}, as the splits are given",
                                "each group in one split (data.split_by is group)",
                                "let litesmith draw the splits, or change data.splits")


def _check_samples(found: Collected, options: Options) -> None:
    """Refuse data that no split can mend."""
    bad, seen = found.not_finite, len(found) + len(found.skipped)
    if len(found.skipped) > options.allowed_corrupt_share * seen:
        first = found.skipped[0]
        raise DataError(f"{len(found.skipped)} of {seen} samples cannot be read, the first is {first.name}: "
                        f"{first.reason}",
                        f"a share of at most {options.allowed_corrupt_share:g} (data.allowed_corrupt_share)",
                        "mend or remove them; litesmith prepare names them all in its log")
    if bad:
        name = f" ({found.names[bad[0]]})" if found.names else ""
        raise DataError(f"{len(bad)} of {len(found)} samples hold NaN or an infinity, the first is sample "
                        f"{bad[0]}{name}",
                        "finite numbers", "drop or mend these samples in the data source")
    if found.lowest == found.highest:
        raise DataError(f"every element of every sample is {found.lowest:g}", "samples that differ")


def _labels(found: Collected, task: Task) -> Array:
    """The labels, which every task needs."""
    if found.y is None:
        raise DataError("the data source has no labels", f"labels for {task.kind}")
    return found.y


def _write(rows: Rows, y: Array, kept: _Kept, indices: Indices, context: StageContext) -> None:
    """Write samples, labels, and where they are from, split by split."""
    found, done, total = kept.found, 0, len(kept.found)
    sample_bytes = max(1, rows.nbytes // max(1, len(rows)))
    for name, members in indices.items():
        with RowWriter(context.out / f"x_{name}.npy") as writer:
            for part in slices(len(members), sample_bytes):
                writer.append(rows[members[part]])
                done += part.stop - part.start
                context.progress(done, total, "writing")
        np.save(context.out / f"y_{name}.npy", y[members])
        names, groups = (tuple(values[i] for i in members) if values else () for values in (found.names, kept.groups))
        write_about(context.out, name, names, groups, None if kept.clips is None else kept.clips[members])
    write_slices(context.out, {column: [values[i] for i in indices[TEST]] for column, values in found.slices.items()})
    if found.skipped:
        with context.log.open("a", encoding="utf-8") as log:
            log.writelines(f"skipped {one.name}: {one.reason}\n" for one in found.skipped)


def _report(kept: _Kept, indices: Indices, dropped: int, inputs: dict[str, TensorSpec], targets: dict[str, TensorSpec],
            rows: Rows) -> PrepareResult:
    """Count what a reader of the figures should know."""
    found, units = kept.found, kept.duplicates
    groups = np.array(kept.groups)
    classes = len(kept.class_names)
    splits = {name: SplitReport(samples=len(members), class_counts=labels.class_counts(kept.y[members], classes),
                                groups=len(set(groups[members])) if kept.groups else 0)
              for name, members in indices.items()}
    within = {name: len(members) - len(np.unique(units[members])) for name, members in indices.items()}
    across = {f"{a}/{b}": len(np.intersect1d(units[indices[a]], units[indices[b]])) for a, b in combinations(SPLITS, 2)}
    sizes = ", ".join(f"{splits[name].samples} {name}" for name in SPLITS)
    shown = f" in {classes} classes" if classes else ""
    return PrepareResult(
        summary=f"{len(found)} samples{shown}: {sizes}", warnings=(*_warnings(kept, dropped), *_lacking(splits, kept)),
        source=kept.options.source.kind, task=kept.options.task.kind, inputs=inputs, class_names=kept.class_names,
        targets=targets, splits=splits, split_by=kept.options.split_by, nan_samples=0, constant_samples=found.constant,
        constant_features=_constant_features(rows, indices[TRAIN]), duplicates_within=within, duplicates_across=across,
        skipped=found.skipped[:MOST_NAMED], skipped_samples=len(found.skipped))


def _constant_features(rows: Rows, members: NDArray[np.int64]) -> int:
    """Input elements that never change over the training split."""
    first = rows[members[:1]]
    names = rows.dtype.names or ("",)
    stuck = {name: np.ones((first[name] if name else first).shape[1:], bool) for name in names}
    for part in slices(len(members), max(1, rows.nbytes // max(1, len(rows)))):
        x = rows[members[part]]
        for name in names:
            values, start = (x[name], first[name]) if name else (x, first)
            stuck[name] &= (values == start).all(axis=0)
    return sum(int(each.sum()) for each in stuck.values())


def _warnings(kept: _Kept, dropped: int) -> tuple[str, ...]:
    """What is not wrong enough to stop."""
    found = []
    if kept.found.constant:
        found.append(f"{kept.found.constant} samples have one value in all their elements")
    keys = [label.tobytes() for label in np.ascontiguousarray(kept.y)]
    pairs = Counter(unit for unit, _ in set(zip(kept.duplicates.tolist(), keys, strict=True)))
    clashes = sum(count > 1 for count in pairs.values())
    if clashes:
        found.append(f"{clashes} samples occur with two labels")
    if dropped:
        found.append(f"{dropped} anomalous samples that the data puts into training were left out: an anomaly model "
                     "learns from normal ones")
    skipped = kept.found.skipped
    if skipped:
        found.append(f"{len(skipped)} samples could not be read and were skipped, the first is {skipped[0].name}: "
                     f"{skipped[0].reason}")
    return tuple(found)


def _may_lack_classes(options: Options) -> bool:
    """Whether classes may be missing from the data: a model that comes trained knows them already."""
    return options.given_model and options.task.kind == "classification"


def _lacking(splits: dict[str, SplitReport], kept: _Kept) -> list[str]:
    """Classes that a split does not have, where it may lack them."""
    if not _may_lack_classes(kept.options):
        return []
    missing = {name: labels.missing_classes(kept.options.task.kind, name, split.class_counts, kept.class_names)
               for name, split in splits.items()}
    return [f"the {name} split has no sample of {len(names)} of {len(kept.class_names)} classes: {', '.join(names)}"
            for name, names in missing.items() if names]


def _check_report(result: PrepareResult, options: Options) -> None:
    """Refuse a split that lacks a class, unless the model comes trained, and leakage beyond what is allowed."""
    for name in (TRAIN, VALIDATION, TEST):
        missing = labels.missing_classes(result.task, name, result.splits[name].class_counts, result.class_names)
        if missing and not _may_lack_classes(options):
            raise DataError(f"the {name} split has no sample of the class '{missing[0]}'", "every class in every split",
                            f"raise {name}_share, or add samples" if name != TRAIN else "add samples of the class")
    leaked = sum(result.duplicates_across.values())
    if leaked > options.allowed_duplicates:
        pair = max(result.duplicates_across, key=lambda key: result.duplicates_across[key])
        raise DataError(f"{leaked} samples lie in two splits, {result.duplicates_across[pair]} of them in {pair}",
                        f"{options.allowed_duplicates} (data.allowed_duplicates)",
                        "let litesmith draw the splits (x and y instead of x_train, x_test), or drop the duplicates")
