"""Samples and labels on their way into TensorFlow: an array, or a mapping of arrays where there are several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import ModelError
from stages.tasks.matching import match, model_inputs, shapes_text

Array = NDArray[Any]


def as_mapping(values: Array) -> Array | dict[str, Array]:
    """A structured array as a mapping from field to array; any other as it is.  # (samples, *shape)."""
    if values.dtype.names is None:
        return values
    return {name: np.ascontiguousarray(values[name]) for name in values.dtype.names}


def tensor_specs(values: Any, leading: int) -> Any:
    """What `tf.function` is told of `as_mapping(values)`.

    Args:
        values: anything with the `shape` and `dtype` of an array; the first axis is the samples'.
        leading: open axes before a sample's own.
    """
    import tensorflow as tf

    lead = (None,) * leading
    if values.dtype.names is None:
        return tf.TensorSpec((*lead, *values.shape[1:]), tf.as_dtype(values.dtype))
    fields = {name: values.dtype[name] for name in values.dtype.names}
    return {name: tf.TensorSpec((*lead, *field.shape), tf.as_dtype(field.base)) for name, field in fields.items()}


def given_inputs(model: Any, dtype: np.dtype[Any]) -> Callable[[Any], Any]:
    """What turns samples (a tensor, or a mapping from the data's names) into what the model is called with.

    Args:
        model: a `tf_keras.Model`.
        dtype: of the samples; structured for several inputs.

    Raises:
        ModelError: the data's inputs are not the model's.
    """
    if dtype.names is None:
        return lambda x: x
    fields = {name: dtype[name].shape for name in dtype.names}
    inputs = model_inputs(model)
    pairs = match(inputs, fields)
    if pairs is None:
        raise ModelError(f"the samples have the parts {shapes_text(fields)}", shapes_text(inputs),
                         "name the data's inputs as the model's")
    order = [pairs[name] for name in inputs]
    return lambda x: [x[name] for name in order] if len(order) > 1 else x[order[0]]


def named_outputs(model: Any, outputs: Any) -> Any:
    """A model's outputs by name where it has several; the tensor itself where it has one."""
    if isinstance(outputs, list | tuple):
        return dict(zip(model.output_names, outputs, strict=True))
    return outputs
