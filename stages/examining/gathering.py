"""Draw the samples to be examined, read them once in chunks, and keep of each only what the checks need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.datasets.prepared import Preprocessing, Split, read_split
from stages.datasets.records import SPLITS
from stages.datasets.rows import Rows
from stages.examining.extremes import Extremes
from stages.examining.looks import Looks, joined, look
from stages.records import InputExtremes, Sample

CHUNK_BYTES = 8 << 20

Array = NDArray[Any]


@dataclass(frozen=True)
class Examined:
    """The samples that the costly checks look at.

    Attributes:
        split: (samples,) place in `SPLITS`.
        index: (samples,) row in that split.
        y: labels as the task keeps them.
        shown: labels for people; empty text where a sample has no single one.
        names: from the source, or empty text.
        together: (samples,) equal for samples that no fold may cut apart (one group, one recording); all different
            where the source says nothing.
        clips: (samples,) equal for parts of one recording; -1 for whole ones.
        digests: (samples,) equal for samples that are equal bit for bit.
        looks: the samples made small, of the input with the most values.
        extremes: by input name.
    """

    split: Array
    index: Array
    y: Array
    shown: tuple[str, ...]
    names: tuple[str, ...]
    together: Array
    clips: Array
    digests: Array
    looks: Looks
    extremes: dict[str, InputExtremes]

    def sample(self, place: int) -> Sample:
        """One of them as the result names it."""
        return Sample(split=SPLITS[int(self.split[place])], index=int(self.index[place]), name=self.names[place],
                      label=self.shown[place])


def draw(sizes: dict[str, int], most: int, seed: int) -> dict[str, Array]:
    """Rows of each split, in ascending order: all, or each split's share of `most`, drawn by seed."""
    total = sum(sizes.values())
    if total <= most:
        return {name: np.arange(size) for name, size in sizes.items()}
    return {name: np.sort(np.random.default_rng((seed, place)).choice(size, max(1, size * most // total), False))
            for place, (name, size) in enumerate(sizes.items())}


def gather(data: Path, splits: dict[str, Split], rows: dict[str, Array], preprocessing: Preprocessing,
           largest: str) -> Examined:
    """Read the drawn samples once.

    Args:
        data: a prepare artifact.
        splits: by name, as read.
        rows: by split, which rows.
        preprocessing: of the artifact.
        largest: the input that is looked at.
    """
    parts: list[Looks] = []
    digests: list[bytes] = []
    extremes = {name: Extremes() for name in preprocessing.inputs}
    for chunk in _chunks(data, rows):
        digests += [blake2b(row.tobytes(), digest_size=8).digest() for row in chunk]
        for name, found in extremes.items():
            found.add(field(chunk, name))
        parts.append(look(field(chunk, largest)))
    y = np.concatenate([splits[name].y[chosen] for name, chosen in rows.items()])
    return Examined(
        split=np.concatenate([np.full(len(chosen), SPLITS.index(name)) for name, chosen in rows.items()]),
        index=np.concatenate(list(rows.values())), y=y, shown=shown_labels(y, preprocessing),
        names=tuple(name for split, chosen in rows.items() for name in _names(splits[split], chosen)),
        together=_together(splits, rows), clips=_clips(splits, rows),
        digests=np.frombuffer(b"".join(digests), np.uint64), looks=joined(parts),
        extremes={name: found.result() for name, found in extremes.items()})


def field(stored: Array, name: str) -> Array:
    """One input of samples that may have several."""
    return stored if stored.dtype.names is None else stored[name]


def _names(split: Split, chosen: Array) -> list[str]:
    """Of each drawn sample of a split, what its source calls it."""
    return [split.names[row] for row in chosen.tolist()] if split.names else [""] * len(chosen)


def _chunks(data: Path, rows: dict[str, Array]) -> Iterator[Array]:
    """The drawn samples as stored, some megabytes at a time."""
    for name, chosen in rows.items():
        stored = Rows(data / f"x_{name}.npy")
        step = max(1, CHUNK_BYTES * len(stored) // max(1, stored.nbytes))
        for start in range(0, len(chosen), step):
            yield stored[chosen[start:start + step]]


def read_splits(data: Path) -> dict[str, Split]:
    """Every split, its samples left in the file."""
    return {name: read_split(data, name, in_memory_bytes=0) for name in SPLITS}


def shown_labels(y: Array, preprocessing: Preprocessing) -> tuple[str, ...]:
    """Labels in words: class names, or values in the user's own units; empty where there are several."""
    names = preprocessing.class_names
    if y.dtype.names is not None or (y.ndim > 1 and y.shape[1] != 1):
        return ("",) * len(y)
    if y.dtype.kind in "iu" and names:
        return tuple(names[int(label)] for label in y)
    return tuple(f"{value:.6g}" for value in user_values(y, preprocessing).ravel())


def user_values(y: Array, preprocessing: Preprocessing) -> Array:
    """Values of a regression in the user's units: `y * scale + offset`.  # (samples, values) float64."""
    values = y.reshape(len(y), -1).astype(np.float64)
    if len(preprocessing.targets) != 1:
        return values
    normalization = next(iter(preprocessing.targets.values())).normalization
    return np.asarray(values * np.array(normalization.scale) + np.array(normalization.offset))


def _clips(splits: dict[str, Split], rows: dict[str, Array]) -> Array:
    """Of each drawn sample the recording that it is a part of; -1 where it is whole."""
    found = []
    for name, chosen in rows.items():
        clips = splits[name].clips
        found.append(np.full(len(chosen), -1) if clips is None else clips[chosen])
    return np.concatenate(found)


def _together(splits: dict[str, Split], rows: dict[str, Array]) -> Array:
    """Of each drawn sample a number that is its group's, else its recording's, else its own."""
    keys = []
    for name, chosen in rows.items():
        split = splits[name]
        for row in chosen.tolist():
            own = f"s{name}/{row}" if split.clips is None else f"c{name}/{split.clips[row]}"
            keys.append(f"g{split.groups[row]}" if split.groups else own)
    return np.unique(keys, return_inverse=True)[1]
