"""Corrupted test samples as files: which corruptions fit the data, and the samples that baseline and variants share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError, field_validator

from device_profiles.errors import DataError, StoreError, with_near_miss
from device_profiles.records import Record
from stages.datasets.audio.front_end import FrontEnd
from stages.datasets.audio.vectors import PARAMETERS_FILE
from stages.datasets.prepared import Preprocessing
from stages.datasets.records import TEST
from stages.datasets.rows import Rows, RowWriter, slices
from stages.safety.corruptions import KINDS, LAYOUT_TEXT, Corruption, Kind, Layout, Ranges, spread_axes

Array = npt.NDArray[Any]

LIMIT = "corrupted_changed_share"
ABOUT_FILE = "corruptions.json"
_ALL: tuple[str, ...] = get_args(Kind)


class Settings(Record):
    """Which mild corruptions of the test inputs the float model and every variant are given."""

    kinds: Literal["auto", "none"] | tuple[Kind, ...] = Field(
        default="auto", description=f"auto: those that fit the data, where a limit asks; none; or a list of "
                                    f"{', '.join(_ALL)}")
    severity: int = Field(default=1, ge=1, le=5, description="1 (mild) to 5; docs/verdicts.md has the amounts")
    samples: int = Field(default=2000, ge=0, description="test samples that are corrupted, evenly spread; 0: all")
    layout: Literal["auto", "image", "features", "vector"] = Field(
        default="auto", description="what a sample is; auto: by its shape, and features where a front end made it")

    @field_validator("kinds", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        for name in value if isinstance(value, list | tuple) else ():
            if name not in _ALL:
                what = f"no corruption is called '{name}'; allowed: {', '.join(_ALL)}"
                raise ValueError(with_near_miss(what, str(name), _ALL))
        return tuple(value) if isinstance(value, list) else value

    def wanted(self, asked: bool) -> bool:
        """Whether anything is to be made."""
        return self.kinds != "none" and (asked or self.kinds != "auto") and self.kinds != ()


class About(Record):
    """What `corruptions.json` says.

    Attributes:
        rows: of the test split that were corrupted.
        severities: by corruption, what was done.
        left_out: why there is none; else empty.
    """

    rows: tuple[int, ...]
    severities: dict[str, str]
    left_out: str = ""

    def samples_file(self, kind: str) -> str:
        """Name of the file of corrupted samples."""
        return f"corrupted_{kind}.npy"

    def outputs_file(self, kind: str) -> str:
        """Name of the file of the float model's outputs on them."""
        return f"outputs_{kind}.npy"


@dataclass(frozen=True)
class _Input:
    """One input: its samples and what they are."""

    name: str
    layout: Layout | None
    shape: tuple[int, ...]
    front_end: FrontEnd | None

    def kinds(self) -> tuple[Kind, ...]:
        """What can be done to it."""
        known = KINDS[self.layout] if self.layout else ()
        return tuple(kind for kind in known if kind != "gain" or not self.no_gain())

    def no_gain(self) -> str:
        """Why it cannot be made louder."""
        if self.front_end is None:
            return "no front end says what loudness is in them"
        if self.front_end.normalize_clip != "none":
            return f"the front end takes loudness away (normalize_clip: {self.front_end.normalize_clip})"
        return ""


def write_corrupted(data: Path, preprocessing: Preprocessing, settings: Settings, seed: int, out: Path) -> About:
    """Write `corrupted_<kind>.npy` for each kind, and `corruptions.json`.

    Args:
        data: a prepare artifact.
        preprocessing: of the data.
        settings: which corruptions.
        seed: of their draws.
        out: the folder.

    Raises:
        DataError: a corruption that was asked for by name does not fit the data.
        StoreError: the data is missing or damaged.
    """
    samples = Rows(data / f"x_{TEST}.npy")
    rows = spread_rows(len(samples), settings.samples)
    inputs = _inputs(data, preprocessing, settings.layout)
    kinds = _chosen(inputs, settings.kinds)
    ranges = {one.name: _ranges(samples, rows, one) for one in inputs if one.layout}
    severities: dict[str, str] = {}
    about = About(rows=tuple(rows.tolist()), severities={}, left_out="" if kinds else _shown(inputs, ""))
    for kind in kinds:
        changes = {one.name: Corruption(kind, one.layout, settings.severity, ranges[one.name], one.front_end)
                   for one in inputs if one.layout and kind in one.kinds()}
        with RowWriter(out / about.samples_file(kind)) as writer:
            for part in slices(len(rows), max(1, samples.nbytes // max(1, len(samples)))):
                writer.append(_corrupted(samples[rows[part]], rows[part], changes, seed))
        severities[kind] = "; ".join(f"{name}: {each.text}" if len(inputs) > 1 else each.text
                                     for name, each in changes.items())
    about = about.model_copy(update={"severities": severities})
    (out / ABOUT_FILE).write_text(json.dumps(about.model_dump(mode="json"), ensure_ascii=False) + "\n", "utf-8")
    return about


def read_about(folder: Path) -> About | None:
    """What was corrupted; None where nothing was.

    Raises:
        StoreError: the file is damaged.
    """
    path = folder / ABOUT_FILE
    if not path.exists():
        return None
    try:
        return About.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValidationError) as error:
        raise StoreError(f"{path} cannot be read: {error}", "", "run again: what is missing is built anew") from error


def spread_rows(samples: int, wanted: int) -> Array:
    """Rows, evenly spread: all of them where `wanted` is 0 or no fewer.  # (rows,) int64."""
    if not wanted or wanted >= samples:
        return np.arange(samples)
    return np.arange(wanted, dtype=np.int64) * samples // wanted


def _inputs(data: Path, preprocessing: Preprocessing, layout: str) -> list[_Input]:
    """Every input with its layout."""
    front_end = _front_end(data)
    return [_Input(name, _layout(spec.shape, front_end, layout), spec.shape, front_end)
            for name, spec in preprocessing.inputs.items()]


def _front_end(data: Path) -> FrontEnd | None:
    """The front end of audio data; None for other data."""
    path = data / PARAMETERS_FILE
    if not path.exists():
        return None
    try:
        return FrontEnd.model_validate(json.loads(path.read_text("utf-8"))["settings"])
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"{path} cannot be read: {error}", "", "litesmith prepare") from error


