"""Tables: a row a sample, in CSV or Parquet files; columns become the elements of one input vector.

A first pass over the rows finds the categories, the means and the classes, a second one hands the samples over. What
each element of the vector is goes with the data as `features.json`: a device has to make the same vector.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from device_profiles.errors import DataError, with_near_miss
from device_profiles.records import Record
from stages.datasets.digests import split_digest
from stages.datasets.folders import SPLIT_FOLDERS
from stages.datasets.records import SPLITS, TRAIN, Chunk, LabelKind, Reader
from stages.datasets.tabular_columns import (
    ColumnScan,
    Element,
    Missing,
    as_numbers,
    elements_of,
    encode,
    features_json,
    sort_texts,
)
from stages.datasets.tabular_files import Frame, Table

LIBRARIES = ("pandas", "pyarrow")
FEATURES_FILE = "features.json"
MISSING_VALUES = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None")
MISSING_SLICE = "(missing)"
Split = Literal["train", "validation", "test"]


class Settings(Record):
    """Which files, and what their columns are."""

    kind: Literal["csv", "parquet"] = Field(description="csv or parquet")
    path: Path | tuple[Path, ...] | dict[Split, Path] = Field(
        description="a file, a list of files, or a file for each of train, validation, test")
    label: str | None = Field(default=None, description="column of the class or value; left out: 'label'")
    targets: tuple[str, ...] = Field(
        default=(), description="instead of label: columns of 0 and 1 (multilabel), or of several values (regression)")
    features: tuple[str, ...] = Field(
        default=(), description="columns of the input vector, in order; left out: the others")
    drop: tuple[str, ...] = Field(default=(), description="columns to leave out")
    categorical: tuple[str, ...] = Field(default=(), description="columns whose numbers are categories; text always is")
    missing: Missing = Field(
        default="error", description="missing cells: error; mean (no category); category (one of its own, or a flag)")
    missing_values: tuple[str, ...] = Field(default=MISSING_VALUES, description="texts of a missing cell (csv)")
    group: str | None = Field(default=None, description="column of what no split may cut in two")
    slices: tuple[str, ...] = Field(
        default=(), description="columns whose values are slices (lighting, site): a limit may bound the worst drop in "
                                "one; part of the input vector only where features names them too")
    split: str | None = Field(default=None, description="column with train, validation, test, or nothing")
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="between cells (csv)")

    @field_validator("path")
    @classmethod
    def _some_file(cls, value: Any) -> Any:
        if isinstance(value, tuple) and not value:
            raise ValueError("names no file")
        if isinstance(value, dict) and TRAIN not in value:
            raise ValueError("names no file for train")
        return value

    @model_validator(mode="after")
    def _one_role_each(self) -> Settings:
        if self.label and self.targets:
            raise ValueError("give either label or targets")
        named = (self.label, *self.targets, self.group, self.split, *self.features, *self.drop)
        roles = [name for name in named if name]
        doubled = sorted({name for name in roles if roles.count(name) > 1})
        if doubled:
            raise ValueError(f"the column '{doubled[0]}' is named twice")
        return self

    def slice_columns(self) -> tuple[str, ...]:
        """Columns whose values are slices, and the group."""
        return (*self.slices, *(("group",) if self.group else ()))

    def files(self) -> list[tuple[str, Path]]:
        """(split or "", file), in the order in which they are read."""
        if isinstance(self.path, dict):
            return [(split, self.path[split]) for split in SPLITS if split in self.path]
        return [("", path) for path in (self.path if isinstance(self.path, tuple) else (self.path,))]

    def table(self) -> Table:
        """The files as one table."""
        return Table(self.kind, self.files(), self.delimiter, self.missing_values)


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are."""

    features: tuple[str, ...]
    labels: tuple[str, ...]
    group: str | None
    split: str | None
    slices: tuple[str, ...] = ()

    def all(self) -> list[str]:
        """Every column that is read, the features first."""
        others = (*self.labels, *(name for name in (self.group, self.split) if name), *self.slices)
        return list(dict.fromkeys((*self.features, *others)))


