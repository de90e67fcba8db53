"""What a tflite model asks of a device: per operator its MACs, bytes, kernel class and arithmetic, and the totals.

Nothing is run. An unknown batch dimension counts as 1. Formulas (K: output channels, C: input channels, k: kernel):

    conv             out_elements * k_h * k_w * C / groups      (the filter holds C / groups)
    depthwise        out_elements * k_h * k_w
    fully connected  out_elements * depth
    transpose conv   in_elements * k_h * k_w * K                (every input meets every tap)
    batch matmul     out_elements * inner
    recurrent        time * batch * elements of all gate matrices
    pooling          no MACs; as many element operations as its windows hold
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from device_profiles.decoding import is_decode, parts, unpacked
from device_profiles.lifetimes import activation_peak
from device_profiles.operators import ACTIVATIONS, CONTROL_FLOW, KERNEL_CLASSES
from device_profiles.records import Record
from device_profiles.schema import KernelClass
from device_profiles.tflite import Graph, Model, Operator, Tensor, read_tflite
from device_profiles.workload_macs import convolution_taps, element_operations, macs

OperatorArithmetic = Literal["float32", "hybrid", "int8", "int16x8", "uint8", "other"]
NumberFormat = Literal["float32", "float16", "dynamic", "int8", "int16x8", "uint8", "int4", "mixed", "other"]

_WEIGHTED: dict[str, tuple[int, ...]] = {
    "CONV_2D": (1,), "DEPTHWISE_CONV_2D": (1,), "CONV_3D": (1,), "CONV_3D_TRANSPOSE": (1,),
    "FULLY_CONNECTED": (1,), "TRANSPOSE_CONV": (1,), "BIDIRECTIONAL_SEQUENCE_RNN": (1, 2, 5, 6),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (*range(1, 9), 16, *range(18, 26), 33),
    "BATCH_MATMUL": (1,), "SVDF": (1, 2), "RNN": (1, 2), "UNIDIRECTIONAL_SEQUENCE_RNN": (1, 2),
    "LSTM": tuple(range(1, 9)), "UNIDIRECTIONAL_SEQUENCE_LSTM": (*range(1, 9), 16),
}
VECTOR_CHANNELS = 8
"""Output channels that matrix kernels do at a time: XNNPACK and ruy 8 (4 to 16 by core), CMSIS-NN and ESP-NN 2 to 8."""
_PACKED_WEIGHTS = ("int8", "uint8", "int4", "int2")
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_UNPACKERS = ("DEQUANTIZE", "DENSIFY")


class TensorUse(Record):
    """A tensor as an operator sees it.

    Attributes:
        shape: unknown dimensions as 1.
        dtype: "float32", "int8", ...
        size_bytes: in memory.
        constant: whether the file holds its value.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    size_bytes: int
    constant: bool


