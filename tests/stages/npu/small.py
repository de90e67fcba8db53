"""A small int8 tflite model made by hand, an NPU to compile it for, and words as Vela says them."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from device_profiles.schema import Npu
from tests.device_profiles.handmade import Handmade

_SOURCE = "invented for a test"


def fact(value: object) -> dict[str, object]:
    """A fact as a profile's YAML holds it."""
    return {"value": value, "source": _SOURCE}


def npu(**more: object) -> Npu:
    """An Ethos-U55-128 with 1 MiB of SRAM."""
    facts: dict[str, Any] = {"accelerator": "ethos-u55-128", "system_config": "Ethos_U55_High_End_Embedded",
                             "memory_mode": "Shared_Sram", "sram_bytes": 1 << 20}
    return Npu.model_validate({name: fact(value) for name, value in {**facts, **more}.items()})


def _quantize(made: Handmade, index: int, scale: float = 0.05) -> int:
    """Give an activation a scale."""
    found = schema.QuantizationParametersT()
    found.scale, found.zeroPoint = [scale], [0]
    made.graph.tensors[index].quantization = found
    return index


def _convolution(made: Handmade, data: int, name: str) -> int:
    """A 1x1 convolution of 8x8x8 to the same: 4,096 MACs."""
    kernel = made.constant(np.arange(64, dtype=np.int8).reshape(8, 1, 1, 8), [0.01] * 8, [0] * 8)
    bias = made.constant(np.zeros(8, np.int32), [0.0005] * 8, [0] * 8)
    out = _quantize(made, made.activation((1, 8, 8, 8), "INT8", name=name))
    made.operator("CONV_2D", [data, kernel, bias], [out], "Conv2DOptions",
                  {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}, version=3)
    return out


def int8_model(between: str = "", names: tuple[str, str, str] = ("first", "middle", "last")) -> bytes:
    """Convolution, an operator that Vela leaves to the CPU where one is named, convolution."""
    made = Handmade()
    data = _quantize(made, made.activation((1, 8, 8, 8), "INT8", name="input"))
    out = _convolution(made, data, names[0])
    if between:
        middle = _quantize(made, made.activation((1, 8, 8, 8), "INT8", name=names[1]))
        made.operator(between, [out], [middle])
        out = middle
    return made.bytes([data], [_convolution(made, out, names[2])])
