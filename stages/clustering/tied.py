"""Scaled values kept through a training that knows nothing of them: after each step the kernel is put back on them.

Which value a weight stands for stays as it is. What a step has made of a kernel is replaced by the nearest kernel of
the same index, `scale[c] * magnitude[index]`, by least squares: the scales given the magnitudes, then the magnitudes
given the scales. So a step moves scales and values, and nothing else.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError, StoreError
from stages.clustering.scaled import Floats, Shared, scaled_axes

VALUES_FILE = "shared_values.npz"
"""In an artifact whose kernels hold scaled values: `<layer>/index` and `<layer>/magnitudes`."""
_FARTHEST = 1e-4
"""Largest difference between weights of one value, over the channel's largest weight; an int8 step is 80 times that."""
_INT8_MOST = 127


def write_shared(shared: Mapping[str, Shared], folder: Path) -> None:
    """Write `shared_values.npz`, with fixed bytes."""
    arrays = {f"{name}/{part}": value for name, found in sorted(shared.items())
              for part, value in (("index", found.index), ("magnitudes", found.magnitudes))}
    np.savez(folder / VALUES_FILE, **arrays)


def read_shared(folder: Path) -> dict[str, Shared]:
    """What `write_shared` wrote, by layer; empty where there is no such file.

    Raises:
        StoreError: the file is damaged.
    """
    path = folder / VALUES_FILE
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = [key.removesuffix("/index") for key in archive.files if key.endswith("/index")]
            return {name: Shared(archive[f"{name}/index"], archive[f"{name}/magnitudes"]) for name in names}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise StoreError(f"{path} cannot be read: {error}", "the index and magnitudes of each clustered kernel",
                         "litesmith run") from error


def tying(variables: Mapping[str, Any], shared: Mapping[str, Shared]) -> Callable[[], None]:
    """What puts kernels back on their values; it can be part of a compiled step.

    Args:
        variables: kernels by layer.
        shared: by layer; kernels that are not there are left alone.
    """
    pairs = [(variables[name], found) for name, found in shared.items() if name in variables]

    def tie() -> None:
        """Once."""
        for variable, found in pairs:
            variable.assign(_nearest(variable, found))

    return tie


def _nearest(kernel: Any, shared: Shared) -> Any:
    """The kernel of the same index that lies nearest, as a tensor of the kernel's shape."""
    import tensorflow as tf

    index = np.abs(shared.index.astype(np.int32))  # 0: zero
    signs = np.sign(shared.index).astype(np.float32)
    before = np.concatenate([np.zeros(1, np.float32), shared.magnitudes])[index] * signs  # at a scale of 1
    axes = scaled_axes(index.ndim)
    scale = tf.math.divide_no_nan(tf.reduce_sum(kernel * before, axes, keepdims=True),
                                  np.square(before).sum(axis=axes, keepdims=True))
    count = len(shared.magnitudes) + 1
    weights = tf.broadcast_to(tf.square(scale), index.shape)
    sums = tf.math.unsorted_segment_sum(tf.reshape(kernel * signs * scale, [-1]), index.reshape(-1), count)
    totals = tf.math.unsorted_segment_sum(tf.reshape(weights, [-1]), index.reshape(-1), count)
    magnitudes = tf.math.divide_no_nan(sums, totals) * (np.arange(count) > 0).astype(np.float32)
    return tf.gather(magnitudes, index) * signs * scale


def count_codes(kernels: Mapping[str, Floats], shared: Mapping[str, Shared]) -> dict[str, int]:
    """How many different int8 weights each kernel has, by layer, verified.

    Args:
        kernels: by layer, those in `shared`.
        shared: what they were made of.

    Raises:
        StageError: a kernel is no kernel of these values.
    """
    found = {}
    for name, kernel in kernels.items():
        largest = np.abs(kernel).max(axis=scaled_axes(kernel.ndim), keepdims=True)
        relative = kernel / np.where(largest > 0, largest, 1)
        spread = max((_spread(relative, shared[name].index, channel) for channel in range(kernel.shape[-1])),
                     default=0.0)
        if spread > _FARTHEST:
            raise StageError(f"the kernel of '{name}' is not made of {len(shared[name].magnitudes)} magnitudes: "
                             f"weights that were one value differ by {spread:.1e} of the largest",
                             f"at most {_FARTHEST:g}", "name it under skip_layers, or use int8 instead of int8qat")
        found[name] = len(np.unique(np.round(relative * _INT8_MOST)))
    return found


def _spread(relative: Floats, index: NDArray[np.int8], channel: int) -> float:
    """Largest difference between weights of a channel that stand for one value."""
    weights, which = relative[..., channel].ravel(), index[..., channel].ravel()
    order = np.argsort(which, kind="stable")
    starts = np.flatnonzero(np.diff(which[order], prepend=which[order][:1] - 1))
    sorted_weights = weights[order]
    return float((np.maximum.reduceat(sorted_weights, starts) - np.minimum.reduceat(sorted_weights, starts)).max())
