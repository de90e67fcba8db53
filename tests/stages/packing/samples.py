"""Small int8 tflite models made by hand, which every engine runs, and weights of a given kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from stages.engines.client import EngineWorker
from stages.engines.signature import read_names
from stages.packing.constants import Found, find_constants
from stages.packing.objects import read_model
from stages.packing.shrinking import shrink_model
from tests.device_profiles.handmade import Handmade

Engines = Callable[[str], EngineWorker]  # the fixture `engines`
CHANNELS = 32


def sparse(shape: tuple[int, ...], zeros: float = 0.8, seed: int = 0) -> np.ndarray:
    """int8 weights with a share of zeros."""
    random = np.random.default_rng(seed)
    values = random.integers(-127, 128, shape).astype(np.int8)
    return np.where(random.random(shape) < zeros, 0, values).astype(np.int8)


def clustered(shape: tuple[int, ...], count: int = 8, seed: int = 0) -> np.ndarray:
    """int8 weights with few different values, all equally frequent."""
    table = np.linspace(-100, 100, count).astype(np.int8)
    return table[np.random.default_rng(seed).integers(0, count, shape)]


def dense_random(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """int8 weights that no code makes smaller."""
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


class Network:
    """4x4x2 in, a 3x3 convolution with stride 2 to 2x2x32, a fully connected layer to 3 values; all int8.

    Attributes:
        made: to be added to.
        tensors: by name: "data", "kernel", "bias", "features", "dense", "dense_bias", "out".
    """

    def __init__(self, kernel: np.ndarray, dense: np.ndarray, zero_points: tuple[int, ...] = (0,) * CHANNELS) -> None:
        self.made = Handmade()
        scales = [0.01 + 0.001 * channel for channel in range(CHANNELS)]
        constant = self.made.constant
        data = self.activation((1, 4, 4, 2), 0.05, 3, "data")
        features = self.activation((1, 2, 2, CHANNELS), 0.1, -5, "features")
        out = self.activation((1, 3), 0.2, 1, "out")
        bias = constant(np.arange(CHANNELS, dtype=np.int32), [0.05 * s for s in scales], (0,) * CHANNELS)
        self.tensors = {
            "data": data, "kernel": constant(kernel, scales, zero_points), "bias": bias, "features": features,
            "dense": constant(dense, [0.02], [0]), "out": out,
            "dense_bias": constant(np.array([5, -6, 7], np.int32), [0.1 * 0.02], [0])}

    def activation(self, shape: tuple[int, ...], scale: float, zero_point: int, name: str) -> int:
        """A quantized int8 activation."""
        index = self.made.activation(shape, "INT8", name=name)
        tensor = self.made.graph.tensors[index]
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
        return index

    def convolve(self, kernel: str = "kernel", features: str = "features") -> None:
        """A convolution from "data"."""
        t = self.tensors
        self.made.operator("CONV_2D", [t["data"], t[kernel], t["bias"]], [t[features]], "Conv2DOptions",
                           {"strideW": 2, "strideH": 2}, version=3)

    def content(self, outputs: tuple[str, ...] = ("out",)) -> bytes:
        """The file."""
        t = self.tensors
        if not self.made.graph.operators:
            self.convolve()
        self.made.operator("FULLY_CONNECTED", [t["features"], t["dense"], t["dense_bias"]], [t["out"]],
                           "FullyConnectedOptions", version=4)
        return self.made.bytes([t["data"]], [t[name] for name in outputs])


KERNEL, DENSE = (CHANNELS, 3, 3, 2), (3, 4 * CHANNELS)


def network(kernel: np.ndarray | None = None, dense: np.ndarray | None = None) -> bytes:
    """The network with weights of which 80 % are zero, or others."""
    return Network(sparse(KERNEL) if kernel is None else kernel,
                   sparse(DENSE, seed=1) if dense is None else dense).content()


def found_in(content: bytes) -> Found:
    """The constants of a shrunk model."""
    model = read_model(content)
    shrink_model(model, read_names(content), "tflm")
    return find_constants(model, {})


def outputs_of(worker: EngineWorker, content: bytes, *samples: np.ndarray) -> list[np.ndarray]:
    """Outputs of a model in an engine that runs."""
    worker.load(content)
    return worker.predict(*samples)


def samples_for_network(count: int = 32) -> np.ndarray:
    """Inputs in the units of the network's input scale.  # (count, 4, 4, 2) float32"""
    return np.random.default_rng(5).uniform(-6, 6, (count, 4, 4, 2)).astype(np.float32)
