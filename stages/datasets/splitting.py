"""Splits: given by the source, by rules on names, or drawn by seed; what belongs together stays together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from device_profiles.errors import DataError
from device_profiles.records import Record
from stages.datasets.records import SPLITS, TEST, TRAIN, VALIDATION

Array = NDArray[Any]
Indices = dict[str, NDArray[np.int64]]


class SplitRule(Record):
    """Which samples a split takes, by name: a regular expression that is searched, or a file with a name a line."""

    pattern: str | None = Field(default=None, description="regular expression, searched in the sample's name")
    names: Path | None = Field(default=None, description="text file with the name of a sample a line")

    @field_validator("pattern")
    @classmethod
    def _is_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _one_way(self) -> SplitRule:
        if (self.pattern is None) == (self.names is None):
            raise ValueError("give either pattern or names")
        return self

    def members(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """(samples,) whether the rule takes each sample.

        Raises:
            DataError: the file cannot be read, or names a sample that is not there.
        """
        if self.pattern is not None:
            expression = re.compile(self.pattern)
            return np.array([expression.search(name) is not None for name in names], bool)
        wanted = self._listed()
        missing = sorted(wanted - set(names))
        if missing:
            raise DataError(f"{self.names} names '{missing[0]}', which the data does not have"
                            f"{f', and {len(missing) - 1} more' if missing[1:] else ''}",
                            f"names such as '{names[0]}'", "give names relative to the data's folder")
        return np.array([name in wanted for name in names], bool)


    def digest(self) -> str:
        """SHA-256 of the names in the file; of none for an expression.

        Raises:
            DataError: the file cannot be read.
        """
        return sha256("\n".join(sorted(self._listed())).encode()).hexdigest()

    def _listed(self) -> set[str]:
        """The names in the file."""
        if self.names is None:
            return set()
        try:
            return {line.strip() for line in self.names.read_text("utf-8").splitlines() if line.strip()}
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"the list of names {self.names} cannot be read: {error}", "a text file, a name a line",
                            "check data.splits in the run file") from error


@dataclass(frozen=True)
class Wanted:
    """How to split.

    Attributes:
        shares: of the samples, by the splits other than "train".
        seed: of the draw.
        class_names: what the strata are called; () where there is but one stratum.
        lenient: whether strata may be too small to be dealt. They are then dealt together, or, where they are too small
            even so, train.
    """

    shares: Mapping[str, float]
    seed: int
    class_names: tuple[str, ...] = ()
    lenient: bool = False


def digest_rows(x: Array) -> list[bytes]:
    """16 bytes for each sample, the same for samples that are equal; -0.0 counts as 0.0.

    Args:
        x: (samples, ...) uint8 or float32, or structured of these.
    """
    if x.dtype.kind == "f":
        x = x + np.float32(0)
    elif x.dtype.names is not None:
        parts = [digest_rows(np.ascontiguousarray(x[name])) for name in x.dtype.names]
        return [blake2b(b"".join(each), digest_size=16).digest() for each in zip(*parts, strict=True)]
    return [blake2b(row.tobytes(), digest_size=16).digest() for row in np.ascontiguousarray(x)]


def number(keys: Iterable[Any]) -> NDArray[np.int64]:
    """A number for each key, the same for equal keys, counted from 0 in the order of first appearance."""
    seen: dict[Any, int] = {}
    return np.array([seen.setdefault(key, len(seen)) for key in keys], np.int64)


def join_units(*partitions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The finest partition in which samples that share a unit in any of the given ones share a unit.

    Args:
        partitions: (samples,) unit numbers each, from 0.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    first = partitions[0]
    if len(partitions) == 1 or not len(first):
        return first
    samples = len(first)
    rows, columns, base = [], [], samples
    for units in partitions:
        rows.append(np.arange(samples))
        columns.append(base + units)
        base += int(units.max()) + 1
    edges = (np.ones(samples * len(partitions), np.int8), (np.concatenate(rows), np.concatenate(columns)))
    _, joined = connected_components(coo_matrix(edges, shape=(base, base)), directed=False)
    return number(joined[:samples].tolist())


def draw_splits(strata: NDArray[np.int64], units: NDArray[np.int64], given: Sequence[str],
                wanted: Wanted) -> Indices:
    """Indices of each split, in ascending order.

    A split that is given to any sample is kept as it is. The others are drawn stratum by stratum: the stratum's units
    are shuffled by seed and dealt to test, then validation, until each holds its share of the stratum (at least one
    unit); the rest trains. A unit counts to the stratum of its first sample.

    Args:
        strata: (samples,) class of each sample, or all 0.
        units: (samples,) what stays together.
        given: (samples,) "test", "validation", or "" (or "train") for a sample that may be drawn; or empty.
        wanted: shares and seed.

    Raises:
        DataError: a stratum has fewer units than splits to be drawn, and the draw is not lenient.
    """
    places = np.array(given if len(given) else [""] * len(strata))
    fixed = {name: np.flatnonzero(places == name) for name in (TEST, VALIDATION) if name in places}
    shares = {name: wanted.shares[name] for name in (TEST, VALIDATION) if name not in fixed}
    homes = _home_strata(strata, units, ~np.isin(places, list(fixed)))
    drawn: dict[str, list[int]] = {name: [] for name in (*shares, TRAIN)}
    dealt, rest = _dealt_together(homes, len(shares), wanted)
    for label, members in dealt:
        order = np.random.default_rng((wanted.seed, label)).permutation(len(members))
        _deal([members[i] for i in order], shares, drawn)
    for rows in rest:
        drawn[TRAIN] += rows
    result = {name: np.sort(np.array(rows, np.int64)) for name, rows in drawn.items()} | fixed
    return {name: result[name] for name in SPLITS}


def _dealt_together(homes: list[tuple[int, list[int]]], splits: int,
                    wanted: Wanted) -> tuple[list[tuple[int, list[list[int]]]], list[list[int]]]:
    """Units by stratum, with the number that seeds its shuffle, and units that nothing is drawn from.

    Args:
        homes: (stratum, rows) of each unit.
        splits: how many are drawn beside "train".
        wanted: of the draw.

    Raises:
        DataError: see `draw_splits`.
    """
    strata = max(1, len(wanted.class_names))
    members: dict[int, list[list[int]]] = {label: [] for label in range(strata)}
    for label, rows in homes:
        members[label].append(rows)
    small = [label for label in members if len(members[label]) <= splits]
    if small and (strata == 1 or len(small) == strata or not wanted.lenient):
        raise _too_few(small[0], len(members[small[0]]), splits, wanted)
    together = [rows for label in small for rows in members.pop(label)]
    dealt = list(members.items())
    return ([*dealt, (strata, together)], []) if len(together) > splits else (dealt, together)


def _too_few(label: int, units: int, splits: int, wanted: Wanted) -> DataError:
    """A stratum that cannot be dealt."""
    if wanted.class_names:
        return DataError(f"the class '{wanted.class_names[label]}' has {units} distinct samples to draw from",
                         f"at least {splits + 1}, one for each split", "add samples of this class, or drop it")
    return DataError(f"the data has {units} distinct samples or groups to draw from",
                     f"at least {splits + 1}, one for each split", "add samples, or give the splits")


def _home_strata(strata: NDArray[np.int64], units: NDArray[np.int64],
                 free: NDArray[np.bool_]) -> list[tuple[int, list[int]]]:
    """(stratum, rows) of each unit among the free samples; the stratum is that of its first sample."""
    rows_of: dict[int, list[int]] = {}
    for row in np.flatnonzero(free).tolist():
        rows_of.setdefault(int(units[row]), []).append(row)
    return [(int(strata[rows[0]]), rows) for rows in rows_of.values()]


def _deal(members: list[list[int]], wanted: dict[str, float], drawn: dict[str, list[int]]) -> None:
    """Deal a stratum's shuffled units; at least one unit is left for each split that comes after."""
    total = sum(len(rows) for rows in members)
    start = 0
    for place, (name, share) in enumerate(wanted.items()):
        target, held, last = max(1, round(total * share)), 0, len(members) - (len(wanted) - place)
        while held < target and start < last:
            drawn[name] += members[start]
            held += len(members[start])
            start += 1
    for rows in members[start:]:
        drawn[TRAIN] += rows
