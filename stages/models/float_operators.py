"""Operators of an 8-bit tflite model that compute in float all the same.

A quantization-aware model becomes an 8-bit tflite model operator by operator: where a tensor has no range, or a kernel
was not quantized, the converter puts DEQUANTIZE before and QUANTIZE behind, and says nothing. Such islands run at float
speed, keep float kernels in the file, and fail on devices without a float unit.
"""

from __future__ import annotations

from collections import Counter

from device_profiles.workload import OperatorWork, read_workload

_FLOAT = ("float32", "hybrid")
_AT_THE_EDGE = ("QUANTIZE", "DEQUANTIZE")
_SHOWN = 5


def float_operators(tflite: bytes) -> tuple[OperatorWork, ...]:
    """Operators that compute in float, or with float activations, in the order in which they run.

    Args:
        tflite: a whole tflite model, meant to be 8-bit throughout.

    Raises:
        TfliteError: it is not a whole tflite model.
    """
    return tuple(operator for operator in read_workload(tflite).operators
                 if operator.arithmetic in _FLOAT and operator.name not in _AT_THE_EDGE)


def float_warning(tflite: bytes) -> str:
    """One sentence on the operators that compute in float, with counts and the first layers; empty where none does.

    Raises:
        TfliteError: it is not a whole tflite model.
    """
    found = float_operators(tflite)
    if not found:
        return ""
    kinds = ", ".join(f"{count} {name}" for name, count in Counter(operator.label for operator in found).items())
    layers = list(dict.fromkeys(layer_of(operator) for operator in found))
    more = f" and {len(layers) - _SHOWN} more" if len(layers) > _SHOWN else ""
    return f"{kinds} compute in float: {', '.join(layers[:_SHOWN])}{more}"


def layer_of(operator: OperatorWork) -> str:
    """The Keras layer behind an operator, from its output's name: `model/quant_conv1/Conv2D;...` is `conv1`.

    The converter joins the names of what it fused with `;`; the first is the operator's own. Where the model wrote no
    layer into the name, it is the whole first name.
    """
    first = operator.outputs[0].name.split(";")[0]
    parts = first.split("/")
    return (parts[1] if len(parts) > 2 else parts[0]).removeprefix("quant_")
