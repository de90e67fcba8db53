"""What the prepare stage leaves, read and written: splits as `.npy` files, and `preprocessing.json`.

Samples are kept as the source has them (uint8 stays uint8); they are normalized where they are read. So what stands
between a raw sample and the model is written down once and applied alike in training, calibration and evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from device_profiles.errors import StoreError
from device_profiles.records import Record
from stages.datasets.rows import Rows
from stages.records import Normalization, TensorSpec

PREPROCESSING_FILE = "preprocessing.json"
ONLY_INPUT = "input"
"""Name of the input where there is only one."""
IN_MEMORY_BYTES = 512 << 20
"""A split whose model inputs take up to so many bytes is read into memory; a larger one row by row."""

Array = NDArray[Any]
Samples = Array | Rows


class Preprocessing(Record):
    """What stands between a raw sample and the model; it goes with every model, from training to the device.

    Attributes:
        task: the task's kind.
        inputs: by input name; the only input of a data set with one is called "input".
        class_names: in label order; () where labels are values.
        targets: by output name, for regression: `y_model = (y_user - offset) / scale`; else empty.
    """

    task: str = "classification"
    inputs: dict[str, TensorSpec]
    class_names: tuple[str, ...] = ()
    targets: dict[str, TensorSpec] = Field(default_factory=dict)

    @property
    def only_input(self) -> TensorSpec | None:
        """The input where there is one; None where there are several."""
        return next(iter(self.inputs.values())) if len(self.inputs) == 1 else None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample of the only input; () where there are several."""
        return self.only_input.shape if self.only_input else ()


@dataclass(frozen=True)
class Split:
    """One split.

    Attributes:
        x: model inputs, (samples, *shape) float32, normalized; structured for several inputs.
        y: labels as the task keeps them; see `stages.tasks`.
        names: where each sample is from, or empty.
        groups: of each sample, or empty.
        clips: (samples,) int64, equal for parts of one recording; None where every sample is whole.
    """

    x: Samples
    y: Array
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    clips: NDArray[np.int64] | None = None

    def part(self, rows: slice) -> Split:
        """Some of the samples, in memory."""
        return Split(x=self.x[rows], y=self.y[rows], names=self.names[rows], groups=self.groups[rows],
                     clips=None if self.clips is None else self.clips[rows])


def normalized(x: Array, inputs: Mapping[str, TensorSpec]) -> Array:
    """Stored samples as the model takes them.

    Args:
        x: (samples, *shape) as stored; structured for several inputs.
        inputs: by input name.

    Returns:
        (samples, *shape) float32, or a structured array of float32 fields.
    """
    if x.dtype.names is None:
        return scaled(x, next(iter(inputs.values())).normalization)
    dtype = np.dtype([(name, np.float32, x.dtype[name].shape) for name in x.dtype.names])
    found = np.empty(len(x), dtype)
    for name in x.dtype.names:
        found[name] = scaled(x[name], inputs[name].normalization)
    return found


def scaled(x: Array, normalization: Normalization) -> NDArray[np.float32]:
    """`(x - offset) / scale` in float32, over the last axis."""
    if normalization.kind == "none":
        return x.astype(np.float32)
    offset, scale = (np.array(value, np.float32) for value in (normalization.offset, normalization.scale))
    return np.asarray((x - offset) / scale, np.float32)


def write_about(folder: Path, name: str, names: tuple[str, ...], groups: tuple[str, ...], clips: Array | None) -> None:
    """Write `about_<name>.json`: where the samples of a split are from."""
    content = {"names": names, "groups": groups, "clips": None if clips is None else clips.tolist()}
    (folder / f"about_{name}.json").write_text(json.dumps(content, ensure_ascii=False) + "\n", "utf-8")


def read_split(folder: Path, name: str, in_memory_bytes: int | None = None) -> Split:
    """Read one split of a prepare artifact.

    Args:
        folder: the artifact.
        name: of the split.
        in_memory_bytes: up to which size the samples are read into memory; None: `IN_MEMORY_BYTES`.

    Raises:
        StoreError: files are missing or damaged.
    """
    preprocessing = read_preprocessing(folder)
    rows = Rows(folder / f"x_{name}.npy", partial(normalized, inputs=preprocessing.inputs))
    limit = IN_MEMORY_BYTES if in_memory_bytes is None else in_memory_bytes
    try:
        y = np.load(folder / f"y_{name}.npy", allow_pickle=False)
        about = json.loads((folder / f"about_{name}.json").read_text("utf-8"))
        names, groups, clips = tuple(about["names"]), tuple(about["groups"]), about["clips"]
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise StoreError(f"{folder} holds no readable split '{name}': {error}", "", "litesmith prepare") from error
    if len(y) != len(rows):
        raise StoreError(f"{folder} holds {len(rows)} samples and {len(y)} labels of '{name}'", "", "litesmith prepare")
    return Split(x=rows.load() if rows.nbytes <= limit else rows, y=y, names=names, groups=groups,
                 clips=None if clips is None else np.array(clips, np.int64))


def write_preprocessing(folder: Path, preprocessing: Preprocessing) -> None:
    """Write `preprocessing.json`, the same bytes for the same content."""
    (folder / PREPROCESSING_FILE).write_text(preprocessing.model_dump_json(indent=2) + "\n", "utf-8")


def read_preprocessing(folder: Path) -> Preprocessing:
    """Read `preprocessing.json` of a prepare, model, train or prune artifact.

    Raises:
        StoreError: it is missing or damaged.
    """
    try:
        return Preprocessing.model_validate_json((folder / PREPROCESSING_FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        found = f"{folder} holds no readable {PREPROCESSING_FILE}: {error}"
        raise StoreError(found, "", "litesmith prepare") from error
