"""Change what a tflite model shows: its signature, the types of its inputs and outputs, operators in front and behind.

What is between stays byte for byte. A model is read into the objects of the schema's own generated classes, changed
there, and written again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_profiles.tflite import DTYPES
from stages.engines.signature import DEFAULT_SIGNATURE, Names, read_names
from stages.records import Normalization

IoType = Literal["float32", "int8", "uint8"]

_TYPES = {name: number for number, (name, _) in DTYPES.items()}
_VERSIONS = {"QUANTIZE": 1, "DEQUANTIZE": 2, "MUL": 1, "ADD": 1}  # with DEQUANTIZE's int8 since 2
_INT16_VERSIONS = {"QUANTIZE": 2, "DEQUANTIZE": 3}


def with_signature(content: bytes) -> bytes:
    """The model with a signature that names every input and output; as it is where it has one.

    litert-quantizer works on signatures alone, and converters before 2021 wrote none.
    """
    names = read_names(content)
    if names.signature:
        return content
    surface = Surface(content)
    surface.sign(names)
    return surface.content()


def without_prefix(content: bytes, prefix: str) -> bytes:
    """The model with its signatures' names less a prefix, such as a wrapper around Keras layers puts before them."""
    surface = Surface(content)
    return surface.content() if surface.strip(prefix) else content


