"""Offset and scale of every input, fitted on the training samples part by part, and of regression targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from device_profiles.errors import DataError
from device_profiles.records import Record
from stages.datasets.prepared import ONLY_INPUT
from stages.datasets.rows import Rows, slices
from stages.records import Normalization, TensorSpec

Array = NDArray[Any]
NormalizationKind = Literal["auto", "none", "minmax", "standard", "symmetric"]
SYMMETRIC = 127.5
"""Offset and scale that take 0..255 to -1..1."""


class FixedNormalization(Record):
    """`x_model = (x - offset) / scale` as the model's maker states it, one value or one per channel."""

    offset: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)

    @model_validator(mode="after")
    def _divides(self) -> FixedNormalization:
        if not self.offset or not self.scale or 0 in self.scale:
            raise ValueError("offset and scale need a value each, and no scale may be 0")
        return self


def fit_normalizations(rows: Rows, members: NDArray[np.int64], kind: NormalizationKind | FixedNormalization,
                       given_model: bool) -> dict[str, TensorSpec]:
    """What stands between stored samples and the model, by input.

    Args:
        rows: all samples.
        members: rows of the training split.
        kind: what the run file says.
        given_model: whether the model comes trained; "auto" is then "none", else "minmax".

    Raises:
        DataError: a fixed normalization whose channels are not those of the samples.
    """
    resolved = ("none" if given_model else "minmax") if kind == "auto" else kind
    names = rows.dtype.names
    if names is None:
        return {ONLY_INPUT: _fit(rows, members, resolved, None)}
    return {name: _fit(rows, members, resolved, name) for name in names}


def _fit(rows: Rows, members: NDArray[np.int64], kind: str | FixedNormalization, name: str | None) -> TensorSpec:
    """One input."""
    dtype = rows.dtype if name is None else rows.dtype[name].base
    shape = rows.shape[1:] if name is None else rows.dtype[name].shape
    return TensorSpec(shape=tuple(int(size) for size in shape), dtype=str(dtype),
                      normalization=_normalization(rows, members, kind, name, shape[-1] if shape else 1))


def _normalization(rows: Rows, members: NDArray[np.int64], kind: str | FixedNormalization, name: str | None,
                   channels: int) -> Normalization:
    """Offset and scale per channel."""
    if isinstance(kind, FixedNormalization):
        for values in (kind.offset, kind.scale):
            if len(values) not in (1, channels):
                raise DataError(f"data.normalization has {len(values)} values; the samples have {channels} channels",
                                f"1 or {channels} values")
        return Normalization(kind="fixed", offset=kind.offset, scale=kind.scale)
    if kind == "none":
        return Normalization(kind=kind)
    if kind == "symmetric":
        return Normalization(kind=kind, offset=(SYMMETRIC,), scale=(SYMMETRIC,))
    offset, scale = (_extent if kind == "minmax" else _moments)(_parts(rows, members, name))
    scale = np.where(scale > 0, scale, 1.0)  # a constant channel becomes 0, not NaN
    return Normalization(kind=kind, offset=tuple(offset.tolist()), scale=tuple(scale.tolist()))


def _parts(rows: Rows, members: NDArray[np.int64], name: str | None) -> Iterator[Array]:
    """The training samples in turn, as (elements, channels) float64."""
    sample = rows[:1] if name is None else rows[:1][name]
    for part in slices(len(members), sample.size * np.dtype(np.float64).itemsize):
        x = rows[members[part]] if name is None else rows[members[part]][name]
        yield x.reshape(-1, x.shape[-1] if x.ndim > 1 else 1).astype(np.float64)


def _extent(parts: Iterator[Array]) -> tuple[Array, Array]:
    """(lowest, range) by channel."""
    extremes = [(part.min(axis=0), part.max(axis=0)) for part in parts]
    lowest = np.min([low for low, _ in extremes], axis=0)
    return lowest, np.max([high for _, high in extremes], axis=0) - lowest


def _moments(parts: Iterator[Array]) -> tuple[Array, Array]:
    """(mean, deviation) by channel, merged part by part (Chan, Golub and LeVeque 1983)."""
    count, mean, spread = 0, np.zeros(1), np.zeros(1)
    for part in parts:
        size, own = len(part), part.mean(axis=0)
        difference, total = own - mean, count + size
        spread = spread + ((part - own) ** 2).sum(axis=0) + difference**2 * (count * size / total)
        mean, count = mean + difference * (size / total), total
    return mean, np.sqrt(spread / max(1, count))


def fit_targets(y: Array, members: NDArray[np.int64], kind: Literal["auto", "none", "standard"],
                given_model: bool) -> tuple[dict[str, TensorSpec], Array]:
    """Regression targets on the scale that the model is trained on.

    Args:
        y: labels as the task keeps them; targets are float32 (samples, values), or such fields of a structured array.
        members: rows of the training split.
        kind: "standard" takes every value to mean 0 and deviation 1 over the training split.
        given_model: whether the model comes trained; "auto" is then "none", else "standard".

    Returns:
        By output name ("output" where there is one) the scale of each float32 output, and the labels on that scale.
    """
    names = y.dtype.names
    if names is None:
        if y.dtype != np.float32:
            return {}, y
        spec, scaled = _fit_target(y, members, kind, given_model)
        return {"output": spec}, scaled
    found, result = {}, y.copy()
    for name in names:
        if y.dtype[name].base == np.float32:
            found[name], result[name] = _fit_target(y[name], members, kind, given_model)
    return found, result


def _fit_target(y: Array, members: NDArray[np.int64], kind: str, given_model: bool) -> tuple[TensorSpec, Array]:
    """One output.  # y (samples, values)."""
    shape = tuple(int(size) for size in y.shape[1:])
    if kind == "none" or (kind == "auto" and given_model):
        return TensorSpec(shape=shape, dtype="float32"), y
    train = y[members].astype(np.float64)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    normalization = Normalization(kind="standard", offset=tuple(mean.tolist()), scale=tuple(deviation.tolist()))
    spec = TensorSpec(shape=shape, dtype="float32", normalization=normalization)
    return spec, ((y - mean) / deviation).astype(np.float32)
