"""What the device feeds and reads: the types of inputs and outputs, and preprocessing that is folded into the model.

A byte from a camera needs no arithmetic where the normalization is one offset and one scale: with the input's
quantization set to `scale = 1 / scale, zero_point = offset`, the byte is the quantized value, as
`(byte - offset) / scale = input_scale * (byte - input_zero_point)`. Other normalizations become a MUL and an ADD.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from device_profiles.tflite import read_tflite
from stages.converting.ranges import Ranges
from stages.converting.rewriting import Surface
from stages.datasets.prepared import Preprocessing
from stages.engines.inputs import match
from stages.engines.signature import read_names
from stages.records import Normalization, TensorSpec

Fold = Literal["", "quantization", "operators"]
Wish = Literal["auto", "float32", "int8", "uint8"]

INTEGER_FORMATS = ("int8", "int8qat", "int4")
SCALED_IN_FLOAT = ("int8qat", "int16x8")
"""Formats whose MUL and ADD stay in float32, before a QUANTIZE: a QAT model is quantized already when it is converted,
and litert's 16-bit ADD takes scales that are powers of two alone."""

_STEPS_APART = 1e-3


@dataclass(frozen=True)
class Input:
    """What is to become of one input.

    Attributes:
        name: in the model's signature.
        wanted: the type that the device feeds; "" leaves what the format gives.
        fold: how its normalization gets into the model; "" leaves it outside.
        spec: of the data behind it; None where nobody said.
        field: what the data calls it.
    """

    name: str
    wanted: str
    fold: Fold
    spec: TensorSpec | None
    field: str = ""

    @property
    def scalar(self) -> tuple[float, float]:
        """(offset, scale) of a normalization that has one of each."""
        spec = self.spec or TensorSpec(shape=(), dtype="float32")
        return spec.normalization.offset[0], spec.normalization.scale[0]


def plan_inputs(content: bytes, preprocessing: Preprocessing | None, number_format: str, wish: Wish,
                fold: bool) -> list[Input]:
    """What is to become of each input, in the model's order.

    Args:
        content: the model before any change.
        preprocessing: of the data; needed for folding alone.
        number_format: of the variant.
        wish: `convert.input_type`; float formats keep float32.
        fold: `convert.fold_preprocessing`.

    Raises:
        StageError: the data's inputs do not fit the model.
    """
    names = read_names(content).inputs
    if preprocessing is None or not fold:
        return [Input(name, _unfolded_type(number_format, wish), "", None) for name in names]
    graph = read_tflite(content).graphs[0]
    tensors = [graph.tensors[index] for index in graph.inputs]
    fields = match("the model", names, [each.shape[1:] for each in tensors],
                   {name: spec.shape for name, spec in preprocessing.inputs.items()},
                   [[axis for axis, size in enumerate(each.shape_signature) if size == -1] for each in tensors])
    return [replace(_folded(name, preprocessing.inputs[field], number_format, wish), field=field)
            for name, field in zip(names, fields, strict=True)]


def operators_in_front(inputs: Sequence[Input], number_format: str) -> dict[int, Normalization]:
    """By position, the normalizations that become operators before the model is quantized."""
    if number_format in SCALED_IN_FLOAT:
        return {}
    return {position: each.spec.normalization for position, each in enumerate(inputs)
            if each.fold == "operators" and each.spec}


def fix_ranges(ranges: Ranges, content: bytes, inputs: Sequence[Input]) -> None:
    """Let the ranges of inputs that are fed bytes span all 256 of them, whatever the calibration samples had."""
    surface = Surface(content)
    for position, each in enumerate(inputs):
        found = ranges.get(surface.input_tensor(position))
        if not each.fold or found is None or each.spec is None or each.spec.dtype != "uint8":
            continue
        offset, scale = each.scalar if each.fold == "quantization" else (0.0, 1.0)
        shape = np.shape(found["min"])
        found["min"] = np.full(shape, (0 - round(offset)) / scale, np.float32)
        found["max"] = np.full(shape, (255 - round(offset)) / scale, np.float32)


def change_surface(content: bytes, inputs: Sequence[Input], number_format: str, output_wish: Wish) -> bytes:
    """The finished model: operators between what the device feeds and reads, and what the format has."""
    surface = Surface(content)
    before = surface.content()
    for position, each in enumerate(inputs):
        _change_input(surface, position, each, number_format)
    for position in range(len(surface.names.outputs)):
        _change_output(surface, position, output_wish)
    changed = surface.content()
    return content if changed == before else changed


def rounding_warnings(inputs: Sequence[Input]) -> tuple[str, ...]:
    """A sentence for each input whose offset is no whole number, so that bytes are shifted by part of a step."""
    found = []
    for each in inputs:
        offset = each.scalar[0]
        if each.fold == "quantization" and offset != round(offset):
            found.append(f"input '{each.name}': its preprocessing subtracts {offset:g}; folded into the quantization "
                         f"it subtracts {round(offset)}, which shifts every input by {abs(offset - round(offset)):g} "
                         "of a step of 1/255")
    return tuple(found)