class OperatorWork(Record):
    """The work of one operator in one inference.

    Attributes:
        index: position in the graph.
        name: builtin name: "CONV_2D"; "CUSTOM" for a custom operator, whose code is in `custom_code`.
        version: of the operator, as the converter wrote it.
        kernel: the kernel class.
        arithmetic: what its kernel computes in.
        options: the options that matter: strides, padding, dilation, fused activation.
        inputs, outputs: tensors in order, those left out not counted.
        macs: multiply-accumulates, exact.
        element_ops: element operations of a kernel that does not multiply and accumulate; 0 for one that does.
        window_taps: output positions times kernel taps, what an im2col kernel copies; 0 for other than convolutions.
        output_taps: output elements times kernel taps, the inner loops of a plain kernel; 0 likewise.
        output_elements: elements of all outputs.
        weight_bytes: constants it reads, as stored in the file (float16 weights count two bytes an element).
        input_bytes, output_bytes: activations read and written.
        weights: elements of its kernel tensors, without the bias.
        zero_weights: how many of them are zero (equal to the zero point where quantized).
        once: all its inputs are constants, so that litert runs it once and keeps the result.
    """

    index: int
    name: str
    custom_code: str = ""
    version: int
    kernel: KernelClass
    arithmetic: OperatorArithmetic
    options: dict[str, int | float]
    inputs: tuple[TensorUse, ...]
    outputs: tuple[TensorUse, ...]
    macs: int
    element_ops: int
    window_taps: int
    output_taps: int
    output_elements: int
    weight_bytes: int
    input_bytes: int
    output_bytes: int
    weights: int
    zero_weights: int
    once: bool

    @property
    def label(self) -> str:
        """The name for people."""
        return f"CUSTOM '{self.custom_code}'" if self.name == "CUSTOM" else self.name

    @property
    def hybrid(self) -> bool:
        """Whether float activations meet 8-bit weights (dynamic range)."""
        return self.arithmetic == "hybrid"

    @property
    def activation(self) -> str:
        """The activation that is fused into the kernel; "NONE" where there is none."""
        code = int(self.options.get("fused_activation", 0))
        return ACTIVATIONS[code] if 0 <= code < len(ACTIVATIONS) else "NONE"

    @property
    def channels(self) -> tuple[int, int]:
        """(input, output): the last dimension of the first activation and of the output; 1 where there is none."""
        read = next((use.shape for use in self.inputs if use.shape and not use.constant), (1,))
        made = next((use.shape for use in self.outputs if use.shape), (1,))
        return read[-1], made[-1]

    def empty_lanes(self, width: int = VECTOR_CHANNELS) -> float:
        """Share of the vector lanes that do nothing because the output channels are no multiple of the width.

        `1 - channels / (ceil(channels / width) * width)`, 0 to 1; 0 for an operator that does not multiply and
        accumulate, whose elements lie in one row.
        """
        channels = self.channels[1]
        return 1 - channels / (-(-channels // width) * width) if self.macs and channels else 0.0


class Workload(Record):
    """A tflite model as work.

    Attributes:
        operators: of the main graph, in order of execution.
        inputs, outputs: of the main graph.
        number_format: of the whole model, as found; "mixed" where operators differ.
        macs: sum over the operators.
        parameters: elements of all kernels and biases.
        weight_bytes: constants, as stored, each counted once.
        sparsity: share of zeros in all kernels, 0 to 1.
        activation_peak_bytes: bytes of the activations that must live at the same time; no arena can be smaller.
        tflite_bytes: of the file.
        signatures: names of the signatures; empty where there is none.
        graphs: number of graphs; more than one where there is control flow.
        outside_buffers: constants that stand behind the FlatBuffer.
    """

    operators: tuple[OperatorWork, ...]
    inputs: tuple[TensorUse, ...]
    outputs: tuple[TensorUse, ...]
    number_format: NumberFormat
    macs: int
    parameters: int
    weight_bytes: int
    sparsity: float
    activation_peak_bytes: int
    tflite_bytes: int
    signatures: tuple[str, ...]
    graphs: int
    outside_buffers: int = 0

    @property
    def has_signature(self) -> bool:
        """Whether there is at least one signature."""
        return bool(self.signatures)

    @property
    def has_control_flow(self) -> bool:
        """Whether operators run other graphs, so that the work depends on the data."""
        return any(op.name in CONTROL_FLOW for op in self.operators)


def read_workload(tflite: bytes) -> Workload:
    """The workload of a tflite model.

    Args:
        tflite: the file's bytes.

    Raises:
        TfliteError: the bytes are no whole tflite model.
    """
    return workload_of(read_tflite(tflite))


def workload_of(model: Model) -> Workload:
    """The workload of a model that was read or rebuilt (`device_profiles.networks`)."""
    graph = model.graphs[0]
    reader = _GraphReader(graph)
    operators = tuple(reader.work(operator) for operator in graph.operators)
    weights = sum(op.weights for op in operators)
    return Workload(
        operators=operators, inputs=_uses(graph, graph.inputs), outputs=_uses(graph, graph.outputs),
        number_format=reader.number_format(operators), macs=sum(op.macs for op in operators),
        parameters=reader.parameters(), weight_bytes=sum(len(t.data) for t in graph.tensors if t.is_constant),
        sparsity=sum(op.zero_weights for op in operators) / weights if weights else 0.0,
        activation_peak_bytes=activation_peak(graph), tflite_bytes=model.size_bytes, signatures=model.signatures,
        graphs=len(model.graphs), outside_buffers=model.outside_buffers)


class _GraphReader:
    """Reads operators with the constants behind them: a kernel may stand behind a DEQUANTIZE (float16) or DENSIFY.

    What a DECODE operator unpacks is unpacked here as well, so that its zeros can be counted.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._unpacked: dict[int, Tensor] = {}
        self._producers = {index: op for op in graph.operators for index in op.outputs}

    def constant(self, index: int) -> Tensor | None:
        """The constant that a tensor is, or that it is unpacked from."""
        if index < 0:
            return None
        tensor = self.graph.tensors[index]
        if tensor.is_constant:
            return tensor
        producer = self._producers.get(index)
        if producer is not None and is_decode(producer):
            if index not in self._unpacked:
                self._unpacked[index] = unpacked(self.graph, producer, index)
            return self._unpacked[index]
        if producer is None or producer.name not in _UNPACKERS or not producer.inputs or producer.inputs[0] < 0:
            return None
        source = self.graph.tensors[producer.inputs[0]]
        return source if source.is_constant else None

    def kernels(self, operator: Operator) -> list[Tensor]:
        """The constant kernel tensors of an operator, without biases."""
        slots = [operator.inputs[slot] for slot in _WEIGHTED.get(operator.name, ()) if slot < len(operator.inputs)]
        found = [self.constant(index) for index in slots]
        return [tensor for tensor in found if tensor is not None]

    def work(self, operator: Operator) -> OperatorWork:
        """One operator's record."""
        tensors = self.graph.tensors
        used, made = _uses(self.graph, operator.inputs), _uses(self.graph, operator.outputs)
        activations = [use for use in used if not use.constant]
        window_taps, output_taps = convolution_taps(operator, tensors)
        kernels = self.kernels(operator)
        return OperatorWork(
            index=operator.index, name=operator.name, custom_code=operator.custom_code, version=operator.version,
            kernel=_kernel_class(operator, tensors), arithmetic=_arithmetic(operator, tensors),
            options=dict(operator.options), inputs=used, outputs=made, macs=macs(operator, tensors),
            element_ops=element_operations(operator, tensors), window_taps=window_taps, output_taps=output_taps,
            output_elements=sum(math.prod(use.shape) for use in made), weight_bytes=self._constant_bytes(operator),
            input_bytes=sum(use.size_bytes for use in activations), output_bytes=sum(use.size_bytes for use in made),
            weights=sum(t.elements for t in kernels), zero_weights=sum(_zeros(t) for t in kernels),
            once=bool(used) and not activations and not is_decode(operator))

    def _constant_bytes(self, operator: Operator) -> int:
        """Bytes of the constants behind an operator's inputs, as stored."""
        return sum(self._stored_bytes(index) for index in operator.inputs)

    def _stored_bytes(self, index: int) -> int:
        """Bytes of the constant behind an input; of a packed one its stream and tables."""
        producer = self._producers.get(index)
        if producer is not None and is_decode(producer):
            return sum(len(tensor.data) for tensor in parts(self.graph, producer, index))
        tensor = self.constant(index)
        return len(tensor.data) if tensor is not None else 0

    def parameters(self) -> int:
        """Elements of all kernels and biases, each constant counted once."""
        found: dict[int, int] = {}
        for operator in self.graph.operators:
            if operator.name not in _WEIGHTED:
                continue
            for slot, tensor in enumerate(map(self.constant, operator.inputs[1:]), start=1):
                # An int32 constant without scales is a shape; with scales, or where a convolution has it, it is a bias.
                is_bias = operator.name in _CONVOLUTIONS and slot == 2
                if tensor is not None and (tensor.dtype != "int32" or tensor.scales or is_bias):
                    found[tensor.index] = tensor.elements
        return sum(found.values())

    def number_format(self, operators: Iterable[OperatorWork]) -> NumberFormat:
        """The format that the weighted operators share; without any, the format of the inputs."""
        kinds = {op.arithmetic for op in operators if op.name in _WEIGHTED}
        stored = {t.dtype for op in self.graph.operators for t in self.kernels(op)}
        return _number_format(kinds or {_by_dtype(self.graph.tensors[i].dtype) for i in self.graph.inputs}, stored)


def _number_format(kinds: set[OperatorArithmetic], stored: set[str]) -> NumberFormat:
    """The format of a model.

    Args:
        kinds: arithmetics of its weighted operators.
        stored: dtypes of their kernels, as stored.
    """
    if stored & {"int4", "uint4", "int2"}:
        return "int4"
    if "hybrid" in kinds and kinds <= {"hybrid", "float32"}:
        return "dynamic"  # the converter leaves kernels below 1,024 elements in float
    if kinds == {"float32"} and "float16" in stored:
        return "float16"
    if len(kinds) > 1 or (kinds == {"float32"} and stored & set(_PACKED_WEIGHTS)):
        return "mixed"  # or 8-bit weights that an operator of their own unpacks to float
    only: OperatorArithmetic = next(iter(kinds), "other")
    return "dynamic" if only == "hybrid" else only


def _uses(graph: Graph, indexes: Iterable[int]) -> tuple[TensorUse, ...]:
    tensors = [graph.tensors[index] for index in indexes if index >= 0]
    return tuple(TensorUse(name=t.name, shape=t.shape, dtype=t.dtype, size_bytes=t.size_bytes, constant=t.is_constant)
                 for t in tensors)


def _kernel_class(operator: Operator, tensors: tuple[Tensor, ...]) -> KernelClass:
    """The class; a convolution whose kernel is 1x1 is one of its own (it is a matrix product)."""
    kernel = KERNEL_CLASSES.get(operator.name, "other")
    if operator.name == "CONV_2D" and len(operator.inputs) > 1 and operator.inputs[1] >= 0:
        shape = tensors[operator.inputs[1]].shape  # (output channels, height, width, input channels)
        return "conv_1x1" if shape[1:3] == (1, 1) else "conv"
    return kernel


def _arithmetic(operator: Operator, tensors: tuple[Tensor, ...]) -> OperatorArithmetic:
    """What the kernel computes in: by the activations, and by the weights where activations are float."""
    data = next((tensors[i] for i in operator.inputs if i >= 0 and not tensors[i].is_constant), None)
    made = next((tensors[i] for i in operator.outputs if i >= 0), None)
    if operator.name == "QUANTIZE" or data is None:
        data = made
    if data is None:
        return "other"
    direct = [tensors[i].dtype for i in operator.inputs if i >= 0 and tensors[i].is_constant and tensors[i].scales]
    if data.dtype == "float32" and operator.name in _WEIGHTED and set(direct) & set(_PACKED_WEIGHTS):
        return "hybrid"
    return _by_dtype(data.dtype)


def _by_dtype(dtype: str) -> OperatorArithmetic:
    known: dict[str, OperatorArithmetic] = {"float32": "float32", "float16": "float32", "int8": "int8",
                                            "int16": "int16x8", "uint8": "uint8"}
    return known.get(dtype, "other")


def _zeros(tensor: Tensor) -> int:
    """Weights that are zero: `q == zero_point`, with the zero point of their slice where there are several."""
    import numpy as np

    kinds = {"float32": "<f4", "float16": "<f2", "int8": "i1", "uint8": "u1", "int16": "<i2"}
    if tensor.dtype not in kinds or tensor.sparse or not tensor.data.c_contiguous:
        return 0  # a rebuilt network's constants have a size and no values
    values = np.frombuffer(tensor.data, kinds[tensor.dtype])
    if not any(tensor.zero_points):
        return int(values.size - np.count_nonzero(values))
    points = np.asarray(tensor.zero_points, np.int64)
    if len(points) > 1 and tensor.axis < len(tensor.shape) and len(points) == tensor.shape[tensor.axis]:
        points = points.reshape([-1 if axis == tensor.axis else 1 for axis in range(len(tensor.shape))])
        values = values.reshape(tensor.shape)
    return int(np.count_nonzero(values == (points if len(tensor.zero_points) > 1 else points[0])))