def open_reader(settings: Settings, labels: LabelKind) -> Reader:
    """A reader of the table.

    Raises:
        DataError: a file cannot be read, columns are not there, or labels are of another kind.
    """
    table = settings.table()
    roles = _roles(settings, table.columns(), labels)
    return TabularReader(class_names=roles.labels if labels == "multilabel" else (), table=table, roles=roles,
                         settings=settings, labels=labels)


def source_digest(settings: Settings, cache: Path | None = None) -> str:
    """SHA-256 of the files.

    Raises:
        DataError: a file cannot be read.
    """
    return f"{settings.kind}:sha256:{split_digest(settings.files(), cache)}"


def _roles(settings: Settings, columns: Sequence[str], labels: LabelKind) -> Roles:
    """Who is what, checked against the columns that are there."""
    targets = settings.targets or (settings.label or "label",)
    if labels == "classes" and settings.targets:
        raise DataError(f"classification with {len(targets)} target columns", "one column with the class of each row",
                        "set data.source.label; or task to multilabel or regression")
    if labels == "multilabel" and len(targets) < 2:
        raise DataError(f"multilabel with the column '{targets[0]}' alone", "a column of 0 and 1 for each class",
                        "set data.source.targets: [...]; or task to classification")
    taken = {*targets, *settings.drop, settings.group, settings.split, *settings.slices}
    features = settings.features or tuple(name for name in columns if name not in taken)
    _check_columns(settings, [*targets, *features, *settings.drop, *settings.categorical], columns)
    _check_columns(settings, [*(name for name in (settings.group, settings.split) if name), *settings.slices], columns)
    if not features:
        raise DataError(f"{settings.files()[0][1]} has no column for the input",
                        "at least one feature beside the labels")
    return Roles(features, targets, settings.group, settings.split, settings.slices)


def _check_columns(settings: Settings, names: Sequence[str], columns: Sequence[str]) -> None:
    """Refuse the first column that is not there."""
    missing = [name for name in names if name not in columns]
    if missing:
        raise DataError(with_near_miss(f"{settings.files()[0][1]} has no column '{missing[0]}'", missing[0], columns),
                        ", ".join(columns[:20]) + (", ..." if len(columns) > 20 else ""),
                        "" if settings.label or settings.targets else "set data.source.label")


