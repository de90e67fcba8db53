"""Which tensor of a model is which of the data: by name, or by shape where that leaves no choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.errors import DataError, ModelError, StageError
from stages.datasets.rows import slices
from stages.records import TensorSpec

Array = npt.NDArray[Any]
Shape = tuple[int | None, ...]
"""Of one sample, without the batch axis; None: not fixed."""


def match(wanted: Mapping[str, Shape | None], found: Mapping[str, Shape]) -> dict[str, str] | None:
    """Pair the data's names with a model's.

    Args:
        wanted: shape by the data's name; None where it is not known.
        found: shape by the model's name.

    Returns:
        For each of the data's names the model's. A single tensor matches whatever it is called; several match by name,
        or where the names differ by shapes that are all different. None where the two do not fit together.
    """
    if len(wanted) != len(found):
        return None
    if len(wanted) == 1:
        pairs = dict(zip(wanted, found, strict=True))
    elif set(wanted) == set(found):
        pairs = {name: name for name in wanted}
    else:
        return _by_shape(wanted, found)
    return pairs if all(wanted[name] in (None, found[other]) for name, other in pairs.items()) else None


def _by_shape(wanted: Mapping[str, Shape | None], found: Mapping[str, Shape]) -> dict[str, str] | None:
    """Pairs of equal shape, where every shape is there once."""
    names = {shape: name for name, shape in found.items()}
    if len(names) < len(found) or set(wanted.values()) != set(names):
        return None
    return {name: names[shape] for name, shape in wanted.items() if shape is not None}


def model_inputs(model: Any) -> dict[str, Shape]:
    """Shape by input name of a `tf_keras.Model`, in the model's order."""
    return {name: tuple(tensor.shape[1:]) for name, tensor in zip(model.input_names, model.inputs, strict=True)}


def model_outputs(model: Any) -> dict[str, Shape]:
    """Shape by output name of a `tf_keras.Model`, in the model's order."""
    return {name: tuple(tensor.shape[1:]) for name, tensor in zip(model.output_names, model.outputs, strict=True)}


def check_inputs(model: Any, inputs: Mapping[str, TensorSpec]) -> None:
    """Refuse a model that takes other samples than the data has.

    Args:
        model: a `tf_keras.Model`.
        inputs: of the data, by name.

    Raises:
        ModelError: other shapes, another number of inputs, or names that fit nothing.
    """
    wanted: dict[str, Shape | None] = {name: spec.shape for name, spec in inputs.items()}
    found = model_inputs(model)
    if match(wanted, found) is None:
        raise ModelError(f"the model takes inputs of shape {shapes_text(found)}; the samples have the shape "
                         f"{shapes_text(wanted)}", f"inputs of shape {shapes_text(wanted)} (without the batch axis), "
                         "of the same names where there are several", "change the first layer, or the data")


def shapes_text(shapes: Mapping[str, Shape | None]) -> str:
    """`(28, 28, 1)` of a single tensor, `image (32, 32, 3), age (1,)` of several."""
    spelt = {name: "of any length" if shape is None else str(tuple(shape)) for name, shape in shapes.items()}
    if len(spelt) == 1:
        return next(iter(spelt.values()))
    return ", ".join(f"{name} {text}" for name, text in spelt.items())


def arrange(outputs: Mapping[str, Array], wanted: Mapping[str, Shape | None], name: str) -> Array:
    """One array of what an engine gives by tensor name.

    Args:
        outputs: (samples, *shape) float32 by name.
        wanted: shape by output name of the task; None where it is not known.
        name: of the tflite model, for messages.

    Returns:
        The only output, or a structured array with a field for each in the order of `wanted`.

    Raises:
        StageError: another number of outputs, or nothing tells which is which.
    """
    found: dict[str, Shape] = {key: values.shape[1:] for key, values in outputs.items()}
    if len(found) != len(wanted):
        raise StageError(f"{name} has {len(found)} outputs: {', '.join(found)}",
                         f"{len(wanted)}: {', '.join(wanted)}" if len(wanted) > 1 else "1",
                         "write a task for each output under task.outputs in the run file")
    if len(wanted) == 1:
        return next(iter(outputs.values()))
    pairs = match(wanted, found)
    if pairs is None:
        raise StageError(f"{name} has the outputs {shapes_text(found)}", shapes_text(wanted),
                         "give its outputs the names that the run file has, or shapes that are all different")
    return structured({key: outputs[other] for key, other in pairs.items()})


def structured(arrays: Mapping[str, Array]) -> Array:
    """Arrays of as many samples as one structured array with a float32 field for each."""
    dtype = np.dtype([(name, np.float32, values.shape[1:]) for name, values in arrays.items()])
    found = np.empty(len(next(iter(arrays.values()))), dtype)
    for name, values in arrays.items():
        found[name] = values
    return found


def check_finite(outputs: Array, name: str) -> None:
    """Refuse outputs with a NaN or an infinity, with how many samples have one.

    Raises:
        DataError: there are some.
    """
    bad = 0
    for rows in slices(len(outputs), outputs[:1].nbytes):
        part = outputs[rows]
        bad += int((~np.isfinite(part).reshape(len(part), -1).all(axis=1)).sum())
    if bad:
        raise DataError(f"{name} gives NaN or infinity on {bad} of {len(outputs)} samples", "finite outputs",
                        "look for an overflow in the model, or NaN in the data")
