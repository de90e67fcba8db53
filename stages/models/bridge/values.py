"""What an operation is given: which arguments are tensors, which are constants, and in what type."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import numpy as np

from stages.models.bridge.builder import Builder
from stages.models.bridge.graph import Step


def arguments(step: Step) -> dict[str, Any]:
    """A step's arguments by name, in the order of the operation's signature."""
    return dict(inspect.signature(step.operation.call).bind(*step.args, **step.kwargs).arguments)


def is_tensor(value: Any) -> bool:
    """Whether a value is a symbolic tensor of `tf_keras`."""
    from tf_keras.src.engine.keras_tensor import KerasTensor

    return isinstance(value, KerasTensor)


def constant(value: Any) -> Any:
    """A constant as plain Python numbers and lists, which can be saved in a model's configuration."""
    import keras

    if value is None or isinstance(value, bool | int | float):
        return value
    array = np.asarray(keras.ops.convert_to_numpy(value))
    return array.tolist()


def typed(builder: Builder, step: Step, value: Any, dtype: str) -> Any:
    """An argument in a type: tensors are cast where they have another, constants are made plain.

    Args:
        builder: makes the cast.
        step: whose argument it is.
        value: a tensor or constant.
        dtype: the type that Keras 3 promotes to.
    """
    if is_tensor(value):
        return value if value.dtype.name == dtype else builder.cast(value, dtype, f"{step.name}_cast")
    plain = np.asarray(constant(value))
    return plain.astype(dtype).tolist()


def tensor_first(values: Iterable[Any]) -> list[Any]:
    """Two operands whose order does not matter, the tensor first."""
    return sorted(values, key=lambda value: not is_tensor(value))