@dataclass
class TabularReader(Reader):
    """Two passes over a table: what there is, then the samples.

    Attributes:
        table: the files.
        roles: what the columns are.
        settings: what the user says of them.
        labels: what the task predicts.
    """

    table: Table = field(default_factory=lambda: Table("csv", ()))
    roles: Roles = field(default_factory=lambda: Roles((), (), None, None))
    settings: Settings = field(default_factory=lambda: Settings(kind="csv", path=Path()))
    labels: LabelKind = "classes"
    _elements: list[Element] = field(default_factory=list, init=False)

    def chunks(self) -> Iterator[Chunk]:
        """See `Reader.chunks`."""
        text = {*self.settings.categorical, *(name for name in (self.roles.group, self.roles.split) if name)}
        text |= set(self.roles.labels) if self.labels == "classes" else set()
        text |= set(self.roles.slices) - set(self.roles.features) - set(self.roles.labels)
        scans = self._scan(text)
        self._elements = [element for scan in scans for element in elements_of(scan, self.settings.missing)]
        text |= {element.column for element in self._elements if element.kind == "category"}
        for frame in self.table.frames(self.roles.all(), text & set(self.roles.all())):
            yield Chunk(x=encode(frame, self._elements), y=self._y(frame), groups=self._groups(frame),
                        splits=self._splits(frame) if self.roles.split or frame.split else (),
                        slices={name: _slice(frame, name) for name in self.roles.slices})

    def write_extras(self, folder: Path) -> None:
        """Write `features.json`: what each element of the input vector is."""
        content = json.dumps(features_json(self._elements, self.settings.missing), indent=2, ensure_ascii=False)
        (folder / FEATURES_FILE).write_text(content + "\n", "utf-8")

    def _scan(self, text: set[str]) -> list[ColumnScan]:
        """The first pass. A column whose cells turn out to be categories is read again as text."""
        scans = self._scan_columns(self.roles.features, text)
        mixed = {scan.name for scan in scans if not scan.categorical and scan.texts and scan.is_category}
        if mixed:
            again = {scan.name: scan for scan in self._scan_columns(sorted(mixed), text | mixed)}
            scans = [again.get(scan.name, scan) for scan in scans]
        return scans

    def _scan_columns(self, names: Sequence[str], text: set[str]) -> list[ColumnScan]:
        """One pass over the features and, where labels are classes, the labels."""
        scans = [ColumnScan(name, categorical=name in text) for name in names]
        classes: set[str] = set()
        self.total = 0
        columns = dict.fromkeys((*names, *self.roles.all()[len(self.roles.features):]))
        for frame in self.table.frames(list(columns), text & set(columns)):
            trains = np.array([split in ("", TRAIN) for split in self._splits(frame)], bool)
            for scan in scans:
                scan.add(frame, trains)
            if self.labels == "classes":
                classes |= set(self._cells(frame, self.roles.labels[0], "label"))
            self.total += len(frame.data)
        if self.labels == "classes":
            self.class_names = tuple(sort_texts(classes))
        return scans

    def _y(self, frame: Frame) -> NDArray[Any]:
        """Labels of a frame, in the form of the task."""
        if self.labels == "classes":
            number = {name: i for i, name in enumerate(self.class_names)}
            return np.array([number[text] for text in self._cells(frame, self.roles.labels[0], "label")], np.int64)
        y = np.stack([self._values(frame, name) for name in self.roles.labels], axis=1)  # (rows, targets) float64
        if self.labels == "multilabel":
            self._check(frame, (y != 0) & (y != 1), "0 or 1 in each column of data.source.targets")
            return y.astype(np.uint8)
        return np.asarray(y[:, 0] if len(self.roles.labels) == 1 else y, np.float32)

    def _values(self, frame: Frame, name: str) -> NDArray[np.float64]:
        """A column of numbers to be predicted."""
        values = as_numbers(frame.data[name])
        self._check(frame, ~np.isfinite(values)[:, None], "a finite number", (name,))
        return values

    def _check(self, frame: Frame, bad: NDArray[np.bool_], allowed: str, columns: Sequence[str] = ()) -> None:
        """Refuse the first bad label.  # bad (rows, columns)."""
        if bad.any():
            row, place = (int(i) for i in np.argwhere(bad)[0])
            name = (columns or self.roles.labels)[place]
            raise DataError(f"the label '{name}' is '{frame.data[name].iloc[row]}' in {frame.place(row)}", allowed,
                            "mend the cell; or set task to classification where labels are classes")

    def _cells(self, frame: Frame, name: str, role: str) -> list[str]:
        """A column of text without missing cells."""
        cells = frame.data[name]
        missing = cells.isna().to_numpy()
        if missing.any():
            raise DataError(f"the {role} '{name}' is missing in {frame.place(int(missing.argmax()))}",
                            f"a {role} in every row", "mend the cell, or drop the row")
        return [str(cell).strip() for cell in cells]

    def _groups(self, frame: Frame) -> list[str]:
        """The group of each row, or none."""
        return self._cells(frame, self.roles.group, "group") if self.roles.group else []

    def _splits(self, frame: Frame) -> list[str]:
        """The split of each row, or ""."""
        if not self.roles.split:
            return [frame.split] * len(frame.data)
        cells = frame.data[self.roles.split].fillna("").map(lambda cell: str(cell).strip().casefold())
        return [self._split(frame, row, word) for row, word in enumerate(cells)]

    def _split(self, frame: Frame, row: int, word: str) -> str:
        """A cell of the split column."""
        if word and word not in SPLIT_FOLDERS:
            raise DataError(f"the split is '{word}' in {frame.place(row)}", f"{', '.join(SPLIT_FOLDERS)}, or nothing")
        return SPLIT_FOLDERS.get(word, frame.split)


def _slice(frame: Frame, name: str) -> list[str]:
    """The slice of each row; rows without a value are one of their own."""
    return [MISSING_SLICE if missing else str(cell).strip()
            for cell, missing in zip(frame.data[name], frame.data[name].isna(), strict=True)]


def element_names(features: Mapping[str, Any]) -> list[str]:
    """What to call each element of the input vector, from the content of `features.json`: "age", "sex=male"."""
    marks = {"number": "", "missing": " is missing"}
    return [entry["column"] + marks.get(entry["kind"], f"={entry.get('category')}") for entry in features["elements"]]
