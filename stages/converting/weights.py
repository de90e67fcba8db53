"""The weights of a tflite model: read layer by layer, and replaced, by other floats or by integers.

An integer weight stands for `scale * q`; with 8 bits each has a byte, with 4 bits two share one, the first in the low
half (tensorflow/lite/kernels/internal/portable_tensor_utils.h, `UnpackDenseInt4IntoInt8`). A bias of integers stands
for `input scale * weight scale * q`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.tflite import DTYPES, Operator, Tensor, read_tflite

Array = NDArray[Any]
Floats = NDArray[np.float32]

INT4_LEAST, INT4_MOST = -7, 7
"""The values that are used: -8 is left out, as symmetric weights are in int8."""

_TYPES = {name: number for number, (name, _) in DTYPES.items()}
_BIAS_INTEGERS = {"int32": (-2**31, 2**31 - 1, "<i4"), "int64": (-2**63, 2**63 - 1, "<i8")}


@dataclass(frozen=True)
class Place:
    """Where an operator has its tensors.

    Attributes:
        data, weights, bias: position among its inputs.
        axis: of the weights, which the output channels lie along.
    """

    data: int
    weights: int
    bias: int
    axis: int


PLACES: Mapping[str, Place] = {
    "CONV_2D": Place(0, 1, 2, 0), "DEPTHWISE_CONV_2D": Place(0, 1, 2, 3), "FULLY_CONNECTED": Place(0, 1, 2, 0),
    "TRANSPOSE_CONV": Place(2, 1, 3, 0),
}


@dataclass(frozen=True)
class Layer:
    """An operator with constant float weights.

    Attributes:
        ordinal: its position among all operators of `PLACES`, which quantizing leaves as it is.
        index: its position among all operators.
        operator: "CONV_2D", ...
        name: of its output tensor, which litert-quantizer's rules go by.
        data, output: tensor numbers.
        weights: as stored; output channels along `axis`.
        bias: (channels,); None where it has none.
        options: strides, padding, dilation, fused activation.
        weight_tensor: the tensor number; operators that share weights share it.
    """

    ordinal: int
    index: int
    operator: str
    name: str
    data: int
    output: int
    weights: Floats = field(repr=False)
    bias: Floats | None = field(repr=False)
    axis: int
    options: Mapping[str, int | float]
    weight_tensor: int

    @property
    def label(self) -> str:
        """The name for people: "3:CONV_2D conv/Relu"."""
        return f"{self.index}:{self.operator} {self.name}"

    @property
    def short(self) -> str:
        """The label without the names of what was folded into the layer."""
        return self.label.partition(";")[0]

    @property
    def channels(self) -> int:
        """Output channels."""
        return int(self.weights.shape[self.axis])


@dataclass(frozen=True)
class Integers:
    """Weights as integers.

    Attributes:
        values: int8, shaped as the weights.
        scales: (channels,), or (1,) where all share one.
        bits: 8 or 4.
    """

    values: NDArray[np.int8]
    scales: Floats
    bits: int

    def floats(self, axis: int) -> Floats:
        """What they stand for: `scale * q`."""
        return np.asarray(self.values * along(self.scales, self.values.ndim, axis), np.float32)


def along(values: Array, rank: int, axis: int) -> Array:
    """One value a channel, shaped so that it meets weights of a rank."""
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)


def read_layers(content: bytes) -> list[Layer]:
    """The layers of a float tflite model's main graph whose weights are constants."""
    graph = read_tflite(content).graphs[0]
    found = []
    for ordinal, operator in enumerate(each for each in graph.operators if each.name in PLACES):
        place = PLACES[operator.name]
        weights = _constant(graph.tensors, operator, place.weights)
        if weights is None:
            continue
        found.append(Layer(
            ordinal=ordinal, index=operator.index, operator=operator.name, axis=place.axis, weights=weights,
            name=graph.tensors[operator.outputs[0]].name, data=operator.inputs[place.data],
            output=operator.outputs[0], bias=_constant(graph.tensors, operator, place.bias),
            options=operator.options, weight_tensor=operator.inputs[place.weights]))
    return found


def _constant(tensors: tuple[Tensor, ...], operator: Operator, position: int) -> Floats | None:
    """A float32 constant among an operator's inputs."""
    if len(operator.inputs) <= position or operator.inputs[position] < 0:
        return None
    tensor = tensors[operator.inputs[position]]
    if tensor.dtype != "float32" or not tensor.is_constant or tensor.sparse:
        return None
    return np.frombuffer(tensor.data, "<f4").reshape(tensor.shape).astype(np.float32)


