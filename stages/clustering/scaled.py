"""Values that all channels of a kernel share, each channel at a scale of its own.

A kernel of `Conv2D` is `scale[c] * values[index]` with one scale an output channel (its root mean square) and few
values for all channels: zero, and magnitudes with either sign. A `Dense` kernel has one scale. Folding batch
normalization multiplies a channel, and int8 divides each channel by its largest weight; so these values, and they
alone, are as few in the int8 weights as in the kernel, which is what a packed file stores in few bits. Values shared
without a scale (TFMOT's) are few in the kernel and many in the file.

Weights and values are trained together: a weight counts as the nearest value in the forward pass and takes the gradient
as if it had not been moved (the straight-through estimator; Y. Bengio et al. 2013, arXiv:1308.3432), a value takes the
gradients of all weights that stand for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.clustering.values import has_kernel, reason_to_skip

_ROUNDS = 50  # of Lloyd's algorithm
_TINY = 1e-12
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Shared:
    """A kernel as few values.

    Attributes:
        index: of the kernel's shape, int8: 0 for a zero, k or -k for the k-th magnitude with its sign.
        magnitudes: (count,) float32, rising.
    """

    index: NDArray[np.int8]
    magnitudes: Floats


def wrap_scaled(model: Any, counts: Mapping[str, int], preserve_sparsity: bool,
                skip: frozenset[str]) -> tuple[Any, dict[str, str]]:
    """A model whose kernels are drawn from a few scaled values each. See `whole.wrap_clustering`."""
    import tf_keras as keras

    skipped = {layer.name: reason for layer in model.layers if (reason := reason_to_skip(layer, counts, skip))}
    wrapper = wrapper_class()

    def wrap(layer: Any) -> Any:
        """The layer in a wrapper, or as it is."""
        if layer.name in skipped or not has_kernel(layer):
            return layer
        kernel = layer.kernel.numpy()
        count = counts[layer.name]
        return wrapper(layer, magnitudes_of(kernel, count), count > 2, kernel != 0 if preserve_sparsity else None)

    return keras.models.clone_model(model, clone_function=wrap), skipped


def strip_scaled(model: Any) -> tuple[Any, dict[str, Shared]]:
    """The plain model with the kernels as they were used, and each as few values, by layer."""
    import tf_keras as keras

    found = {}
    for wrapper in _wrappers(model):
        found[wrapper.layer.name] = wrapper.shared()
        wrapper.layer.kernel.assign(wrapper.shared_kernel())

    def unwrap(layer: Any) -> Any:
        """The layer without its wrapper."""
        return layer.layer if isinstance(layer, wrapper_class()) else layer

    return keras.models.clone_model(model, clone_function=unwrap), found


def magnitude_count(count: int) -> int:
    """How many magnitudes `count` values have: a zero and pairs of equal size, or one pair alone for two values."""
    return max(1, (count - 1) // 2)


def magnitudes_of(kernel: Floats, count: int) -> Floats:
    """Magnitudes that lie nearest to a kernel's scaled weights, by k-means with one value held at zero.

    Args:
        kernel: (..., channels).
        count: values in all, at least 2; an even number above 2 is used as the odd one below.

    Returns:
        (magnitude_count(count),) rising.
    """
    sizes = np.abs(kernel / scales(kernel)).ravel()
    start = np.quantile(sizes, (np.arange(magnitude_count(count)) + 1) / (magnitude_count(count) + 0.5))
    zero = [0.0] if count > 2 else []
    centres = np.concatenate([zero, start])
    for _ in range(_ROUNDS):
        which = np.searchsorted((centres[1:] + centres[:-1]) / 2, sizes)
        members = np.bincount(which, minlength=len(centres))
        centres = np.where(members > 0, np.bincount(which, sizes, len(centres)) / np.maximum(members, 1), centres)
        centres[:len(zero)] = 0
    return np.asarray(centres[len(zero):].astype(np.float32))


def nearest_scaled(kernel: Floats, count: int) -> Floats:
    """A kernel with each weight moved to the nearest of `count` scaled values."""
    magnitudes = magnitudes_of(kernel, count).astype(np.float64)
    centres = np.concatenate([[0.0] if count > 2 else [], magnitudes])
    scale = scales(kernel)
    which = np.searchsorted((centres[1:] + centres[:-1]) / 2, np.abs(kernel / scale))
    return np.asarray((centres[which] * np.sign(kernel) * scale).astype(np.float32))


def scales(kernel: Floats) -> NDArray[np.float64]:
    """Root mean square of each output channel of a convolution, or of a whole matrix; in the kernel's rank."""
    squares = np.square(kernel, dtype=np.float64).mean(axis=scaled_axes(kernel.ndim), keepdims=True)
    return np.asarray(np.sqrt(squares) + _TINY)