def _layout(shape: tuple[int, ...], front_end: FrontEnd | None, given: str) -> Layout | None:
    """What a sample of that shape is; None for something else."""
    if given != "auto":
        ranks: dict[Layout, tuple[int, ...]] = {"image": (3,), "features": (2, 3), "vector": (1,)}
        for layout, known in ranks.items():
            if layout == given and len(shape) in known:
                return layout
        return None
    by_rank: dict[int, Layout] = {1: "vector", 2: "features", 3: "image" if front_end is None else "features"}
    return by_rank.get(len(shape))


def _chosen(inputs: Sequence[_Input], kinds: str | tuple[Kind, ...]) -> list[Kind]:
    """The kinds to be made, each of which fits an input."""
    possible = [kind for kind in get_args(Kind) if any(kind in one.kinds() for one in inputs)]
    if isinstance(kinds, str):
        return possible
    for kind in kinds:
        if kind not in possible:
            raise DataError(f"the corruption '{kind}' does not fit the data: {_shown(inputs, kind)}",
                            ", ".join(possible) or "none: no corruption fits this data",
                            "change baseline.corruptions.kinds, or say what the samples are with "
                            "baseline.corruptions.layout")
    return list(dict.fromkeys(kinds))


def _shown(inputs: Sequence[_Input], kind: str) -> str:
    """What the inputs are, for a message."""
    texts = []
    for one in inputs:
        what = LAYOUT_TEXT[one.layout] if one.layout else "of no layout that corruptions are known for"
        why = f", and {one.no_gain()}" if kind == "gain" and one.layout == "features" else ""
        texts.append(f"samples of shape {one.shape} are {what}{why}")
    return "; ".join(texts)


def _parts(samples: Rows, rows: Array, name: str) -> Iterator[Array]:
    """The samples of one input, part by part."""
    for part in slices(len(rows), max(1, samples.nbytes // max(1, len(samples)))):
        x = samples[rows[part]]
        yield x if x.dtype.names is None else x[name]


def _ranges(samples: Rows, rows: Array, one: _Input) -> Ranges:
    """Range and spread of an input's samples, some megabytes at a time."""
    axes = spread_axes(one.layout or "vector", one.shape)
    parts = partial(_parts, samples, rows, one.name)
    least = np.minimum.reduce([x.min(axis=axes, keepdims=True) for x in parts()])
    most = np.maximum.reduce([x.max(axis=axes, keepdims=True) for x in parts()])
    count, total, squares = 0.0, np.zeros(least.shape), np.zeros(least.shape)
    between = np.zeros(least.shape, bool)  # whether there are more than two values
    for x in parts():
        values = x.astype(np.float64) - least
        total += values.sum(axis=axes, keepdims=True)
        squares += (values**2).sum(axis=axes, keepdims=True)
        between |= ((x != least) & (x != most)).any(axis=axes, keepdims=True)
        count += x.size / least.size
    spread = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0)) * between
    return Ranges(float(least.min()), float(most.max()), spread[0])


def _corrupted(x: Array, rows: Array, changes: dict[str, Corruption], seed: int) -> Array:
    """Samples with some of their inputs corrupted."""
    if x.dtype.names is None:
        return next(iter(changes.values())).apply(x, rows, seed)
    found = x.copy()
    for name, change in changes.items():
        found[name] = change.apply(np.asarray(x[name]), rows, seed)
    return found
