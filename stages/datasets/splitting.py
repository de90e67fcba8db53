"""Stratified splits by seed, in which an exact duplicate never lies in two splits."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import DataError
from stages.datasets.records import SPLITS, TEST, TRAIN, VALIDATION, RawData


def group_duplicates(x: NDArray[np.float32]) -> NDArray[np.int64]:
    """A number for each sample, the same for samples that are equal bit for bit.

    Args:
        x: (samples, ...) float32.

    Returns:
        (samples,) group numbers, counted from 0 in the order of first appearance.
    """
    seen: dict[bytes, int] = {}
    rows = np.ascontiguousarray(x + np.float32(0))  # -0.0 becomes 0.0: equal numbers, equal bytes
    digests = (blake2b(row.tobytes(), digest_size=16).digest() for row in rows)
    return np.array([seen.setdefault(digest, len(seen)) for digest in digests], np.int64)


def draw_splits(raw: RawData, groups: NDArray[np.int64], validation_share: float, test_share: float,
                seed: int) -> dict[str, NDArray[np.int64]]:
    """Indices of each split, in ascending order.

    Splits that the source gives are kept. The others are drawn class by class: the class's groups of duplicates are
    shuffled by seed and dealt to test, then validation, until each holds its share of the class (at least one sample);
    the rest trains.

    Raises:
        DataError: a class has fewer distinct samples than splits to be drawn.
    """
    shares = {TEST: test_share, VALIDATION: validation_share}
    wanted = {name: share for name, share in shares.items() if name not in raw.given_splits}
    free = np.ones(len(raw.y), bool)
    for rows in raw.given_splits.values():
        free[rows] = False
    drawn: dict[str, list[int]] = {name: [] for name in (*wanted, TRAIN)}
    homes = _home_classes(raw.y, groups, free)
    for label, name in enumerate(raw.class_names):
        members = [rows for home, rows in homes if home == label]
        if len(members) <= len(wanted):
            raise DataError(f"the class '{name}' has {len(members)} distinct samples to draw from",
                            f"at least {len(wanted) + 1}, one for each split", "add samples of this class, or drop it")
        order = np.random.default_rng((seed, label)).permutation(len(members))
        _deal([members[i] for i in order], wanted, drawn)
    result = {name: np.sort(np.array(rows, np.int64)) for name, rows in drawn.items()} | raw.given_splits
    return {name: result[name] for name in SPLITS}


def _home_classes(y: NDArray[np.int64], groups: NDArray[np.int64],
                  free: NDArray[np.bool_]) -> list[tuple[int, list[int]]]:
    """(label, rows) of each group of duplicates among the free samples; the label is that of its first sample."""
    rows_of: dict[int, list[int]] = {}
    for row in np.flatnonzero(free).tolist():
        rows_of.setdefault(int(groups[row]), []).append(row)
    return [(int(y[rows[0]]), rows) for rows in rows_of.values()]


def _deal(members: list[list[int]], wanted: dict[str, float], drawn: dict[str, list[int]]) -> None:
    """Deal a class's shuffled groups; at least one group is left for each split that comes after."""
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