class Editor:
    """Replaces weights and biases of a tflite model's main graph.

    Args:
        content: a whole tflite model.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.tools import flatbuffer_utils

        self._model: Any = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
        for buffer in self._model.buffers:  # those that are no arrays are written byte by byte, in Python
            if buffer.data is not None and not isinstance(buffer.data, np.ndarray):
                buffer.data = np.frombuffer(bytes(buffer.data), np.uint8)
        self._graph: Any = self._model.subgraphs[0]
        names = read_tflite(content).graphs[0].operators
        self._weighted: list[tuple[Any, Place]] = [
            (operator, PLACES[known.name]) for operator, known in zip(self._graph.operators, names, strict=True)
            if known.name in PLACES]

    def content(self) -> bytes:
        """The model's bytes."""
        from ai_edge_litert.tools import flatbuffer_utils

        return bytes(flatbuffer_utils.convert_object_to_bytearray(self._model))

    def set_floats(self, ordinal: int, weights: Floats | None, bias: Floats | None) -> None:
        """Other float weights, a float bias, or both; None leaves what is there."""
        for values, tensor in ((weights, self._tensor(ordinal, "weights")), (bias, self._tensor(ordinal, "bias"))):
            if values is not None and tensor is not None:
                self._fill(tensor, np.ascontiguousarray(values, "<f4").tobytes())

    def set_integers(self, ordinal: int, weights: Integers, bias: Floats | None) -> None:
        """Integer weights with their scales, and the bias that belongs to them, in the type that stands there.

        Args:
            ordinal: of the operator; see `Layer`.
            weights: in place of integer weights.
            bias: (channels,) real values; None where the operator has none.
        """
        tensor = self._tensor(ordinal, "weights")
        tensor.type = _TYPES["int4" if weights.bits == 4 else "int8"]
        tensor.quantization.scale = [float(each) for each in weights.scales]
        tensor.quantization.zeroPoint = [0] * len(weights.scales)
        tensor.quantization.quantizedDimension = self._weighted[ordinal][1].axis if len(weights.scales) > 1 else 0
        self._fill(tensor, packed(weights.values) if weights.bits == 4 else weights.values.tobytes())
        target = self._tensor(ordinal, "bias")
        if bias is not None and target is not None:
            self._set_bias(target, self._scale(self._tensor(ordinal, "data")), weights.scales, bias)

    def fit_biases(self, biases: Mapping[int, Floats]) -> None:
        """Larger scales for channels whose bias would not fit its integers; where all fit, nothing is changed.

        A channel whose weights are all zero has next to no scale, and `bias / (input scale * weight scale)` then lies
        beyond 32 bits: cut off there, the bias is lost. Weights that small are nothing beside the bias.

        Args:
            biases: (channels,) real values, by ordinal of the operator.
        """
        sharing: dict[int, list[int]] = {}
        for ordinal in biases:
            operator, place = self._weighted[ordinal]
            sharing.setdefault(operator.inputs[place.weights], []).append(ordinal)
        for ordinals in sharing.values():
            tensor, axis = self._tensor(ordinals[0], "weights"), self._weighted[ordinals[0]][1].axis
            if tensor.quantization is None or tensor.quantization.scale is None:
                continue
            scales = np.asarray(tensor.quantization.scale, np.float64)
            least = np.max([self._least_scales(each, biases[each]) for each in ordinals], axis=0)
            fitted = np.maximum(scales, least if len(scales) > 1 else least.max(initial=0.0))
            if (fitted == scales).all():
                continue
            known = self._integers(tensor)
            values = np.rint(known.values * along(scales / fitted, known.values.ndim, axis)).astype(np.int8)
            for ordinal in ordinals:
                self.set_integers(ordinal, Integers(values, fitted.astype(np.float32), known.bits), biases[ordinal])

    def _least_scales(self, ordinal: int, bias: Floats) -> Array:
        """(channels,) the least scales of weights with which a bias takes no more than half of its integers."""
        target, step = self._tensor(ordinal, "bias"), self._scale(self._tensor(ordinal, "data"))
        kind = "" if target is None else DTYPES[target.type][0]
        if kind not in _BIAS_INTEGERS or not step:
            return np.zeros(len(bias))
        found: Array = np.abs(bias.astype(np.float64)) / (step * _BIAS_INTEGERS[kind][1] / 2)
        return found

    def _integers(self, tensor: Any) -> Integers:
        """The integers that a tensor of weights holds."""
        shape, raw = tuple(int(each) for each in tensor.shape), self._model.buffers[tensor.buffer].data.tobytes()
        is_low = tensor.type == _TYPES["int4"]
        values = unpacked(raw, int(np.prod(shape))) if is_low else np.frombuffer(raw, np.int8)
        return Integers(values.reshape(shape), np.asarray(tensor.quantization.scale, np.float32), 4 if is_low else 8)

    def add_bias(self, ordinal: int) -> None:
        """A bias of zeros for an operator with float weights that has none."""
        from ai_edge_litert import schema_py_generated as schema

        operator, place = self._weighted[ordinal]
        if self._tensor(ordinal, "bias") is not None:
            return
        channels = int(self._tensor(ordinal, "weights").shape[place.axis])
        buffer, tensor = schema.BufferT(), schema.TensorT()
        buffer.data = np.zeros(4 * channels, np.uint8)
        self._model.buffers.append(buffer)
        tensor.name, tensor.shape, tensor.hasRank = f"bias of operator {ordinal}".encode(), [channels], True
        tensor.type, tensor.buffer = _TYPES["float32"], len(self._model.buffers) - 1
        tensor.quantization = schema.QuantizationParametersT()
        self._graph.tensors.append(tensor)
        inputs = list(operator.inputs)[:place.bias]
        operator.inputs = [*inputs, *[-1] * (place.bias - len(inputs)), len(self._graph.tensors) - 1]

    def cut(self, tensors: Sequence[int]) -> None:
        """Let the model end in other tensors of its main graph: operators that they do not need behind them go."""
        makers = [position for position, operator in enumerate(self._graph.operators)
                  if set(operator.outputs) & set(tensors)]
        self._graph.operators = self._graph.operators[:max(makers, default=-1) + 1]
        self._graph.outputs = list(tensors)
        self._model.signatureDefs = []

    def _set_bias(self, tensor: Any, input_scale: float, weight_scales: Floats, bias: Floats) -> None:
        """A bias of floats, or of integers: `q = round(bias / (input scale * weight scale))`."""
        kind = DTYPES[tensor.type][0]
        if kind == "float32":
            self._fill(tensor, np.ascontiguousarray(bias, "<f4").tobytes())
            return
        least, most, stored = _BIAS_INTEGERS[kind]
        scales = np.float64(input_scale) * weight_scales.astype(np.float64)
        tensor.quantization.scale = [float(each) for each in scales]
        tensor.quantization.zeroPoint = [0] * len(scales)
        values = np.clip(np.rint(bias.astype(np.float64) / scales), least, most)
        self._fill(tensor, values.astype(stored).tobytes())

    def _tensor(self, ordinal: int, part: str) -> Any:
        """The tensor of an operator's part, or None where it has none."""
        operator, place = self._weighted[ordinal]
        position = getattr(place, part)
        if len(operator.inputs) <= position or operator.inputs[position] < 0:
            return None
        return self._graph.tensors[operator.inputs[position]]

    def _fill(self, tensor: Any, data: bytes) -> None:
        """A buffer of the tensor's own: another one may hold the same bytes."""
        from ai_edge_litert import schema_py_generated as schema

        buffer = self._model.buffers[tensor.buffer]
        if sum(each.buffer == tensor.buffer for graph in self._model.subgraphs for each in graph.tensors) > 1:
            buffer = schema.BufferT()
            self._model.buffers.append(buffer)
            tensor.buffer = len(self._model.buffers) - 1
        buffer.data = np.frombuffer(data, np.uint8)

    @staticmethod
    def _scale(tensor: Any) -> float:
        """Scale of an activation; 0 where it is not quantized."""
        found = tensor.quantization
        return float(found.scale[0]) if found is not None and found.scale is not None and len(found.scale) else 0.0


def packed(values: NDArray[np.int8]) -> bytes:
    """4-bit values, two a byte, the first in the low half; an odd last one alone."""
    flat = values.reshape(-1).astype(np.uint8) & 0x0F
    pairs = np.append(flat, np.uint8(0)) if len(flat) % 2 else flat
    return bytes((pairs[0::2] | (pairs[1::2] << 4)).astype(np.uint8))


def unpacked(data: bytes, count: int) -> NDArray[np.int8]:
    """The values of `packed`."""
    raw = np.frombuffer(data, np.uint8)
    halves = np.stack([raw & 0x0F, raw >> 4], axis=1).reshape(-1)[:count].astype(np.int8)
    return np.where(halves > INT4_MOST, halves - 16, halves).astype(np.int8)


def sharing(layers: list[Layer]) -> Iterator[list[Layer]]:
    """Layers in groups that have the same weight tensor, which must have one format."""
    groups: dict[int, list[Layer]] = {}
    for layer in layers:
        groups.setdefault(layer.weight_tensor, []).append(layer)
    yield from groups.values()
