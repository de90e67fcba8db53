"""Folders of one file a sample: a class per directory, or by a pattern on the name; given splits; groups.

    images/cats/a.jpg  images/dogs/b.jpg                                   classes
    images/train/cats/a.jpg  images/test/cats/c.jpg  images/val/...        classes under given splits

A `train` folder at the top makes it the second form. Below a class's folder, files may lie at any depth. What begins
with a dot is passed over. Files come in the order of their paths, so the same folder gives the same samples everywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from device_profiles.errors import DataError
from device_profiles.records import Record
from stages.datasets.digests import file_digests, text_digest
from stages.datasets.records import SPLITS, TEST, TRAIN, VALIDATION, LabelKind

SPLIT_FOLDERS = {"train": TRAIN, "validation": VALIDATION, "val": VALIDATION, "valid": VALIDATION, "test": TEST}


class FolderSettings(Record):
    """What a user may write for every source that is a folder."""

    path: Path = Field(description="a folder for each class, below train, validation, test where these are given")
    labels_from: str | None = Field(
        default=None, description="regular expression on the relative path; its part 'label' is the class or value")
    group: str | None = Field(
        default=None, description="regular expression on the relative path; its part 'group' is the group")

    slices: str | None = Field(
        default=None, description="regular expression on the relative path; each named part is a slice column")

    def slice_columns(self) -> tuple[str, ...]:
        """Columns whose values are slices: the named parts, and the group."""
        return (*(re.compile(self.slices).groupindex if self.slices else ()), *(("group",) if self.group else ()))

    @field_validator("slices")
    @classmethod
    def _names_columns(cls, value: str | None) -> str | None:
        return value if value is None else check_pattern(value, "")

    @field_validator("labels_from")
    @classmethod
    def _names_a_label(cls, value: str | None) -> str | None:
        return value if value is None else check_pattern(value, "label")

    @field_validator("group")
    @classmethod
    def _names_a_group(cls, value: str | None) -> str | None:
        return value if value is None else check_pattern(value, "group")


@dataclass(frozen=True)
class Rules:
    """How a folder is read.

    Attributes:
        extensions: of files that are samples, in lower case with the dot.
        related: extensions of files that look like samples, but are none by `extensions`: these files are named.
        labels_from: a regular expression with a part called `label`, searched in the relative path; None: the folder.
        group: the same with a part called `group`; None: no groups.
        slices: the same, of which each named part is a slice column; None: no slices.
    """

    extensions: Collection[str]
    related: Collection[str] = ()
    labels_from: str | None = None
    group: str | None = None
    slices: str | None = None


@dataclass(frozen=True)
class FolderFile:
    """One sample's file.

    Attributes:
        path: to open it.
        name: relative to the folder, with slashes; what is not UTF-8 is escaped.
        label: the class's name.
        group: or "".
        split: one of `SPLITS`, or "".
        slices: by column.
    """

    path: Path
    name: str
    label: str
    group: str = ""
    split: str = ""
    slices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """What a folder holds, in the order of the paths.

    Attributes:
        files: the samples' files.
        others: names of files with a related extension.
    """

    files: tuple[FolderFile, ...]
    others: tuple[str, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Sorted as text, as `keras.utils.image_dataset_from_directory` sorts them."""
        return tuple(sorted({file.label for file in self.files}))

    def numbers(self) -> list[float]:
        """The files' labels as numbers.

        Raises:
            DataError: one is none.
        """
        return [_number(file) for file in self.files]

    def labels(self, values: Sequence[float] | None) -> NDArray[Any]:
        """(files,) float32 values where there are some, else int64 classes in the order of `class_names`."""
        if values is not None:
            return np.array(values, np.float32)
        number = {name: i for i, name in enumerate(self.class_names)}
        return np.array([number[file.label] for file in self.files], np.int64)


def check_kind(settings: FolderSettings, labels: LabelKind, folder: str, sample: str) -> None:
    """Refuse labels that folders cannot give.

    Args:
        settings: of the source.
        labels: what the task predicts.
        folder: what the source is called: "an image folder".
        sample: what a file of it is called.

    Raises:
        DataError: several labels a sample, or values that no pattern finds.
    """
    if labels == "multilabel" or (labels == "values" and not settings.labels_from):
        raise DataError(f"{folder} gives one class a {sample}" if labels == "multilabel" else
                        f"the class folders of {folder} are no numbers to predict",
                        "task classification or anomaly; regression with labels_from, whose label is a number",
                        "read other labels with a function of yours: {kind: function, path: package.module:function}")


def list_folder(root: Path, rules: Rules) -> Listing:
    """List the samples of a folder.

    Raises:
        DataError: no such folder, files that belong to no class, an empty class, a pattern that does not match.
    """
    _check_folder(root)
    files: list[FolderFile] = []
    others: list[str] = []
    for split, top in _split_folders(root):
        for label, folder in _class_folders(top, rules):
            before = len(files)
            for name in _walk(folder, "" if folder == root else folder.relative_to(root).as_posix() + "/"):
                suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - of a name, not of a path
                if suffix in rules.extensions:
                    files.append(_file(root, name, label, split, rules))
                elif suffix in rules.related:
                    others.append(_text(name))
            if label is not None and len(files) == before:
                raise DataError(f"the class folder {folder} holds no {_shown(rules.extensions)} file",
                                "samples in every class folder", "add samples, or remove the folder")
    if not files:
        raise DataError(f"{root} holds no {_shown(rules.extensions)} file", "a folder of samples for each class")
    return Listing(tuple(files), tuple(others))


