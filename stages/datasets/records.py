"""What a source of data hands over: samples chunk by chunk, with labels and where each is from. Imports no sibling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from stages.records import SkippedSample

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)

LabelKind = Literal["classes", "multilabel", "values"]
"""What labels are: one class a sample, any number of classes a sample, or numbers to be predicted."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive samples of a source, before any normalization.

    Attributes:
        x: (samples, *sample_shape), uint8 or float32; for several inputs a structured array with a field for each.
        y: for "classes" (samples,) int64, where label `i` means `class_names[i]`, or (samples, classes) one-hot; for
            "multilabel" (samples, classes) of 0 and 1; for "values" (samples,) or (samples, values) float32; for
            several outputs a structured array with a field for each. None where the source has no labels.
        names: where each sample is from, for messages and split lists: a path relative to the source's folder, a row.
            Empty where there is nothing to say. Samples of one name are parts of one recording: they stay together.
        groups: what a split may not cut in two (a speaker, a patient), or empty.
        slices: by column (lighting, site), a value for each sample: what a variant may not serve worse; or empty.
        splits: where the source itself puts each sample: one of `SPLITS`, or "" to be drawn; or empty.
    """

    x: NDArray[Any]
    y: NDArray[Any] | None
    names: Sequence[str] = ()
    groups: Sequence[str] = ()
    splits: Sequence[str] = ()
    slices: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass
class Reader(ABC):
    """One pass over a source.

    Attributes:
        class_names: in label order; () where labels are values. Complete once `chunks` has ended.
        skipped: samples that could not be read, with the reason. Complete once `chunks` has ended.
        total: how many samples are expected; 0: not known.
    """

    class_names: tuple[str, ...] = ()
    skipped: list[SkippedSample] = field(default_factory=list)
    total: int = 0

    @abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """All samples in a fixed order, some megabytes at a time; the same shape and type in every chunk.

        Raises:
            DataError: the source cannot be read, or holds no samples.
        """

    def write_extras(self, folder: Path) -> None:  # noqa: B027 - most sources have nothing to write
        """Write files that travel with the data: a front end's parameters and test vectors."""
