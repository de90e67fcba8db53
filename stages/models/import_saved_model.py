"""A SavedModel as a float32 tflite model, and how far the two agree; runs in the import worker alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import ModelError
from stages.models.importing import ImportProof
from stages.models.untrusted.saved_model import written_by

DEFAULT_SIGNATURE = "serving_default"
Array = NDArray[Any]
Shape = tuple[int | None, ...]
Draw = Callable[[dict[str, tuple[Any, Any]]], tuple[dict[str, Array], str]]


@dataclass(frozen=True)
class Converted:
    """A tflite model, the shapes of the signature it was made from, and the proof."""

    tflite: bytes
    inputs: dict[str, Shape]
    outputs: dict[str, Shape]
    proof: ImportProof
    library: str


def convert(folder: Path, text: str, draw: Draw) -> Converted:
    """Convert a SavedModel's serving signature; an open batch axis stays open.

    Args:
        folder: of the SavedModel.
        text: what the user calls it.
        draw: gives samples by input name from (shape, dtype) by input name, and says what they are.

    Raises:
        ModelError: no signature, several without a default one, or operators that a tflite model does not have.
    """
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    key = _signature(text, list(loaded.signatures))
    signature = loaded.signatures[key]
    specs = dict(signature.structured_input_signature[1])
    outputs = {name: _shape(spec.shape) for name, spec in signature.structured_outputs.items()}
    samples, on = draw({name: (_shape(spec.shape), spec.dtype) for name, spec in specs.items()})
    tflite = _tflite(folder, text, key)
    proof = _prove(signature, tflite, key, samples, on, {name: _shape(spec.shape) for name, spec in specs.items()})
    return Converted(tflite=tflite, inputs={name: _shape(spec.shape) for name, spec in specs.items()},
                     outputs=outputs, proof=proof, library=written_by(folder))


def _signature(text: str, keys: list[str]) -> str:
    """The signature to convert: the default one, or the only one."""
    if DEFAULT_SIGNATURE in keys:
        return DEFAULT_SIGNATURE
    if len(keys) == 1:
        return keys[0]
    found = f"the signatures {', '.join(sorted(keys))}" if keys else "no signature"
    raise ModelError(f"{text} has {found}", f"a signature called {DEFAULT_SIGNATURE}, or a single one",
                     "save it with tf.saved_model.save(model, folder, signatures={'serving_default': ...})")


def _shape(shape: Any) -> Shape:
    """A framework's shape as a tuple.

    Raises:
        ModelError: the number of axes is not known.
    """
    if shape.rank is None:
        raise ModelError("an input or output of the signature has no known number of axes", "",
                         "save the model with an input signature")
    return tuple(shape.as_list())


def _tflite(folder: Path, text: str, key: str) -> bytes:
    """The converter's float32 model."""
    import tensorflow as tf
    from tensorflow.lite.python.convert import ConverterError

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[key])
    try:
        return bytes(converter.convert())
    except ConverterError as error:
        lines = [line.strip() for line in str(error).splitlines() if "ops:" in line or "error:" in line]
        reason = lines[-1] if lines else str(error).strip().split("\n", 1)[0]
        raise ModelError(f"{text} cannot become a tflite model: {reason}",
                         "operators that TFLite has built in") from error


def _prove(signature: Any, tflite: bytes, key: str, samples: dict[str, Array], on: str,
           shapes: dict[str, Shape]) -> ImportProof:
    """Run both on the same samples, in the batches that the signature takes."""
    import tensorflow as tf

    runner = tf.lite.Interpreter(model_content=tflite).get_signature_runner(key)
    count = len(next(iter(samples.values())))
    fixed = next((shape[0] for shape in shapes.values() if shape), None)
    batch = fixed or count
    largest, scale = 0.0, 1.0
    for start in range(0, count - batch + 1, batch):
        part = {name: array[start:start + batch] for name, array in samples.items()}
        wanted = signature(**{name: tf.constant(array) for name, array in part.items()})
        found = runner(**part)
        for name, tensor in wanted.items():
            value = tensor.numpy().astype(np.float64)
            largest = max(largest, float(np.abs(value - found[name]).max(initial=0.0)))
            scale = max(scale, float(np.abs(value).max(initial=0.0)))
    return ImportProof(largest_difference=largest, scale=scale, samples=count - count % batch, on=on)
