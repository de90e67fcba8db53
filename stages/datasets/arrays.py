"""A reader over arrays: those of a file, a library or a user's function, whole in memory or read slice by slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import DataError
from stages.datasets.array_labels import Labels, as_text, join
from stages.datasets.records import Chunk, LabelKind, Reader

Array = NDArray[Any]

CHUNK_BYTES = 4 << 20
"""How much of the samples is handed over at a time."""


class Column(Protocol):
    """An array, or something that can be read like one from front to back."""

    @property
    def shape(self) -> tuple[int, ...]:
        """With the samples' axis first."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As it is stored."""

    def __getitem__(self, rows: slice, /) -> Array:
        """The rows of a slice; slices come in order."""


@dataclass(frozen=True)
class Part:
    """Samples that belong to one split, or to none.

    Attributes:
        inputs: by input name; a single one without a name is called "".
        outputs: labels by output name; a single one without a name is called "".
        groups: (samples,) text or whole numbers, or None.
        split: one of `SPLITS`, or "".
        where: what to call it in messages: "data.npz: train".
        slices: by column, (samples,) text or whole numbers.
    """

    inputs: Mapping[str, Column]
    outputs: Mapping[str, Array]
    groups: Array | None = None
    split: str = ""
    where: str = ""
    slices: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return next(iter(self.inputs.values())).shape[0]


@dataclass
class ArraysReader(Reader):
    """All samples of some parts, one part after the other.

    Attributes:
        parts: with the same inputs and outputs each.
        labels: what the task predicts.
        add_channel: give (samples, height, width) an axis of one channel.
    """

    parts: Sequence[Part] = ()
    labels: LabelKind = "classes"
    add_channel: bool = True
    _named: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        """Check the parts against each other.

        Raises:
            DataError: shapes, types or numbers that do not fit.
        """
        for part in self.parts:
            check_part(part)
        _check_alike(self.parts)
        self._named = self.class_names or _class_names_of_text(self.parts, self.labels)
        self.total = sum(len(part) for part in self.parts)

    def chunks(self) -> Iterator[Chunk]:
        """See `Reader.chunks`."""
        classes, columns = 0, dict.fromkeys(chain.from_iterable(part.slices for part in self.parts))
        for part in self.parts:
            labels = Labels(self.labels, part.where or "the source", self._named, classes)
            for rows in part_slices(part):
                y = {name: values[rows] for name, values in part.outputs.items()}
                x = {name: prepared_input(column[rows], self.add_channel) for name, column in part.inputs.items()}
                count = rows.stop - rows.start
                yield Chunk(x=x[""] if set(x) == {""} else join(x), y=labels.take(y[""] if set(y) == {""} else y),
                            groups=as_text(part.groups[rows]) if part.groups is not None else (),
                            splits=[part.split] * count if part.split else (),
                            slices=_slices(part, columns, rows))
            classes = labels.classes
            self.class_names = labels.names()


def _slices(part: Part, columns: Iterable[str], rows: slice) -> dict[str, list[str]]:
    """By column, the slice of each row; "" in a part without the column."""
    return {name: list(as_text(part.slices[name][rows])) if name in part.slices else [""] * (rows.stop - rows.start)
            for name in columns}


def prepared_input(x: Array, add_channel: bool = True) -> Array:
    """Samples as `Chunk` wants them: uint8 as it is, other numbers as float32; three axes with one for the channel."""
    if add_channel and x.ndim == 3:
        x = x[..., None]
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused by the prepare stage
        return x if x.dtype == np.uint8 else x.astype(np.float32)


def part_slices(part: Part) -> Iterator[slice]:
    """Slices of some MiB of a part's samples, as they are stored."""
    sample = sum(int(np.prod(column.shape[1:])) * column.dtype.itemsize for column in part.inputs.values())
    step = max(1, CHUNK_BYTES // max(1, sample))
    for start in range(0, len(part), step):
        yield slice(start, min(start + step, len(part)))


def check_part(part: Part) -> None:
    """Refuse inputs that are no numbers, and as many labels or groups as there are not samples.

    Raises:
        DataError: what does not fit, by the part's name.
    """
    for name, column in part.inputs.items():
        _check_input(part, f"{part.where}: input '{name}'" if name else f"{part.where}: x", column)
    for name, values in part.outputs.items():
        shown = f"{part.where}: output '{name}'" if name else f"{part.where}: y"
        if not values.ndim or len(values) != len(part):
            raise DataError(f"{shown} has shape {values.shape} for {len(part)} samples", "a row for each sample")
    columns = {f"slice '{name}'": column for name, column in part.slices.items()}
    for name, column in (columns if part.groups is None else {"groups": part.groups, **columns}).items():
        if column.shape != (len(part),):
            raise DataError(f"{part.where}: {name} has shape {column.shape} for {len(part)} samples",
                            "one for each sample")


def _check_input(part: Part, shown: str, column: Column) -> None:
    """Refuse an input that is no numbers, or has other samples than the first."""
    if column.dtype.kind not in "buif" or len(column.shape) < 2 or 0 in column.shape[1:]:
        raise DataError(f"{shown} has shape {column.shape} and type {column.dtype}",
                        "numbers of shape (samples, ...): a row a sample")
    if column.shape[0] != len(part):
        raise DataError(f"{shown} has {column.shape[0]} samples, the other inputs have {len(part)}", "as many of each")


def _check_alike(parts: Sequence[Part]) -> None:
    """Refuse splits whose samples differ in what they are made of."""
    shapes = [{name: tuple(column.shape[1:]) for name, column in part.inputs.items()} for part in parts]
    for part, shape in zip(parts, shapes, strict=True):
        if shape != shapes[0]:
            one, other = _shown(shapes[0]), _shown(shape)
            raise DataError(f"{parts[0].where} has samples of the shapes {one}, {part.where} of {other}",
                            "one shape for all splits")
        types = {name: column.dtype == np.uint8 for name, column in part.inputs.items()}
        if types != {name: column.dtype == np.uint8 for name, column in parts[0].inputs.items()}:
            raise DataError(f"{parts[0].where} and {part.where} differ in type: one is uint8",
                            "one type for all splits")
        if set(part.outputs) != set(parts[0].outputs):
            raise DataError(f"{parts[0].where} has the outputs {', '.join(parts[0].outputs)}, {part.where} "
                            f"{', '.join(part.outputs)}", "the same outputs in all splits")
        if (part.groups is None) != (parts[0].groups is None):
            raise DataError(f"{parts[0].where} and {part.where}: only one has groups",
                            "groups in all splits, or in none")


def _shown(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Shapes of one or several inputs for a message."""
    return ", ".join(f"{name} {shape}".strip() for name, shape in shapes.items())


def _class_names_of_text(parts: Sequence[Part], labels: LabelKind) -> tuple[str, ...]:
    """Sorted names of the classes where labels are text, else ()."""
    outputs = [part.outputs[""] for part in parts if "" in part.outputs]
    if labels != "classes" or not outputs or any(y.dtype.kind not in "SUO" for y in outputs):
        return ()
    return tuple(sorted({text for y in outputs for text in as_text(y.reshape(-1))}))