def folder_digest(listing: Listing, cache: Path | None) -> str:
    """SHA-256 over names, labels and contents of all files of a listing.

    Raises:
        DataError: a file cannot be read.
    """
    digests = file_digests((file.path for file in listing.files), cache)
    return text_digest(*(f"{file.split}/{file.label}/{file.group}/{file.name}/{digest}"
                         for file, digest in zip(listing.files, digests, strict=True)), *listing.others)


def slice_columns(files: Sequence[FolderFile]) -> dict[str, list[str]]:
    """By slice column, the value of each file."""
    return {name: [file.slices[name] for file in files] for name in (files[0].slices if files else ())}


def check_pattern(pattern: str, part: str) -> str:
    """The pattern, if it is a regular expression with the named part, or with any where that is "".

    Raises:
        ValueError: it is not; for a settings' validator.
    """
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if not part and not groups:
        raise ValueError("has no named part: write (?P<name>...) for each column")
    if part and part not in groups:
        raise ValueError(f"has no part called '{part}': write (?P<{part}>...)")
    return pattern


def _number(file: FolderFile) -> float:
    """The label of a file as a number."""
    try:
        return float(file.label)
    except ValueError as error:
        raise DataError(f"labels_from finds '{file.label}' in {file.name}", "a number, for regression") from error


def _check_folder(root: Path) -> None:
    """Refuse what is no folder, or may not be read."""
    try:
        os.listdir(root)  # noqa: PTH208 - only whether it can be read
    except OSError as error:
        raise DataError(f"the data folder {root} cannot be read: {error.strerror}",
                        "a folder with a folder for each class", "check data.source.path in the run file") from error


def _split_folders(root: Path) -> Iterator[tuple[str, Path]]:
    """(split, folder) of each given split, or ("", root)."""
    folders = _folders(root)
    named = {folder: SPLIT_FOLDERS.get(folder.name.casefold()) for folder in folders}
    splits = {folder: split for folder, split in named.items() if split}
    if TRAIN not in splits.values():
        if splits and len(splits) == len(folders):
            raise DataError(f"{root} holds {', '.join(folder.name for folder in splits)} and no train folder",
                            "train, and where they exist validation and test; or a folder for each class")
        yield "", root
        return
    strays = [folder.name for folder in folders if folder not in splits]
    if strays:
        raise DataError(f"{root} holds a train folder and beside it '{strays[0]}'",
                        "train, validation (val, valid) and test", f"move '{strays[0]}' into a split, or away")
    by_split: dict[str, Path] = {}
    for folder, split in splits.items():
        if split in by_split:
            raise DataError(f"{root} holds {by_split[split].name} and {folder.name}", f"one folder for {split}")
        by_split[split] = folder
    yield from sorted(by_split.items(), key=lambda item: SPLITS.index(item[0]))


def _class_folders(top: Path, rules: Rules) -> Iterator[tuple[str | None, Path]]:
    """(class, folder) of each class below a folder; (None, folder) where names give the class."""
    if rules.labels_from:
        yield None, top
        return
    folders = _folders(top)
    loose = [path.name for path in _entries(top) if path.suffix.lower() in rules.extensions and path.is_file()]
    if loose:
        raise DataError(f"{top} holds {len(loose)} file(s) outside of any class folder, the first is {loose[0]}",
                        "a folder for each class, with its files in it",
                        "move them into class folders, or set labels_from to read the class from the name")
    if not folders:
        raise DataError(f"{top} holds no class folder", "a folder for each class, with its files in it")
    yield from ((_text(folder.name), folder) for folder in folders)


def _file(root: Path, path: str, label: str | None, split: str, rules: Rules) -> FolderFile:
    """A sample's file with what its path below the root says."""
    name = _text(path)
    if label is None:
        label = _searched(rules.labels_from or "", "label", name)
    group = _searched(rules.group, "group", name) if rules.group else ""
    columns = re.compile(rules.slices).groupindex if rules.slices else ()
    return FolderFile(root / path, name, label, group, split,
                      {column: _searched(rules.slices or "", column, name) for column in columns})


def _searched(pattern: str, part: str, name: str) -> str:
    """What a pattern finds in a name."""
    match = re.search(pattern, name)
    if match is None or match[part] is None:
        raise DataError(f"the pattern {pattern} finds no '{part}' in {name}", "a pattern that fits every file",
                        "change the pattern in data.source")
    return match[part]


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, sorted by name, without hidden entries.

    Raises:
        DataError: it cannot be read.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are sorted before paths are made of them
    except OSError as error:
        raise DataError(f"the data folder {folder} cannot be read: {error.strerror}") from error
    return [folder / name for name in sorted(names) if not name.startswith(".")]


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder."""
    return [path for path in _entries(folder) if path.is_dir() and path.name != "__MACOSX"]


def _walk(folder: Path, prefix: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[str]:
    """Prefix and path of each file below a folder, in order of the paths; a link that leads back up is not followed."""
    state = folder.stat()
    if (state.st_dev, state.st_ino) in above:
        return
    here = above | {(state.st_dev, state.st_ino)}
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"the data folder {folder} cannot be read: {error.strerror}") from error
    for entry in found:
        if entry.is_dir():
            yield from _walk(folder / entry.name, f"{prefix}{entry.name}/", here)
        else:
            yield prefix + entry.name


def _text(name: str) -> str:
    """A file name as text that can be written; bytes that are not UTF-8 are escaped."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def _shown(extensions: Collection[str]) -> str:
    """Extensions for a message."""
    return ", ".join(sorted(extensions))
