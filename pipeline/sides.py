"""What the two sides of a comparison bring: tflite models by name, which is held against which, and their inputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.errors import UsageError, with_near_miss

Array = npt.NDArray[Any]
Files = dict[str, Path]


def find_models(path: Path, wanted: Iterable[str] = ()) -> Files:
    """The tflite models of one side by name: a file under its stem, a run folder's by variant.

    Raises:
        UsageError: there is nothing, no tflite model in it, or no variant of a wanted name.
    """
    if path.is_file():
        return {path.stem: path}
    if not path.is_dir():
        raise UsageError(f"{path}: no such file or folder", "a .tflite file or a run folder",
                         "run folders are in runs/; litesmith status")
    folder = path / "models" if (path / "models").is_dir() else path
    found = {each.stem: each for each in sorted(folder.glob("*.tflite"))}
    if not found:
        raise UsageError(f"{path} holds no tflite model", "a run folder with models/*.tflite",
                         "litesmith run makes them")
    for name in wanted:
        if name not in found:
            raise UsageError(with_near_miss(f"{path} has no variant '{name}'", name, found), ", ".join(found))
    return {name: each for name, each in found.items() if not wanted or name in set(wanted)}


@dataclass(frozen=True)
class Match:
    """Which model of one side is held against which of the other.

    Attributes:
        pairs: by the pair's name, (name in the reference, name in the candidate).
        only_reference, only_candidate: names that one side alone has.
    """

    pairs: dict[str, tuple[str, str]]
    only_reference: tuple[str, ...] = ()
    only_candidate: tuple[str, ...] = ()


def matched(reference: Iterable[str], candidate: Iterable[str], *, crossing: bool = True) -> Match:
    """By name. Where no name is shared, a single model is held against each of the other side.

    Args:
        reference: names of one side.
        candidate: names of the other.
        crossing: whether a single model may meet several.

    Raises:
        UsageError: the sides share no name, and are several.
    """
    first, second = list(reference), list(candidate)
    shared = [name for name in first if name in second]
    if shared:
        return Match({name: (name, name) for name in shared}, tuple(name for name in first if name not in shared),
                     tuple(name for name in second if name not in shared))
    fewest = min(len(first), len(second)) if crossing else max(len(first), len(second))
    if fewest != 1:
        raise UsageError(f"the two sides share no variant: {', '.join(first)} and {', '.join(second)}",
                         "two sides with a variant of the same name", "name two .tflite files instead")
    return Match({one if len(second) == 1 < len(first) else other: (one, other)
                  for one, other in itertools.product(first, second)})


def read_samples(path: Path | None) -> tuple[Array, ...]:
    """Inputs out of an `.npy` file, as the model takes them: float32 in its units, or uint8 as stored.

    Raises:
        UsageError: it cannot be read, or holds no samples.
    """
    if path is None:
        return ()
    try:
        rows: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path} cannot be read: {error}", "an .npy file of samples") from error
    if not rows.ndim or not len(rows):
        raise UsageError(f"{path} holds no samples", "an array (samples, ...)")
    return (rows,) if rows.dtype.names is None else tuple(rows[name] for name in rows.dtype.names)