class Surface:
    """The inputs and outputs of a tflite model's main graph, and the operators next to them.

    Args:
        content: a whole tflite model.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.tools import flatbuffer_utils

        self._model: Any = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
        self._graph: Any = self._model.subgraphs[0]
        self.names = read_names(content)

    def content(self) -> bytes:
        """The model's bytes."""
        from ai_edge_litert.tools import flatbuffer_utils

        return bytes(flatbuffer_utils.convert_object_to_bytearray(self._model))

    def sign(self, names: Names) -> None:
        """Give the main graph a signature."""
        from ai_edge_litert import schema_py_generated as schema

        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = DEFAULT_SIGNATURE, 0
        signature.inputs = [_mapped(name, index) for name, index in zip(names.inputs, self._graph.inputs, strict=True)]
        signature.outputs = [_mapped(name, index)
                             for name, index in zip(names.outputs, self._graph.outputs, strict=True)]
        self._model.signatureDefs = [signature]

    def strip(self, prefix: str) -> bool:
        """Take a prefix off the names in every signature; whether there was one."""
        entries = [entry for signature in self._model.signatureDefs or ()
                   for entry in (*(signature.inputs or ()), *(signature.outputs or ()))
                   if entry.name.startswith(prefix.encode())]
        for entry in entries:
            entry.name = entry.name.removeprefix(prefix.encode())
        return bool(entries)

    def input_type(self, position: int) -> str:
        """Type of an input: "float32", "int8", ..."""
        return DTYPES[self._tensor(self._graph.inputs[position]).type][0]

    def output_type(self, position: int) -> str:
        """The same of an output."""
        return DTYPES[self._tensor(self._graph.outputs[position]).type][0]

    def input_tensor(self, position: int) -> str:
        """Name of an input's tensor, which calibration knows it by."""
        return str(self._tensor(self._graph.inputs[position]).name.decode())

    def quantization(self, position: int) -> tuple[float, int]:
        """(scale, zero point) of an input; (0.0, 0) where it is not quantized."""
        found = self._tensor(self._graph.inputs[position]).quantization
        if found is None or found.scale is None or not len(found.scale):
            return 0.0, 0
        return float(found.scale[0]), int(found.zeroPoint[0])

    def put_before(self, position: int, operator: str, kind: str, scale: float = 0.0, zero_point: int = 0) -> None:
        """A new input of type `kind`, and an operator without constants that turns it into the old one."""
        old = self._graph.inputs[position]
        new = self._renamed_copy(old, operator, kind, scale, zero_point)
        self._add_operator(operator, [new], old, first=True, kinds=(kind, DTYPES[self._tensor(old).type][0]))
        self._move(self._graph.inputs, "inputs", position, new)

    def scale_before(self, position: int, normalization: Normalization) -> None:
        """A new float32 input x in front of the old one, `(x - offset) / scale`, as a MUL and an ADD.

        The equation: x * (1 / scale) + (-offset / scale), over the last axis.
        """
        scale = np.array(normalization.scale, np.float64)
        offset = np.array(normalization.offset, np.float64)
        old = self._graph.inputs[position]
        middle = self._renamed_copy(old, "ADD", "float32")
        self._add_operator("ADD", [middle, self._constant(f"offset of input {position}", -offset / scale)], old,
                           first=True)
        new = self._renamed_copy(middle, "MUL", "float32")
        self._add_operator("MUL", [new, self._constant(f"scale of input {position}", 1 / scale)], middle, first=True)
        self._move(self._graph.inputs, "inputs", position, new)

    def put_behind(self, position: int, operator: str, kind: str, scale: float = 0.0, zero_point: int = 0) -> None:
        """An operator without constants that turns an output into a new one of type `kind`."""
        old = self._graph.outputs[position]
        new = self._renamed_copy(old, operator, kind, scale, zero_point)
        self._add_operator(operator, [old], new, first=False, kinds=(DTYPES[self._tensor(old).type][0], kind))
        self._move(self._graph.outputs, "outputs", position, new)

    def output_quantization(self, position: int) -> tuple[float, int]:
        """(scale, zero point) of an output, which must be quantized."""
        found = self._tensor(self._graph.outputs[position]).quantization
        return float(found.scale[0]), int(found.zeroPoint[0])

    # -- objects of the schema -------------------------------------------------------------------------------------

    def _tensor(self, index: int) -> Any:
        return self._graph.tensors[index]

    def _renamed_copy(self, index: int, operator: str, kind: str, scale: float = 0.0, zero_point: int = 0) -> int:
        """A new tensor with the shape and name of another, which is renamed after the operator between the two."""
        from ai_edge_litert import schema_py_generated as schema

        old, new = self._tensor(index), schema.TensorT()
        new.name, old.name = old.name, old.name + f"/{operator.lower()}".encode()
        new.shape, new.shapeSignature, new.hasRank = list(old.shape), old.shapeSignature, True
        new.type, new.buffer = _TYPES[kind], 0
        new.quantization = schema.QuantizationParametersT()
        if scale:
            new.quantization.scale, new.quantization.zeroPoint = [scale], [zero_point]
        self._graph.tensors.append(new)
        return len(self._graph.tensors) - 1

    def _constant(self, name: str, values: NDArray[np.float64]) -> int:
        """A new float32 constant: one value, or one a channel."""
        from ai_edge_litert import schema_py_generated as schema

        buffer, tensor = schema.BufferT(), schema.TensorT()
        buffer.data = np.frombuffer(values.astype("<f4").tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        tensor.name, tensor.shape, tensor.hasRank = name.encode(), [len(values)], True
        tensor.type, tensor.buffer = _TYPES["float32"], len(self._model.buffers) - 1
        tensor.quantization = schema.QuantizationParametersT()
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _add_operator(self, name: str, inputs: Sequence[int], output: int, *, first: bool,
                      kinds: Sequence[str] = ()) -> None:
        """An operator before all others, or behind them."""
        from ai_edge_litert import schema_py_generated as schema

        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(name, _INT16_VERSIONS.get(name, 1) if "int16" in kinds else _VERSIONS[name])
        operator.inputs, operator.outputs = list(inputs), [output]
        options = f"{name.capitalize()}Options"
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        operator.builtinOptions = getattr(schema, f"{options}T")()
        self._graph.operators.insert(0 if first else len(self._graph.operators), operator)

    def _code(self, name: str, version: int) -> int:
        """Index of an operator code, added where the model does not have it."""
        from ai_edge_litert import schema_py_generated as schema

        number = getattr(schema.BuiltinOperator, name)
        for index, code in enumerate(self._model.operatorCodes):
            if max(code.builtinCode, code.deprecatedBuiltinCode) == number and code.version >= version:
                return index
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
        self._model.operatorCodes.append(code)
        return len(self._model.operatorCodes) - 1

    def _move(self, tensors: list[int], side: str, position: int, new: int) -> None:
        """Let an input or output, and its name in every signature, be another tensor."""
        old, tensors[position] = tensors[position], new
        for signature in self._model.signatureDefs or ():
            for entry in getattr(signature, side) or () if signature.subgraphIndex == 0 else ():
                if entry.tensorIndex == old:
                    entry.tensorIndex = new


def scaled_in_front(content: bytes, normalizations: Mapping[int, Normalization]) -> bytes:
    """The model with `(x - offset) / scale` in front of some of its float32 inputs, by position."""
    if not normalizations:
        return content
    surface = Surface(content)
    for position, normalization in normalizations.items():
        surface.scale_before(position, normalization)
    return surface.content()


def _mapped(name: str, index: int) -> Any:
    """An entry of a signature."""
    from ai_edge_litert import schema_py_generated as schema

    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), index
    return entry
