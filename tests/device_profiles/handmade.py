"""tflite models made by hand, tensor by tensor, with the FlatBuffers compiler's own classes: no TensorFlow needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

DTYPES = {np.dtype("float32"): "FLOAT32", np.dtype("float16"): "FLOAT16", np.dtype("int8"): "INT8",
          np.dtype("int16"): "INT16", np.dtype("int32"): "INT32", np.dtype("uint8"): "UINT8",
          np.dtype("int64"): "INT64"}


class Handmade:
    """Collects tensors and operators, then packs them.

    Tensors are named by the index that `activation` and `constant` return.
    """

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes, self.model.buffers = [], [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.model.subgraphs = [self.graph]

    def activation(self, shape: Sequence[int], dtype: str = "FLOAT32", signature: Sequence[int] | None = None,
                   name: str = "") -> int:
        """A tensor without a value."""
        tensor = schema.TensorT()
        tensor.name = name or f"t{len(self.graph.tensors)}"
        tensor.shape, tensor.type, tensor.buffer = list(shape), getattr(schema.TensorType, dtype), 0
        if signature is not None:
            tensor.shapeSignature = list(signature)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, values: np.ndarray, scales: Sequence[float] = (), zero_points: Sequence[int] = (),
                 axis: int = 0) -> int:
        """A tensor with a value, quantized where scales are given."""
        index = self.activation(values.shape, DTYPES[values.dtype])
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor = self.graph.tensors[index]
        tensor.buffer = len(self.model.buffers) - 1
        if scales:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = list(scales), list(zero_points)
            tensor.quantization.quantizedDimension = axis
        return index

    def operator(self, name: str, inputs: Sequence[int], outputs: Sequence[int], options: str = "",
                 values: Mapping[str, Any] | None = None, version: int = 1, custom: str = "") -> None:
        """An operator; `options` is the schema's class: "Conv2DOptions"."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
        code.customCode = custom or None
        self.model.operatorCodes.append(code)
        op = schema.OperatorT()
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        op.inputs, op.outputs = list(inputs), list(outputs)
        if options:
            op.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            op.builtinOptions = getattr(schema, options + "T")()
            for key, value in (values or {}).items():
                setattr(op.builtinOptions, key, value)
        self.graph.operators.append(op)

    def signature(self, name: str) -> None:
        """A signature without inputs, for its name."""
        entry = schema.SignatureDefT()
        entry.signatureKey, entry.inputs, entry.outputs = name, [], []
        self.model.signatureDefs = [*(self.model.signatureDefs or []), entry]

    def bytes(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file."""
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def conv_model(kernel: np.ndarray | None = None, dtype: str = "FLOAT32", **quantization: Any) -> bytes:
    """4x4x2 input, a 3x3 convolution with stride 2 to 2x2x3, softmax; a kernel of ones by default."""
    made = Handmade()
    data = made.activation((1, 4, 4, 2), dtype, signature=(-1, 4, 4, 2), name="input")
    weights = made.constant(np.ones((3, 3, 3, 2), np.float32) if kernel is None else kernel, **quantization)
    bias = made.constant(np.zeros(3, np.float32))
    middle, out = made.activation((1, 2, 2, 3), dtype), made.activation((1, 2, 2, 3), dtype)
    made.operator("CONV_2D", [data, weights, bias], [middle], "Conv2DOptions",
                  {"strideW": 2, "strideH": 2, "fusedActivationFunction": 1}, version=3)
    made.operator("SOFTMAX", [middle], [out], "SoftmaxOptions", {"beta": 1.0})
    made.signature("serving_default")
    return made.bytes([data], [out])
