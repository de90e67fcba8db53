"""Products of tensors: `keras.ops.matmul` and `einsum`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.models.bridge.builder import Builder, narrow
from stages.models.bridge.graph import Step
from stages.models.bridge.records import refusal
from stages.models.bridge.values import arguments, is_tensor, typed

_TWO_OPERANDS = re.compile(r"([a-z]+),([a-z]+)->([a-z]*)", re.IGNORECASE)


def matmul(builder: Builder, step: Step) -> Any:
    """Matrix product of tensors of two dimensions or more."""
    import tensorflow as tf

    dtype = narrow(step.outputs[0].dtype)
    first, second = (typed(builder, step, value, dtype) for value in arguments(step).values())
    if not is_tensor(first) or len(first.shape) < 2 or len(second.shape if is_tensor(second) else np.shape(second)) < 2:
        raise refusal(step.operation, step.name, "multiplies by a vector, or a constant from the left",
                      "reshape to matrices")
    return builder.op_as(tf.linalg.matmul, step.name, first, b=second)


@dataclass(frozen=True)
class _Labels:
    """The axes of `first,second->result`, by what becomes of them."""

    first: str
    second: str
    result: str

    @property
    def both(self) -> str:
        """In both operands and the result: the product is made for each value."""
        return "".join(axis for axis in self.first if axis in self.second and axis in self.result)

    @property
    def summed(self) -> str:
        """In both operands alone: the product is summed over them."""
        return "".join(axis for axis in self.first if axis in self.second and axis not in self.result)

    @property
    def rows(self) -> str:
        """In the first operand and the result."""
        return "".join(axis for axis in self.first if axis not in self.second)

    @property
    def columns(self) -> str:
        """In the second operand and the result."""
        return "".join(axis for axis in self.second if axis not in self.first)

    @property
    def plain(self) -> bool:
        """Whether no axis is doubled, and none of one operand alone is summed."""
        doubled = any(len(set(axes)) != len(axes) for axes in (self.first, self.second, self.result))
        return not doubled and set(self.result) == set(self.both + self.rows + self.columns)


def einsum(builder: Builder, step: Step) -> Any:
    """Sum of products over named axes, as axes moved, one matrix product, and axes moved back.

    `tf.einsum` itself cannot be kept in a `.keras` file: Keras 2 saves only the first of its operands.
    """
    found = _TWO_OPERANDS.fullmatch(step.operation.subscripts.replace(" ", ""))
    operands = [typed(builder, step, value, narrow(step.outputs[0].dtype)) for value in step.args]
    if len(operands) == 2 and found:
        first, second, result = found.groups()
        labels = _Labels(first, second, result) if is_tensor(operands[0]) else _Labels(second, first, result)
        if labels.plain and is_tensor(max(operands, key=is_tensor)):
            return _contracted(builder, step, labels, sorted(operands, key=lambda value: not is_tensor(value)))
    raise refusal(step.operation, step.name, f"computes '{step.operation.subscripts}'", "use matmul and transpose",
                  "two operands, axes named once each, none of one operand alone summed")


def _contracted(builder: Builder, step: Step, labels: _Labels, operands: Sequence[Any]) -> Any:
    """The product of two operands; the first is a tensor."""
    import tensorflow as tf

    first, second = operands
    sizes = dict(zip(labels.second, second.shape if is_tensor(second) else np.shape(second), strict=True))
    sizes |= dict(zip(labels.first, first.shape, strict=True))
    both = [sizes[axis] for axis in labels.both]
    groups = [_merged(sizes, axes) for axes in (labels.rows, labels.summed, labels.columns)]
    name = step.name
    left = _arranged(builder, f"{name}_rows", first, labels.first, labels.both + labels.rows + labels.summed,
                     [*both, groups[0], groups[1]])
    right = _arranged(builder, f"{name}_columns", second, labels.second, labels.both + labels.summed + labels.columns,
                      [*both, groups[1], groups[2]])
    product = builder.op(tf.linalg.matmul, f"{name}_product", left, b=right)
    axes = labels.both + labels.rows + labels.columns
    product = builder.op(tf.reshape, f"{name}_split", product, shape=[_size(sizes[axis]) for axis in axes])
    return builder.op_as(tf.transpose, name, product, perm=[axes.index(axis) for axis in labels.result])


def _merged(sizes: dict[str, int | None], axes: str) -> int | None:
    """How many values a group of axes has; None if one is unknown."""
    known = [sizes[axis] for axis in axes]
    return None if None in known else int(np.prod([size for size in known if size is not None], dtype=int))


def _size(size: int | None) -> int:
    """A size as `reshape` takes it."""
    return -1 if size is None else size


def _arranged(builder: Builder, name: str, value: Any, before: str, after: str, shape: Sequence[int | None]) -> Any:
    """An operand with its axes in another order, then merged to matrices."""
    import tensorflow as tf

    order = [before.index(axis) for axis in after]
    if not is_tensor(value):
        return np.transpose(np.asarray(value), order).reshape([_size(size) for size in shape]).tolist()
    value = builder.op(tf.transpose, f"{name}_moved", value, perm=order)
    return builder.op(tf.reshape, name, value, shape=[_size(size) for size in shape])
