"""Which part of the data goes into which input of a tflite model, and what is to be done to it before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.errors import StageError, StoreError
from stages.artifacts import read_result
from stages.datasets.prepared import ONLY_INPUT, Preprocessing, read_preprocessing, scaled
from stages.records import ConvertResult, Normalization

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

_REBUILD = "run again: what is missing is built anew"


def normalization_for(converted: ConvertResult, preprocessing: Preprocessing) -> dict[str, Normalization]:
    """What an engine does to stored samples before it gives them to a tflite model, by input name.

    Empty for a model with its preprocessing folded in: it takes the stored values as they are, as on the device.
    """
    return {} if converted.folded else {name: spec.normalization for name, spec in preprocessing.inputs.items()}


def normalization_of(tflite: Path, data: Path) -> dict[str, Normalization]:
    """`normalization_for` a convert artifact and a prepare artifact.

    Raises:
        StoreError: one of them lacks its record.
    """
    return normalization_for(read_result(tflite, ConvertResult), read_preprocessing(data))


def stored_shapes(path: Path) -> dict[str, Shape]:
    """Shape of one sample by input name, from the header of an `.npy` file of samples.

    Raises:
        StoreError: the file is missing or damaged.
    """
    array = _mapped(path)
    if array.dtype.names is None:
        return {ONLY_INPUT: array.shape[1:]}
    return {name: array.dtype[name].shape for name in array.dtype.names}


def first_samples(path: Path, count: int, normalization: Mapping[str, Normalization]) -> dict[str, Array]:
    """The first stored samples by input name: (count, *shape) float32, or as stored where nothing normalizes them.

    Raises:
        StoreError: the file is missing or damaged.
    """
    rows = np.array(_mapped(path)[:count])
    parts = {ONLY_INPUT: rows} if rows.dtype.names is None else {name: rows[name] for name in rows.dtype.names}
    return {name: scaled(part, normalization[name]) if name in normalization else part for name, part in parts.items()}


def match(model: str, names: Sequence[str], shapes: Sequence[Shape], data: Mapping[str, Shape],
          free: Sequence[Sequence[int]] = ()) -> list[str]:
    """The data's input for each input of a tflite model.

    A single one fits whatever it is called; several go by name, or where the names differ by shapes that are all
    different, as the task layer pairs those of a Keras model.

    Args:
        model: what to call it in messages.
        names: of its inputs.
        shapes: of one sample of each, without the batch axis.
        data: shape of one sample by name.
        free: by input, the axes (the batch is axis 0) that the model leaves open.

    Raises:
        StageError: the numbers, names or shapes do not fit.
    """
    chosen = _by_shape(names, shapes, data)
    open_axes = [set(axes) for axes in free] or [set()] * len(names)
    if len(names) != len(data) or set(chosen) != set(data) or not all(
            _agree(shape, data[name], axes) for name, shape, axes in zip(chosen, shapes, open_axes, strict=True)):
        raise StageError(f"the data's inputs do not fit {model}: {_listed(data)}",
                         _listed(dict(zip(names, shapes, strict=True))),
                         "give the model data of this shape, or the data a model that is made for it")
    return chosen


def _by_shape(names: Sequence[str], shapes: Sequence[Shape], data: Mapping[str, Shape]) -> list[str]:
    """The data's name for each of the model's; the model's own where shapes do not tell either."""
    if len(names) == len(data) == 1:
        return list(data)
    owners = {tuple(shape): name for name, shape in data.items()}
    told = len(owners) == len(data) and {tuple(shape) for shape in shapes} == set(owners)
    return list(names) if set(names) == set(data) or not told else [owners[tuple(shape)] for shape in shapes]


def _agree(wanted: Shape, given: Shape, free: set[int]) -> bool:
    """Whether two shapes are equal but for open axes."""
    return len(wanted) == len(given) and all(
        one == other or axis in free for axis, (one, other) in enumerate(zip(wanted, given, strict=True), start=1))


def _listed(shapes: Mapping[str, Shape]) -> str:
    """`image (32, 32, 3), age (1,)`."""
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items())


def _mapped(path: Path) -> Array:
    """The samples without their pages."""
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"{path} cannot be read: {error}", "", _REBUILD) from error
    if not array.ndim:
        raise StoreError(f"{path} holds a single number", "an array of samples", _REBUILD)
    return array