def surface_of(content: bytes) -> Mapping[str, object]:
    """The fields of a `ConvertResult` that tell what the device feeds and reads."""
    graph, names = read_tflite(content).graphs[0], read_names(content)
    inputs = [graph.tensors[index] for index in graph.inputs]
    outputs = [graph.tensors[index] for index in graph.outputs]
    return {"signature": names.signature,
            "input_types": {name: each.dtype for name, each in zip(names.inputs, inputs, strict=True)},
            "output_types": {name: each.dtype for name, each in zip(names.outputs, outputs, strict=True)},
            "input_shapes": {name: each.shape_signature[1:] for name, each in zip(names.inputs, inputs, strict=True)}}


# -- one input or output -------------------------------------------------------------------------------------------


def _unfolded_type(number_format: str, wish: Wish) -> str:
    """The type that an input gets without folding: integer formats take every wish, int16x8 float32 alone.

    Of a mixed model's inputs, those in int8 take every wish, those in float32 stay so.
    """
    if number_format == "mixed":
        return "" if wish == "auto" else wish
    if wish == "auto" or (number_format not in INTEGER_FORMATS and (number_format, wish) != ("int16x8", "float32")):
        return ""
    return wish


def _folded(name: str, spec: TensorSpec, number_format: str, wish: Wish) -> Input:
    """How an input's normalization gets into the model."""
    wanted, steps = _folded_type(spec, number_format, wish), spec.normalization
    offset, scale = steps.offset[0], steps.scale[0]
    one_each = len(set(steps.offset)) == len(set(steps.scale)) == 1
    takes_bytes = spec.dtype == "uint8" and wanted in ("uint8", "int8")
    if one_each and (offset, scale) == (0.0, 1.0) and not takes_bytes:
        return Input(name, wanted, "", spec)
    is_byte = one_each and scale > 0 and 0 <= round(offset) <= 255
    if takes_bytes and is_byte and (number_format in INTEGER_FORMATS or offset == round(offset)):
        return Input(name, wanted, "quantization", spec)
    return Input(name, wanted, "operators", spec)


def _folded_type(spec: TensorSpec, number_format: str, wish: Wish) -> str:
    """The type that an input gets with folding: what is stored, unless the format takes what the user wishes."""
    if wish == "auto":
        return "uint8" if spec.dtype == "uint8" else ""
    if number_format in INTEGER_FORMATS or wish == "float32" or (wish, spec.dtype) == ("uint8", "uint8"):
        return wish
    return ""


def _change_input(surface: Surface, position: int, each: Input, number_format: str) -> None:
    """Put operators in front of one input."""
    if each.fold == "operators" and number_format in SCALED_IN_FLOAT and each.spec:
        surface.put_before(position, "QUANTIZE", "float32")
        surface.scale_before(position, each.spec.normalization)
    core = surface.input_type(position)
    if each.fold == "quantization":
        _feed_bytes(surface, position, each, core)
    elif core == "int8" and each.wanted == "uint8":
        scale, zero_point = surface.quantization(position)
        surface.put_before(position, "QUANTIZE", "uint8", scale, zero_point + 128)
    elif core in ("int8", "int16") and each.wanted == "float32":
        surface.put_before(position, "QUANTIZE", "float32")
    elif core == "float32" and each.spec and each.wanted in ("uint8", "int8"):  # TFLM's CAST takes no bytes
        surface.put_before(position, "DEQUANTIZE", each.wanted, 1.0, 0 if each.wanted == "uint8" else -128)


def _feed_bytes(surface: Surface, position: int, each: Input, core: str) -> None:
    """Let the byte be the quantized value; for an int8 core whose range is that of the bytes, it is so already."""
    offset, scale = each.scalar
    step, zero_point = 1 / scale, round(offset)
    if core == "int8":
        has_step, has_zero_point = surface.quantization(position)
        same = has_zero_point == zero_point - 128 and abs(has_step / step - 1) < _STEPS_APART / 255
        step = has_step if same else step
        if same and each.wanted == "int8":
            return
        shift = 128 if each.wanted == "int8" else 0
        surface.put_before(position, "QUANTIZE", each.wanted, step, zero_point - shift)
        return
    if core == "int16":
        surface.put_before(position, "QUANTIZE", "float32")
    surface.put_before(position, "DEQUANTIZE", each.wanted, step, zero_point)


def _change_output(surface: Surface, position: int, wish: Wish) -> None:
    """Put an operator behind one output; outputs that the format left in float32 stay so."""
    core = surface.output_type(position)
    if wish in ("auto", core):
        return
    if wish == "float32" and core in ("int8", "int16"):
        surface.put_behind(position, "DEQUANTIZE", "float32")
    elif wish == "uint8" and core == "int8":
        scale, zero_point = surface.output_quantization(position)
        surface.put_behind(position, "QUANTIZE", "uint8", scale, zero_point + 128)
