"""What each post-training format asks of the tool that makes it, as rules in litert-quantizer's own form.

A rule says, for operators whose name matches: bits, granularity and symmetry of weights and activations. Later rules
stand over earlier ones. A rule set is plain JSON, so it lies readable beside the calibration set in `recipe.json`.

litert-quantizer decides what is quantized, sets the ranges of activations and puts QUANTIZE and DEQUANTIZE where they
are needed. Where weights are to become integers by another way than to the nearest, or 4-bit ones, a `WeightRecipe`
says how, and `stages.converting.reconstruction` puts them in place of litert-quantizer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from device_profiles.records import Record

Rules = list[dict[str, Any]]
Algorithm = Literal["minmax", "mse", "octav", "gptq"]
Domain = Literal["float", "dynamic", "int8", "int16"]
"""What an operator computes in: its activations are floats, floats with 8-bit weights, or integers."""


class WeightRecipe(Record):
    """How weights become integers.

    Attributes:
        bits: of every layer that the rules quantize, where `layers` does not say another number: 8 or 4.
        keep: layers that have 8 bits whatever `bits` says: "first", "last", or a layer's name.
        layers: bits by layer name, for `mixed`; None: `bits` and `keep` hold. A layer that is not there stays as it is.
        algorithm: see `stages.converting.rounding`.
        bias_correction: whether biases take up the mean shift of a layer's output.
        connected_share_scale: whether the 8-bit weights of a fully connected layer share one scale, as 4-bit ones do.
    """

    bits: int = 8
    keep: tuple[str, ...] = ()
    layers: dict[str, int] | None = Field(default=None)
    algorithm: Algorithm = "minmax"
    bias_correction: bool = False
    connected_share_scale: bool = False

    @property
    def needs_samples(self) -> bool:
        """Whether calibration samples are run through the model."""
        return self.bias_correction or self.algorithm == "gptq"


def rules_for(number_format: str) -> Rules:
    """litert-quantizer's rules for a post-training format; none for any other.

    Args:
        number_format: "float16", "dynamic", "int8", "int16x8" or "int4", whose rules are those of int8: 4 bits are set
            by a `WeightRecipe`, as litert-quantizer has none for depthwise convolutions.
    """
    makers = {"float16": _float16, "dynamic": _dynamic, "int8": _int8, "int16x8": _int16x8, "int4": _int8}
    return makers[number_format]() if number_format in makers else []


def _float16() -> Rules:
    """Weights as 16-bit floats, turned back by a DEQUANTIZE; for models that come without Keras."""
    from litert_quantizer import algorithm_manager, qtyping, recipe_manager

    manager = recipe_manager.RecipeManager()
    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    config = qtyping.OpQuantizationConfig(weight_tensor_config=weights, explicit_dequantize=True,
                                          compute_precision=qtyping.ComputePrecision.FLOAT)
    manager.add_quantization_config(regex=".*", operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
                                    op_config=config, algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING)
    return list(manager.get_quantization_recipe())


def _dynamic() -> Rules:
    """8-bit weights per output channel; in fully connected operators per tensor.

    tflite-runtime 2.14 computes a dynamic-range FULLY_CONNECTED with one scale per channel as if there were one per
    tensor, without an error: `small_cnn` fell from 100 % to 10 % on the digits (docs/formats.md).
    """
    from litert_quantizer import qtyping, recipe_manager

    manager = recipe_manager.RecipeManager()
    operators = qtyping.TFLOperationName
    manager.add_dynamic_config(regex=".*", operation_name=operators.ALL_SUPPORTED, num_bits=8)
    manager.add_dynamic_config(regex=".*", operation_name=operators.FULLY_CONNECTED, num_bits=8,
                               granularity=qtyping.QuantGranularity.TENSORWISE)
    return list(manager.get_quantization_recipe())


def _int8() -> Rules:
    """8-bit weights per output channel, symmetric; 8-bit activations per tensor, with a zero point."""
    from litert_quantizer import recipe

    return list(recipe.static_wi8_ai8())


def _int16x8() -> Rules:
    """8-bit weights per output channel and 16-bit activations, both symmetric."""
    from litert_quantizer import recipe

    return list(recipe.static_wi8_ai16())


def mixed_rules(domains: Mapping[str, Domain]) -> Rules:
    """Rules that let each operator compute in a domain of its own.

    Args:
        domains: by an operator's scope, see `scope_of`. Operators that are left out stay in float.
    """
    from litert_quantizer import qtyping, recipe_manager

    manager = recipe_manager.RecipeManager()
    every = qtyping.TFLOperationName.ALL_SUPPORTED
    for domain in ("dynamic", "int8", "int16"):
        scopes = [scope for scope, wanted in domains.items() if wanted == domain]
        if not scopes:
            continue
        pattern = f"^(?:{'|'.join(re.escape(scope) for scope in scopes)})$"
        if domain == "dynamic":
            manager.add_dynamic_config(regex=pattern, operation_name=every, num_bits=8)
            manager.add_dynamic_config(regex=pattern, operation_name=qtyping.TFLOperationName.FULLY_CONNECTED,
                                       num_bits=8, granularity=qtyping.QuantGranularity.TENSORWISE)
        else:
            manager.add_static_config(regex=pattern, operation_name=every, weight_num_bits=8,
                                      activation_num_bits=8 if domain == "int8" else 16)
    return list(manager.get_quantization_recipe())


def scope_of(output_names: Iterable[str]) -> str:
    """What litert-quantizer's rules know an operator by: the names of its outputs, each with a semicolon."""
    return "".join(f"{name};" for name in output_names)