def scaled_axes(rank: int) -> tuple[int, ...] | None:
    """Axes of a kernel that one scale spans: all but the output channels; None for a matrix, which has one scale."""
    return tuple(range(rank - 1)) if rank > 2 else None


@cache
def wrapper_class() -> Any:
    """The wrapper layer; a class of Keras, so made when it is first asked for."""
    import tensorflow as tf
    import tf_keras as keras

    class ScaledValues(keras.layers.Wrapper):  # type: ignore[misc]
        """A layer that is run with a kernel of few values in the place of its own."""

        def __init__(self, layer: Any, magnitudes: Floats, has_zero: bool, kept: NDArray[np.bool_] | None) -> None:
            super().__init__(layer, name=f"scaled_{layer.name}")
            self._start, self._has_zero, self._kept = magnitudes, has_zero, kept

        def build(self, input_shape: Any) -> None:
            """Make the values."""
            super().build(input_shape)
            self.magnitudes = self.add_weight(name="magnitudes", shape=self._start.shape,
                                              initializer=keras.initializers.Constant(self._start))

        def call(self, inputs: Any) -> Any:
            """Run the layer."""
            own = self.layer.kernel
            self.layer.__dict__["kernel"] = self.shared_kernel()  # Keras would track what is set as an attribute
            try:
                return self.layer.call(inputs)
            finally:
                self.layer.__dict__["kernel"] = own

        def shared_kernel(self) -> Any:
            """The kernel of few values, with gradients to the weights and to the values."""
            kernel = self.layer.kernel
            scale, which, sorted_values = self._parts(kernel)
            moved = tf.reshape(tf.gather(sorted_values, which), tf.shape(kernel)) * tf.sign(kernel) * scale
            shared = moved + kernel - tf.stop_gradient(kernel)
            return shared if self._kept is None else shared * self._kept.astype(np.float32)

        def shared(self) -> Shared:
            """The kernel as an index and magnitudes."""
            kernel = self.layer.kernel
            _, which, sorted_values = self._parts(kernel)
            index = which.numpy().reshape(kernel.shape) + (0 if self._has_zero else 1)
            signed = index * np.sign(kernel.numpy()) * (1 if self._kept is None else self._kept)
            return Shared(signed.astype(np.int8), sorted_values.numpy()[int(self._has_zero):])

        def _parts(self, kernel: Any) -> tuple[Any, Any, Any]:
            """Scale of each channel, index of each weight's value (flat), and the values, rising."""
            axes = scaled_axes(kernel.shape.rank)
            scale = tf.stop_gradient(tf.sqrt(tf.reduce_mean(tf.square(kernel), axis=axes, keepdims=True)) + _TINY)
            values = tf.sort(tf.abs(self.magnitudes))
            if self._has_zero:
                values = tf.concat([tf.zeros([1]), values], axis=0)
            middles = tf.stop_gradient((values[1:] + values[:-1]) / 2)
            which = tf.searchsorted(middles, tf.reshape(tf.stop_gradient(tf.abs(kernel) / scale), [-1]))
            return scale, which, values

    return ScaledValues


def _wrappers(model: Any) -> list[Any]:
    """The wrapped layers of a model."""
    return [layer for layer in model.layers if isinstance(layer, wrapper_class())]
