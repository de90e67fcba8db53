"""Shared values as numbers: found, counted, and which kernels are clustered at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError
from stages.pruning.kernels import MISSED_SHARE

CLUSTERED_LAYERS = ("Conv2D", "Dense")
"""Layers whose kernels are clustered: those whose shared values quantization-aware training can preserve as well."""
MOST_VALUES = 256
"""An index of one byte tells no more apart."""
_ROUNDS = 20  # of Lloyd's algorithm


def count_shared_values(kernels: Mapping[str, NDArray[np.float32]], counts: Mapping[str, int]) -> dict[str, int]:
    """Distinct values by layer, verified.

    Args:
        kernels: clustered kernels by layer.
        counts: how many values each may hold.

    Raises:
        StageError: a kernel holds more.
    """
    found = {name: len(np.unique(kernel)) for name, kernel in kernels.items()}
    for name, count in found.items():
        if count > counts[name]:
            raise StageError(f"the kernel of '{name}' holds {count} distinct values", f"at most {counts[name]}",
                             "name it under skip_layers, or ask for more shared values")
    return found


def check_zeros_kept(kernels: Mapping[str, NDArray[np.float32]], before: Mapping[str, NDArray[np.bool_]]) -> None:
    """Refuse a clustering that filled zeros which it was to keep.

    Args:
        kernels: clustered kernels by layer.
        before: where each was zero.

    Raises:
        StageError: more than a hundredth of a kernel was filled.
    """
    for name, kernel in kernels.items():
        filled = int((before[name] & (kernel != 0)).sum())
        if filled > MISSED_SHARE * kernel.size:
            raise StageError(f"clustering filled {filled} of the zeros in '{name}'", "zeros stay zeros",
                             "ask for more shared values")


def nearest_values(kernel: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """A kernel with each weight moved to the nearest of `count` values, chosen by k-means from evenly spaced quantiles.

    In one dimension k-means needs no distances: a weight belongs to the value whose span, between the middles of
    neighbours, holds it.
    """
    weights = kernel.reshape(-1).astype(np.float64)
    values = np.unique(np.quantile(weights, (np.arange(count) + 0.5) / count, method="inverted_cdf"))
    for _ in range(_ROUNDS):
        index = np.searchsorted((values[1:] + values[:-1]) / 2, weights)
        sizes = np.bincount(index, minlength=len(values))
        values = np.where(sizes > 0, np.bincount(index, weights, len(values)) / np.maximum(sizes, 1), values)
    index = np.searchsorted((values[1:] + values[:-1]) / 2, weights)
    return np.asarray(values[index].astype(np.float32).reshape(kernel.shape))


def enough_values(cost: Callable[[str, NDArray[np.float32]], float], kernels: Mapping[str, NDArray[np.float32]],
                  count: int, points: float,
                  nearest: Callable[[NDArray[np.float32], int], NDArray[np.float32]] = nearest_values,
                  ) -> tuple[dict[str, int], dict[str, float]]:
    """How many values each kernel needs so that clustering it alone costs no more than `points`.

    Args:
        cost: `cost(layer, kernel)` gives the points that another kernel in one layer costs.
        kernels: by layer.
        count: values to begin with; doubled for a kernel that costs too much, up to `MOST_VALUES`.
        points: see above.
        nearest: `nearest(kernel, count)` gives the kernel of so many values.

    Returns:
        Values by layer, and what each kernel costs alone with `count` values. Kernels with fewer weights than `count`
        are left out.
    """
    counts, costs = {}, {}
    for name, kernel in kernels.items():
        if kernel.size <= count:
            continue
        counts[name] = count
        costs[name] = found = cost(name, nearest(kernel, count))
        while found > points and counts[name] < MOST_VALUES:
            counts[name] = min(2 * counts[name], MOST_VALUES)
            found = cost(name, nearest(kernel, counts[name]))
    return counts, costs


def has_kernel(layer: Any) -> bool:
    """Whether a layer is of a kind that is clustered."""
    return type(layer).__name__ in CLUSTERED_LAYERS


def reason_to_skip(layer: Any, counts: Mapping[str, int], skip: frozenset[str]) -> str:
    """Why a layer with weights is left alone, or an empty string."""
    if layer.name in skip:
        return "named in skip_layers"
    if not has_kernel(layer):
        return f"{type(layer).__name__} has no kernel that is clustered" if layer.weights else ""
    size, count = int(np.prod(layer.kernel.shape)), counts[layer.name]
    return f"{size} weights are too few for {count} shared values" if size <= count else ""
