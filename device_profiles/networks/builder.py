"""Builds the graph of a tflite model operator by operator, as the converter would write it, without any weights.

Batch normalization after a convolution is not written: the converter folds it into kernel and bias. Activations that
the kernels take over (ReLU, ReLU6) are options of the operator before them; the others are operators of their own.
A constant has the size that it would have and no values.

    same:   out = ceil(in / stride)
    valid:  out = ceil((in - dilation * (kernel - 1)) / stride)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from device_profiles.errors import UsageError
from device_profiles.operators import ACTIVATIONS, OPTION_FIELDS
from device_profiles.tflite import Graph, Model, Operator, Tensor

Node = int
"""A tensor by its index in the graph."""
Pair = int | tuple[int, int]
"""One number for height and width, or (height, width)."""
Padding = Literal["same", "valid"]
BuildFormat = Literal["float32", "float16", "dynamic", "int8", "uint8", "int16x8"]

_BITS = {"float32": 32, "float16": 16, "int8": 8, "uint8": 8, "int16": 16, "int32": 32, "int64": 64}
_HYBRID_ELEMENTS = 1024  # the converter leaves smaller kernels in float (`minimum_elements_for_weights`)
_SAME, _VALID = 0, 1


@dataclass(frozen=True)
class _Kinds:
    """What a number format stores: activations, kernels, biases."""

    activation: str
    kernel: str
    bias: str


_KINDS: dict[BuildFormat, _Kinds] = {
    "float32": _Kinds("float32", "float32", "float32"), "float16": _Kinds("float32", "float16", "float16"),
    "dynamic": _Kinds("float32", "int8", "float32"), "int8": _Kinds("int8", "int8", "int32"),
    "uint8": _Kinds("uint8", "uint8", "int32"), "int16x8": _Kinds("int16", "int8", "int64"),
}


class NetworkBuilder:
    """Collects tensors and operators. Every method that adds an operator returns the tensor that it makes.

    Shapes are (batch, height, width, channels) with batch 1, as in the tflite model.
    """

    def __init__(self, number_format: BuildFormat = "float32", ends: str = "") -> None:
        """Begin a network.

        Args:
            number_format: of the model.
            ends: dtype of its inputs and outputs where it is not that of the activations: QUANTIZE and DEQUANTIZE
                stand there then.
        """
        if number_format not in _KINDS:
            raise UsageError(f"no network can be built in the format '{number_format}'", ", ".join(_KINDS))
        self.number_format = number_format
        self.kinds = _KINDS[number_format]
        self.ends = ends or self.kinds.activation
        self._tensors: list[Tensor] = []
        self._operators: list[Operator] = []
        self._inputs: list[Node] = []
        self._shared: dict[tuple[str, int], Node] = {}

    # -- tensors

    def shape(self, node: Node) -> tuple[int, ...]:
        """Shape of a tensor, with the batch."""
        return self._tensors[node].shape

    def channels(self, node: Node) -> int:
        """Size of a tensor's last dimension."""
        return self.shape(node)[-1]

    def size(self, node: Node) -> tuple[int, int]:
        """(height, width)."""
        shape = self.shape(node)
        return shape[1], shape[2]

    def input(self, *shape: int) -> Node:
        """An input of the network; `shape` is without the batch."""
        node = self._activation((1, *shape), self.ends)
        self._inputs.append(node)
        return self._bridge(node, self.kinds.activation)

    def _bridge(self, node: Node, dtype: str) -> Node:
        """The same tensor in another dtype."""
        found = self._tensors[node].dtype
        if found == dtype:
            return node
        name = "DEQUANTIZE" if dtype == "float32" else "QUANTIZE"
        return self._operator(name, (node,), self._activation(self.shape(node), dtype))

    def _activation(self, shape: Sequence[int], dtype: str = "") -> Node:
        kind = dtype or self.kinds.activation
        return self._tensor(shape, kind, memoryview(b""), quantized=kind not in ("float32", "int32"))

    def constant(self, shape: Sequence[int], dtype: str, quantized: bool = False) -> Node:
        """A constant without values: it is as long as it would be, but no memory stands behind it."""
        import numpy as np

        length = (math.prod(shape) * _BITS[dtype] + 7) // 8
        return self._tensor(shape, dtype, np.broadcast_to(np.ones(1, np.uint8), (length,)).data, quantized)

    def _tensor(self, shape: Sequence[int], dtype: str, data: memoryview, quantized: bool) -> Node:
        index = len(self._tensors)
        scales, points = ((1.0,), (0,)) if quantized else ((), ())
        self._tensors.append(Tensor(index, f"t{index}", tuple(shape), tuple(shape), dtype, _BITS[dtype], data, scales,
                                    points))
        return index

    def weights(self, shape: Sequence[int]) -> Node:
        """A kernel in the number format."""
        dtype = self.kinds.kernel
        if self.number_format == "dynamic" and math.prod(shape) < _HYBRID_ELEMENTS:
            dtype = "float32"
        return self._unpacked(self.constant(shape, dtype, dtype in ("int8", "uint8")))

    def bias(self, units: int, trained: bool = True) -> Node:
        """A bias in the number format; one of zeros is stored once in float (its scale is the layer's in integers)."""
        dtype = self.kinds.bias
        if not trained and dtype == "float32":
            return self._once("zeros", units, dtype)
        return self._unpacked(self.constant((units,), dtype, dtype in ("int32", "int64")))

    def axes(self, count: int) -> Node:
        """The constant that says height and width, or nothing but an order; equal ones are stored once."""
        return self._once("axes", count, "int32")

    def _once(self, kind: str, count: int, dtype: str) -> Node:
        """A constant that is stored once however often it is used."""
        if (kind, count) not in self._shared:
            self._shared[kind, count] = self.constant((count,), dtype)
        return self._shared[kind, count]

    def _unpacked(self, node: Node) -> Node:
        """float16 constants stand behind a DEQUANTIZE."""
        return self._bridge(node, "float32") if self._tensors[node].dtype == "float16" else node

    def values(self, *shape: int) -> Node:
        """A constant that meets activations (in an ADD or MUL): in their dtype."""
        kind = "float16" if self.number_format == "float16" else self.kinds.activation
        return self._unpacked(self.constant(shape, kind, kind not in ("float32", "float16")))

    # -- operators

    def _operator(self, name: str, inputs: Sequence[Node], output: Node, **options: int) -> Node:
        self.operator(name, inputs, (output,), options)
        return output

    def operator(self, name: str, inputs: Sequence[Node], outputs: Sequence[Node], options: Mapping[str, int]) -> None:
        """Append an operator; options that are not given have the schema's defaults."""
        known: dict[str, int | float] = {key: field[2] for key, field in OPTION_FIELDS.get(name, {}).items()}
        self._operators.append(Operator(len(self._operators), name, "", 1, tuple(inputs), tuple(outputs),
                                        {**known, **options}))

    def conv(self, x: Node, filters: int, kernel: Pair = 1, stride: Pair = 1, *, padding: Padding = "same",
             activation: str = "none", groups: int = 1, dilation: int = 1, bias: bool = True) -> Node:
        """A convolution; without a bias and a normalization it has a bias of zeros."""
        taps, strides = _pair(kernel), _pair(stride)
        inputs = (x, self.weights((filters, *taps, self.channels(x) // groups)), self.bias(filters, bias))
        out = self._activation((1, *self._window(x, taps, strides, padding, dilation), filters))
        self._operator("CONV_2D", inputs, out, **_window_options(padding, strides), dilation_w=dilation,
                       dilation_h=dilation, fused_activation=_fused(activation))
        return self._unfused(out, activation)

    def depthwise(self, x: Node, kernel: Pair = 3, stride: Pair = 1, *, padding: Padding = "same",
                  activation: str = "none", multiplier: int = 1, dilation: int = 1, bias: bool = True) -> Node:
        """A depthwise convolution; without a bias and a normalization it has a bias of zeros."""
        taps, strides, channels = _pair(kernel), _pair(stride), self.channels(x) * multiplier
        inputs = (x, self.weights((1, *taps, channels)), self.bias(channels, bias))
        out = self._activation((1, *self._window(x, taps, strides, padding, dilation), channels))
        self._operator("DEPTHWISE_CONV_2D", inputs, out, **_window_options(padding, strides), dilation_w=dilation,
                       dilation_h=dilation, depth_multiplier=multiplier, fused_activation=_fused(activation))
        return self._unfused(out, activation)

    def connected(self, x: Node, units: int, activation: str = "none") -> Node:
        """A fully connected layer with its bias, over the last dimension."""
        shape = self.shape(x)
        inputs = (x, self.weights((units, shape[-1])), self.bias(units))
        out = self._activation((*shape[:-1], units))
        self._operator("FULLY_CONNECTED", inputs, out, fused_activation=_fused(activation),
                       keep_num_dims=int(len(shape) > 2))
        return self._unfused(out, activation)

    def max_pool(self, x: Node, kernel: Pair = 2, stride: Pair = 2, padding: Padding = "valid") -> Node:
        """The largest of each window."""
        return self._pool("MAX_POOL_2D", x, _pair(kernel), _pair(stride), padding)

    def average_pool(self, x: Node, kernel: Pair = 2, stride: Pair = 2, padding: Padding = "valid") -> Node:
        """The mean of each window."""
        return self._pool("AVERAGE_POOL_2D", x, _pair(kernel), _pair(stride), padding)

    def _pool(self, name: str, x: Node, taps: tuple[int, int], strides: tuple[int, int], padding: Padding) -> Node:
        out = self._activation((1, *self._window(x, taps, strides, padding), self.channels(x)))
        return self._operator(name, (x,), out, **_window_options(padding, strides), filter_height=taps[0],
                              filter_width=taps[1])

    def global_average(self, x: Node, keep: bool = False) -> Node:
        """The mean over height and width; `keep` leaves them as 1."""
        shape = (1, 1, 1, self.channels(x)) if keep else (1, self.channels(x))
        return self._operator("MEAN", (x, self.axes(2)), self._activation(shape))

    def add(self, left: Node, right: Node, activation: str = "none") -> Node:
        """Elementwise sum."""
        return self._binary("ADD", left, right, activation)

    def subtract(self, left: Node, right: Node) -> Node:
        """Elementwise difference."""
        return self._binary("SUB", left, right)

    def multiply(self, left: Node, right: Node, activation: str = "none") -> Node:
        """Elementwise product; one of the two may have height and width 1."""
        return self._binary("MUL", left, right, activation)

    def _binary(self, name: str, left: Node, right: Node, activation: str = "none") -> Node:
        shape = tuple(map(max, zip(self.shape(left), _aligned(self.shape(right), len(self.shape(left))), strict=True)))
        out = self._operator(name, (left, right), self._activation(shape), fused_activation=_fused(activation))
        return self._unfused(out, activation)

    def normalize(self, x: Node, activation: str = "none") -> Node:
        """A batch normalization that no convolution stands before: a product and a sum with constants."""
        channels = self.channels(x)
        return self.add(self.multiply(x, self.values(channels)), self.values(channels), activation)

    def concat(self, *nodes: Node, axis: int = -1) -> Node:
        """Joined along the channels, or along another axis."""
        shape = list(self.shape(nodes[0]))
        shape[axis] = sum(self.shape(node)[axis] for node in nodes)
        return self._operator("CONCATENATION", nodes, self._activation(shape), axis=axis % len(shape))

    def pad(self, x: Node, before: Pair = 1, after: Pair = 1, channels: int = 0) -> Node:
        """Zeros around height and width; `channels` more behind the channels."""
        (top, left), (bottom, right), (_, height, width, depth) = _pair(before), _pair(after), self.shape(x)
        out = self._activation((1, height + top + bottom, width + left + right, depth + channels))
        return self._operator("PAD", (x, self.constant((4, 2), "int32")), out)

    def reshape(self, x: Node, *shape: int) -> Node:
        """Another shape, with the batch, for the same elements."""
        return self._operator("RESHAPE", (x, self.constant((len(shape),), "int32")), self._activation(shape))

    def flatten(self, x: Node) -> Node:
        """(1, elements)."""
        return self.reshape(x, 1, math.prod(self.shape(x)))

    def softmax(self, x: Node) -> Node:
        """Scores that sum to 1."""
        return self.unary("SOFTMAX", x)

    def activate(self, x: Node, activation: str) -> Node:
        """An activation as an operator of its own."""
        if activation == "swish":
            return self.multiply(x, self.unary("LOGISTIC", x))
        if activation == "clipped_sigmoid":
            below = self._binary("MINIMUM", x, self.values())
            return self.unary("LOGISTIC", self._binary("MAXIMUM", below, self.values()))
        return self.unary(_OPERATORS[activation], x)

    def unary(self, name: str, x: Node) -> Node:
        """An operator whose output has its input's shape."""
        return self._operator(name, (x,), self._activation(self.shape(x)))

    def resize(self, x: Node, height: int, width: int, method: str = "RESIZE_NEAREST_NEIGHBOR") -> Node:
        """Another height and width, by interpolation."""
        out = self._activation((1, height, width, self.channels(x)))
        return self._operator(method, (x, self.constant((2,), "int32")), out)

    def transpose(self, x: Node, *order: int) -> Node:
        """Axes in another order."""
        shape = tuple(self.shape(x)[axis] for axis in order)
        return self._operator("TRANSPOSE", (x, self.constant((len(order),), "int32")), self._activation(shape))

    def global_maximum(self, x: Node) -> Node:
        """The largest over height and width."""
        return self._operator("REDUCE_MAX", (x, self.axes(2)), self._activation((1, self.channels(x))))

    def crop(self, x: Node, *shape: int) -> Node:
        """A part of a tensor; `shape` with the batch."""
        bounds = [self.constant((len(shape),), "int32") for _ in range(3)]
        return self._operator("STRIDED_SLICE", (x, *bounds), self._activation(shape))

    def finish(self, *outputs: Node) -> Model:
        """The model; a file of it would be larger than `size_bytes` by names and tables."""
        ended = tuple(self._bridge(node, self.ends if self._is_activation(node) else self._tensors[node].dtype)
                      for node in outputs)
        graph = Graph("main", tuple(self._tensors), tuple(self._operators), tuple(self._inputs), ended)
        return Model((graph,), ("serving_default",), (), "", sum(len(tensor.data) for tensor in self._tensors))

    # -- help

    def _is_activation(self, node: Node) -> bool:
        return self._tensors[node].dtype == self.kinds.activation

    def _unfused(self, x: Node, activation: str) -> Node:
        """The activation as an operator of its own, where no kernel takes it over."""
        return x if activation == "none" or _fused(activation) else self.activate(x, activation)

    def _window(self, x: Node, taps: tuple[int, int], strides: tuple[int, int], padding: Padding,
                dilation: int = 1) -> tuple[int, int]:
        """(height, width) of what a window operator makes."""
        (height, width), reach = self.size(x), [0 if padding == "same" else dilation * (tap - 1) for tap in taps]
        return math.ceil((height - reach[0]) / strides[0]), math.ceil((width - reach[1]) / strides[1])


_FUSED = {"none": "NONE", "relu": "RELU", "relu6": "RELU6"}
_OPERATORS = {"hard_swish": "HARD_SWISH", "sigmoid": "LOGISTIC", "tanh": "TANH", "leaky_relu": "LEAKY_RELU",
              "relu": "RELU", "relu6": "RELU6", "softmax": "SOFTMAX", "elu": "ELU", "prelu": "PRELU"}


def _fused(activation: str) -> int:
    """The code of an activation that kernels take over; 0 for none and for one that stands alone."""
    return ACTIVATIONS.index(_FUSED.get(activation, "NONE"))


def _window_options(padding: Padding, strides: tuple[int, int]) -> dict[str, int]:
    return {"padding": _SAME if padding == "same" else _VALID, "stride_h": strides[0], "stride_w": strides[1]}


def _pair(value: Pair) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _aligned(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The shape with ones before it."""
    return (*[1] * (rank - len(shape)), *shape)
