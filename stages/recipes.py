"""What each post-training format asks of the tool that makes it, as rules in litert-quantizer's own form.

A rule says, for operators whose name matches: bits, granularity and symmetry of weights and activations. Later rules
stand over earlier ones. A rule set is plain JSON, so it lies readable beside the calibration set in `recipe.json`.
"""

from __future__ import annotations

from typing import Any

Rules = list[dict[str, Any]]


def rules_for(number_format: str) -> Rules:
    """litert-quantizer's rules for a post-training format; none for any other.

    Args:
        number_format: "float16", "dynamic", "int8" or "int16x8".
    """
    makers = {"float16": _float16, "dynamic": _dynamic, "int8": _int8, "int16x8": _int16x8}
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
