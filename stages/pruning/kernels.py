"""Kernels that are pruned and clustered: which they are, and what is counted in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError

PRUNED_LAYERS = ("Conv2D", "Dense")
"""Layers whose kernels are pruned and clustered: those whose zeros and values quantization-aware training can keep."""
DEPTHWISE = "DepthwiseConv2D"
MISSED_SHARE = 0.01
"""Share of the zeros that may be missed, or lost afterwards."""
GROUP, NONZERO = 4, 2
"""The pattern `2of4`: of every four weights in a row along the input channels at most two are not zero."""

Kernels = dict[str, NDArray[np.float32]]


def variable_of(layer: Any) -> Any:
    """The kernel of a layer, a `tf.Variable`; None for a layer that has none that is ever pruned."""
    if type(layer).__name__ == DEPTHWISE:
        return layer.depthwise_kernel
    return layer.kernel if type(layer).__name__ in PRUNED_LAYERS else None


def read_kernels(model: Any, names: Iterable[str] | None = None) -> Kernels:
    """Kernels of the layers in `PRUNED_LAYERS` by layer name; where names are given, of these layers alone.

    Args:
        model: a flat `tf_keras.Model`.
        names: of layers with a kernel, depthwise ones among them.
    """
    wanted = None if names is None else set(names)
    return {layer.name: variable_of(layer).numpy() for layer in model.layers
            if (type(layer).__name__ in PRUNED_LAYERS if wanted is None else layer.name in wanted)}


def share_of_zeros(kernels: Mapping[str, NDArray[np.float32]]) -> tuple[float, dict[str, float]]:
    """Share of zeros over all kernels, and by layer."""
    zeros = sum(int((kernel == 0).sum()) for kernel in kernels.values())
    size = sum(kernel.size for kernel in kernels.values())
    return zeros / size, {name: float((kernel == 0).mean()) for name, kernel in kernels.items()}


def verify_sparsity(kernels: Kernels, wanted: float) -> tuple[float, dict[str, float]]:
    """`share_of_zeros`, held against what was asked for over all of them.

    Raises:
        StageError: the share of zeros lies more than one point below.
    """
    overall, by_layer = share_of_zeros(kernels)
    if overall < wanted - MISSED_SHARE:
        worst = min(by_layer, key=lambda name: by_layer[name])
        raise StageError(f"{100 * overall:.1f} % of the pruned weights are zero; the least has '{worst}' with "
                         f"{100 * by_layer[worst]:.1f} %", f"at least {100 * (wanted - MISSED_SHARE):.0f} %",
                         "train for more epochs, or lower ramp_share")
    return overall, by_layer


def groups_of_four(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights in rows of four along the input channels, as TFLite lays kernels out (output, height, width, input).

    Args:
        kernel: (..., input channels, output channels); channels that fill no four are filled up with zeros.

    Returns:
        (groups, 4) float32.
    """
    rows = np.moveaxis(kernel, -2, -1)  # (..., output channels, input channels)
    missing = -rows.shape[-1] % GROUP
    padded = np.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, missing)])
    return np.asarray(padded.reshape(-1, GROUP))


def breaks_pattern(kernel: NDArray[np.float32]) -> int:
    """How many groups of four hold more than two weights that are not zero."""
    return int(((groups_of_four(kernel) != 0).sum(axis=1) > NONZERO).sum())


def verify_pattern(kernels: Mapping[str, NDArray[np.float32]], after: str) -> None:
    """Refuse kernels that are not of the pattern `2of4`.

    Args:
        kernels: by layer.
        after: what was done to them, for the message.

    Raises:
        StageError: a group of four has too many weights.
    """
    for name, kernel in kernels.items():
        broken = breaks_pattern(kernel)
        if broken:
            raise StageError(f"after {after}, {broken} groups of four weights in '{name}' hold more than two that are "
                             "not zero", "at least two zeros in every four", "leave pruned2of4 out of this variant")
