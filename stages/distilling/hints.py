"""Hints: inner features of the teacher that the student is to have too (Romero et al. 2015, arXiv:1412.6550).

    hint = mean over a sample's features of (s / rms(s) - t / rms(t))² = 2 - 2 cos(s, t)

s are the student's features, t the teacher's, rms the root of the mean square over a sample, so a hint lies between 0
and 4 whatever the scales of the layers. Where the widths differ, s is first projected, channels by channels, with a
matrix that is learnt along and thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from device_profiles.errors import ModelError, with_near_miss
from stages.models.wrapped import plain_name

_LEAST_RANK = 2  # (batch, channels)
_TINY = 1e-12  # no division by zero where a feature map is dead


class HintLike(Protocol):
    """A teacher's layer and the weight of its hint."""

    @property
    def teacher(self) -> str:
        """The layer's name."""

    @property
    def weight(self) -> float:
        """In the sum of the losses."""


class Hints:
    """The hints of a teacher for a student.

    Attributes:
        student: tensors of the student model that are to be compared, in order.
        teacher: the same of the teacher.
        variables: the projections.
    """

    def __init__(self, student: Any, teacher: Any, hints: Mapping[str, HintLike], seed: int) -> None:
        """Find the layers and make the projections.

        Args:
            student: a `tf_keras.Model`, wrapped by TFMOT or not.
            teacher: a `tf_keras.Model`.
            hints: by the student's layer.
            seed: of the projections.

        Raises:
            ModelError: a layer that is not there, or features that cannot be compared.
        """
        self.student = [_features(student, name, "student") for name in hints]
        self.teacher = [_features(teacher, hint.teacher, "teacher") for hint in hints.values()]
        self._weights = [hint.weight for hint in hints.values()]
        for name, hint, one, other in zip(hints, hints.values(), self.student, self.teacher, strict=True):
            _check_alike(name, tuple(one.shape[1:]), hint.teacher, tuple(other.shape[1:]))
        self._projections = [_projection(one.shape[-1], other.shape[-1], (seed, place))
                             for place, (one, other) in enumerate(zip(self.student, self.teacher, strict=True))]
        self.variables = [each for each in self._projections if each is not None]

    def losses(self, student: Sequence[Any], teacher: Sequence[Any]) -> Any:
        """Weighted sum of the hints of each sample.

        Args:
            student: values of the tensors in `self.student`, each (batch, ..., channels).
            teacher: the same of the teacher.

        Returns:
            (batch,) float32 tensor.
        """
        import tensorflow as tf

        total = 0.0
        for weight, matrix, given, wanted in zip(self._weights, self._projections, student, teacher, strict=True):
            projected = given if matrix is None else tf.tensordot(given, matrix, 1)
            total += weight * distance(projected, wanted)
        return total


def distance(student: Any, teacher: Any) -> Any:
    """Mean squared distance of features, each over its root mean square.

    Args:
        student: (batch, ...) float32.
        teacher: the same shape.

    Returns:
        (batch,) float32 tensor, 0 to 4.
    """
    import tensorflow as tf

    axes = list(range(1, len(teacher.shape)))
    one, other = (values * tf.math.rsqrt(tf.reduce_mean(tf.square(values), axes, keepdims=True) + _TINY)
                  for values in (student, teacher))
    return tf.reduce_mean(tf.square(one - other), axes)


def _features(model: Any, name: str, whose: str) -> Any:
    """The output of a layer on its first call, as a symbolic tensor."""
    layers = {plain_name(layer): layer for layer in model.layers}
    if name not in layers:
        found = f"distil.hints names '{name}', which the {whose} does not have"
        raise ModelError(with_near_miss(found, name, layers), ", ".join(layers), "set distil.hints in the run file")
    tensor = layers[name].get_output_at(0)
    if isinstance(tensor, list | tuple | dict) or tensor.shape.rank < _LEAST_RANK or tensor.shape[-1] is None:
        raise ModelError(f"distil.hints names '{name}' of the {whose}, whose output cannot be compared",
                         "layers with one output of shape (batch, ..., channels)", "name another layer")
    return tensor


def _check_alike(student: str, one: tuple[int | None, ...], teacher: str, other: tuple[int | None, ...]) -> None:
    """Refuse features that differ in more than their channels."""
    same = len(one) == len(other) and all(
        a == b or None in (a, b) for a, b in zip(one[:-1], other[:-1], strict=True))
    if not same:
        raise ModelError(f"distil.hints: '{student}' of the student gives {one}, '{teacher}' of the teacher {other}",
                         "the same shape but for the last axis", "pair layers of the same height and width")


def _projection(given: int, wanted: int, seed: tuple[int, int]) -> Any:
    """A matrix (given, wanted) to be learnt, or None where the widths are the same."""
    import tensorflow as tf

    if given == wanted:
        return None
    start = np.random.default_rng(seed).standard_normal((given, wanted)) / np.sqrt(given)
    return tf.Variable(start.astype(np.float32), name="projection")
