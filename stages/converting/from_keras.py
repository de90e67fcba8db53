"""From a Keras model to a tflite model, by TFLiteConverter, in the words of its errors that a user can act on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from device_profiles.errors import StageError
from stages.converting.rewriting import without_prefix
from stages.models import qat
from stages.models.arrays import as_mapping, given_inputs
from stages.models.files import load_model
from stages.models.framework import tensorflow_turn
from stages.models.quiet import native_errors_to
from stages.quantizing.options import CALIBRATION_FILE
from stages.variants import QAT_FORMATS

Samples = Callable[[], Iterator[list[Any]]]
KERAS_FORMATS = ("float32", "float16", *QAT_FORMATS)
_NAMED_OPERATOR = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")
_WRAPPER = "quant_"  # TFMOT's, before the name of each layer
_OPEN_BATCH = re.compile(r"element_shape to be static|TensorList")


def convert_keras(source: Path, number_format: str, seed: int, log: Path) -> tuple[bytes, str, str]:
    """(tflite model, tool, warning or "") from a Keras model's artifact.

    A recurrent layer cannot be converted with an open batch: its state would have no fixed size. Then the batch is
    fixed at one.

    Args:
        source: an artifact with `model.keras`; for `int8qat` a quantize artifact.
        number_format: one of `KERAS_FORMATS`.
        seed: of the process state that the converter runs in.
        log: gets the converter's own words.

    Raises:
        StageError: the converter cannot take the model.
        ModelError: the model cannot be read.
    """
    with tensorflow_turn(seed, log), native_errors_to(log):
        import tensorflow as tf

        model = qat.load_qat(source) if number_format in QAT_FORMATS else load_model(source)
        samples = _samples_of(source, model) if number_format in QAT_FORMATS else None
        warning = ""
        try:
            try:
                content = _run(tf.lite.TFLiteConverter.from_keras_model(model), number_format, samples)
            except _converter_errors() as error:
                if not _OPEN_BATCH.search(str(error)):
                    raise
                content = _run(_batch_of_one(model), number_format, samples)
                warning = "its recurrent layers need a fixed batch: the tflite model takes one sample at a time"
        except _converter_errors() as error:
            raise refusal(number_format, error, log, model) from error
    if number_format in QAT_FORMATS:
        content = without_prefix(content, _WRAPPER)
    return content, f"TFLiteConverter {version('tensorflow')}", warning


def _samples_of(source: Path, model: Any) -> Samples | None:
    """The calibration samples of a QAT model with layers that are to be quantized afterwards; None without such."""
    path = source / CALIBRATION_FILE
    if not path.exists():
        return None
    samples = np.load(path, allow_pickle=False)
    given = given_inputs(model, samples.dtype)

    def one_by_one() -> Iterator[list[Any]]:
        """Each sample as the model's inputs in order, (1, *shape) each."""
        for row in range(len(samples)):
            inputs = given(as_mapping(samples[row:row + 1]))
            yield inputs if isinstance(inputs, list) else [inputs]

    return one_by_one


def _run(converter: Any, number_format: str, samples: Samples | None = None) -> bytes:
    """The tflite model of a format.

    A QAT model has its ranges inside; with calibration samples the converter finds those that are missing as well, and
    quantizes what TFMOT had left in float, as far as it can.
    """
    _set_format(converter, number_format)
    if samples is not None:
        converter.representative_dataset = samples
    return bytes(converter.convert())


def _batch_of_one(model: Any) -> Any:
    """A converter of the model with its batch axis fixed at one; inputs and outputs keep their names."""
    import tensorflow as tf

    specs = {name: tf.TensorSpec([1, *tensor.shape[1:]], tensor.dtype, name=name)
             for name, tensor in zip(model.input_names, model.inputs, strict=True)}

    def serve(inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The model by names."""
        outputs = tf.nest.flatten(model([inputs[name] for name in model.input_names]))
        return dict(zip(model.output_names, outputs, strict=True))

    return tf.lite.TFLiteConverter.from_concrete_functions([tf.function(serve).get_concrete_function(specs)], model)


def _set_format(converter: Any, number_format: str) -> None:
    """Tell the converter what to make."""
    import tensorflow as tf

    if number_format == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if number_format == "float16":
        converter.target_spec.supported_types = [tf.float16]
    else:  # the ranges are in the model; layers that had to stay in float keep float operators
        converter.inference_input_type = converter.inference_output_type = tf.int8


def _converter_errors() -> tuple[type[Exception], ...]:
    """What TFLiteConverter raises on a model that it cannot take."""
    from tensorflow.lite.python.convert_phase import ConverterError

    return (ConverterError, ValueError, RuntimeError, TypeError, KeyError, NotImplementedError)


def refusal(number_format: str, error: Exception, log: Path, model: Any = None) -> StageError:
    """One sentence that names the operator and the layer where that can be told; the whole text goes to the log."""
    text = str(error)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{type(error).__name__}: {text}\n")
    named = _NAMED_OPERATOR.search(text)
    if named is None:
        first_line = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
        found = f"cannot convert to {number_format}: {first_line[:200]}"
        return StageError(found, "", f"the whole message is in {log}")
    layer = _layer_with(model, named[1])
    where = f" in the layer '{layer}'" if layer else ""
    return StageError(f"cannot convert to {number_format}: TFLite has no operator for tf.{named[1]}{where}",
                      "operators that TFLite has as built-ins", f"replace the layer; the whole message is in {log}")


def _layer_with(model: Any, operator: str) -> str:
    """Name of the first layer whose graph holds a TensorFlow operator, or an empty string.

    The converter's message has no layer in it: its locations are lost when functions are inlined.
    """
    import tensorflow as tf
    import tf_keras as keras

    for layer in model.layers if model is not None else ():
        if isinstance(layer, keras.layers.InputLayer):
            continue
        inputs = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), layer.input)
        graph = tf.function(layer.__call__).get_concrete_function(inputs).graph
        if any(node.type == operator for node in graph.get_operations()):
            return str(layer.name)
    return ""
