"""Small graphs without values, for the tests of this folder."""

from __future__ import annotations

from typing import Any

from device_profiles.networks.builder import BuildFormat, NetworkBuilder
from device_profiles.tflite import Graph, Model, Operator, Tensor

INT8, INT16 = 8, 16


def convolution(height: int, width: int, channels: int, filters: int, kernel: Any = 3, *, stride: Any = 1,
                padding: Any = "same", number_format: BuildFormat = "int8", depthwise: bool = False) -> Graph:
    """One convolution; depthwise ones have as many filters as channels."""
    builder = NetworkBuilder(number_format)
    image = builder.input(height, width, channels)
    made = (builder.depthwise(image, kernel, stride, padding=padding) if depthwise
            else builder.conv(image, filters, kernel, stride, padding=padding))
    return builder.finish(made).graphs[0]


def model(number_format: BuildFormat = "int8") -> Model:
    """8x8x1 image, a 3x3 convolution to 4 channels, the mean, a dense layer of 3, softmax."""
    builder = NetworkBuilder(number_format)
    x = builder.conv(builder.input(8, 8, 1), 4, 3, 1)
    return builder.finish(builder.softmax(builder.connected(builder.global_average(x), 3)))


def tensor(index: int, shape: tuple[int, ...], dtype: str = "int8", *, constant: bool = False,
           variable: bool = False, scales: tuple[float, ...] = (1.0,)) -> Tensor:
    """A tensor; a constant has one byte of data, whatever its shape."""
    bits = {"int8": 8, "int4": 4, "int16": 16, "int32": 32, "float32": 32}[dtype]
    return Tensor(index, f"t{index}", shape, shape, dtype, bits, memoryview(b"\x01" if constant else b""), scales,
                  (0,) * len(scales), variable=variable)


def single(name: str, tensors: list[Tensor], inputs: tuple[int, ...], outputs: tuple[int, ...],
           **options: int) -> Graph:
    """A graph of one operator; its activations without a maker are the graph's inputs."""
    ends = tuple(index for index in inputs if index >= 0 and not tensors[index].is_constant
                 and not tensors[index].variable)
    return Graph("main", tuple(tensors), (Operator(0, name, "", 1, inputs, outputs, options),), ends, outputs)
