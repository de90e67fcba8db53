"""Make a tflite model: by TFLiteConverter from a Keras model, or by litert-quantizer from a float32 tflite model.

Which tool serves which format was measured; docs/formats.md has the figures. The batch axis stays open (its signature
is -1), so an engine can run any number of samples at once; the operators hold no shape arithmetic, so a
microcontroller's runtime takes the model as it is, with batch 1.
"""

from __future__ import annotations

import hashlib
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError, StoreError
from device_profiles.records import Record
from device_profiles.tflite import read_tflite
from stages.artifacts import TFLITE_FILE
from stages.context import StageContext
from stages.models import qat
from stages.models.files import load_model
from stages.models.framework import tensorflow_turn
from stages.models.quiet import native_errors_to
from stages.quantize import CALIBRATION_FILE, RECIPE_FILE
from stages.recipes import Rules
from stages.records import ConvertResult
from stages.variants import CALIBRATED_FORMATS, FORMATS, QAT_FORMATS

NAME = "convert"
VERSION = 1
LIBRARIES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "litert-quantizer", "ai-edge-litert", "numpy")

SOURCE: dict[str, Literal["keras", "tflite"]] = {
    "float32": "keras",
    "float16": "keras",
    "dynamic": "tflite",
    "int8": "tflite",
    "int8qat": "keras",
    "int16x8": "tflite",
}
"""What a format is made from: a Keras model's artifact, or the float32 tflite model of the same Keras model."""

_NAMED_OPERATOR = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")


CALIBRATION_BATCH = 16  # all intermediate tensors of a batch are held at once


class Settings(Record):
    """The formats have nothing to set beyond their names."""


class Options(Settings):
    """Settings and what the plan fills in.

    Attributes:
        format: the number format.
        seed: of the process state that the converter runs in.
    """

    format: str = "float32"
    seed: int = 0


def run(*, source: Path, options: Options, context: StageContext, recipe: Path | None = None) -> ConvertResult:
    """Write `model.tflite`.

    Args:
        source: what `SOURCE` says for the format; for `int8qat` a quantize artifact.
        options: see `Options`.
        context: where to write; `log` gets the converter's own words.
        recipe: the quantize artifact of a post-training format; float32 and `int8qat` need none.

    Raises:
        StageError: no such format, no recipe, or a model that the converter cannot take.
        ModelError: the Keras model cannot be read.
        StoreError: the tflite model or the recipe cannot be read.
        TfliteError: the source is not a whole tflite model.
    """
    if options.format not in SOURCE:
        raise StageError(f"nothing converts to the format '{options.format}'", ", ".join(SOURCE), "litesmith variants")
    context.progress(0, 1, f"converting to {options.format}")
    if SOURCE[options.format] == "tflite":
        content, tool = _quantize_tflite(source, recipe, options.format, context.log)
    else:
        content, tool = _convert_keras(source, options, context.log)
    (context.out / TFLITE_FILE).write_bytes(content)
    context.progress(1, 1, "done")
    return ConvertResult(summary=f"{len(content):,} bytes, {FORMATS[options.format]}", format=options.format,
                         converter=tool, tflite_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _convert_keras(source: Path, options: Options, log: Path) -> tuple[bytes, str]:
    """(tflite model, tool) from a Keras model's artifact."""
    with tensorflow_turn(options.seed, log), native_errors_to(log):
        import tensorflow as tf

        model = qat.load_qat(source) if options.format in QAT_FORMATS else load_model(source)
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        _set_format(converter, options.format)
        try:
            content = bytes(converter.convert())
        except _converter_errors() as error:
            raise _refusal(options.format, error, log, model) from error
    return content, f"TFLiteConverter {version('tensorflow')}"


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


def _quantize_tflite(source: Path, recipe: Path | None, number_format: str, log: Path) -> tuple[bytes, str]:
    """(tflite model, tool) from the float32 tflite model, by litert-quantizer; loads no TensorFlow."""
    from litert_quantizer import quantizer

    rules, samples = _read_recipe(recipe, number_format)
    content = _read_tflite(source)
    with native_errors_to(log):
        try:
            work = quantizer.Quantizer(bytearray(content))
            work.load_quantization_recipe(rules)
            ranges = _calibrate(work, content, samples) if work.need_calibration else None
            done = work.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
        except (ValueError, RuntimeError, KeyError, TypeError, NotImplementedError) as error:
            raise _refusal(number_format, error, log) from error
    return bytes(done.quantized_model), f"litert-quantizer {version('litert-quantizer')}"


def _calibrate(work: Any, content: bytes, samples: NDArray[np.float32]) -> dict[str, Any]:
    """Smallest and largest value of every tensor over all calibration samples.

    litert-quantizer 0.11 lets its ranges follow the samples as `range = 0.95 range + 0.05 sample_range`, which ends
    near the mean of the samples' extremes and cuts off the rest (docs/formats.md has what that costs). So each batch is
    calibrated on its own, and the extremes are taken here. One thread: the ranges must not depend on how many cores
    this host has.
    """
    from ai_edge_litert.interpreter import Interpreter

    (signature, names), = Interpreter(model_content=content).get_signature_list().items()
    ranges: dict[str, Any] = {}
    for start in range(0, len(samples), CALIBRATION_BATCH):
        batch = {names["inputs"][0]: samples[start:start + CALIBRATION_BATCH]}  # (batch, height, width, channels)
        for tensor, found in work.calibrate({signature: [batch]}, num_threads=1).items():
            known = ranges.setdefault(tensor, dict(found))
            for end, extreme in (("min", np.minimum), ("max", np.maximum)):
                if end in found:
                    known[end] = extreme(known[end], found[end])
    return ranges


def _read_recipe(recipe: Path | None, number_format: str) -> tuple[Rules, NDArray[np.float32]]:
    """Rules and calibration samples (samples, height, width, channels) of a quantize artifact."""
    if recipe is None:
        raise StageError(f"the format {number_format} needs a recipe", "a quantize artifact", "litesmith quantize")
    samples = np.empty(0, np.float32)
    try:
        found = json.loads((recipe / RECIPE_FILE).read_text("utf-8"))
        name, rules = str(found["format"]), list(found["rules"])
        if name == number_format and number_format in CALIBRATED_FORMATS:
            samples = np.load(recipe / CALIBRATION_FILE, allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise StoreError(f"{recipe} holds no whole recipe: {error}", "", "litesmith quantize") from error
    if name != number_format:
        raise StageError(f"the recipe in {recipe} is for {name}", number_format, "litesmith quantize")
    return rules, samples


def _read_tflite(source: Path) -> bytes:
    """The float32 tflite model of a convert artifact.

    Raises:
        StoreError: the file cannot be read.
        TfliteError: it is not a whole tflite model.
    """
    try:
        content = (source / TFLITE_FILE).read_bytes()
    except OSError as error:
        raise StoreError(f"{source / TFLITE_FILE} cannot be read: {error.strerror}", "", "litesmith convert") from error
    read_tflite(content)
    return content


def _converter_errors() -> tuple[type[Exception], ...]:
    """What TFLiteConverter raises on a model that it cannot take."""
    from tensorflow.lite.python.convert_phase import ConverterError

    return (ConverterError, ValueError, RuntimeError, TypeError, KeyError, NotImplementedError)


def _refusal(number_format: str, error: Exception, log: Path, model: Any = None) -> StageError:
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
