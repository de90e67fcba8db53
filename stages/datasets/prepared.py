"""What the prepare stage leaves, read and written: normalized splits as `.npy`, and `preprocessing.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StoreError
from device_profiles.records import Record
from stages.records import Normalization

PREPROCESSING_FILE = "preprocessing.json"


class Preprocessing(Record):
    """What stands between a raw sample and the model; it goes with every model, from training to the device.

    Attributes:
        input_shape: one sample, without the batch axis.
        class_names: in label order.
        normalization: `x_model = (x_raw - offset) / scale`.
    """

    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    normalization: Normalization


@dataclass(frozen=True)
class Split:
    """One split.

    Attributes:
        x: (samples, height, width, channels) float32, normalized.
        y: (samples,) int64 labels.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]


def write_split(folder: Path, name: str, split: Split) -> None:
    """Write `x_<name>.npy` and `y_<name>.npy`."""
    np.save(folder / f"x_{name}.npy", split.x)
    np.save(folder / f"y_{name}.npy", split.y)


def read_split(folder: Path, name: str) -> Split:
    """Read one split of a prepare artifact.

    Raises:
        StoreError: the arrays are missing or damaged.
    """
    try:
        x, y = (np.load(folder / f"{letter}_{name}.npy", allow_pickle=False) for letter in "xy")
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"{folder} holds no readable split '{name}': {error}", "", "litesmith prepare") from error
    return Split(x=x, y=y)


def write_preprocessing(folder: Path, preprocessing: Preprocessing) -> None:
    """Write `preprocessing.json`, the same bytes for the same content."""
    (folder / PREPROCESSING_FILE).write_text(preprocessing.model_dump_json(indent=2) + "\n", "utf-8")


def read_preprocessing(folder: Path) -> Preprocessing:
    """Read `preprocessing.json` of a prepare, train or prune artifact.

    Raises:
        StoreError: it is missing or damaged.
    """
    try:
        return Preprocessing.model_validate_json((folder / PREPROCESSING_FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        found = f"{folder} holds no readable {PREPROCESSING_FILE}: {error}"
        raise StoreError(found, "", "litesmith prepare") from error
