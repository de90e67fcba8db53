"""Operators that compute in float, found and named in a tflite model."""

from __future__ import annotations

import pytest

from stages.models.float_operators import float_operators, float_warning, layer_of


def test_an_int8_model_has_none(tiny_tflites: dict[str, bytes]) -> None:
    assert float_operators(tiny_tflites["int8"]) == ()
    assert float_warning(tiny_tflites["int8"]) == ""


@pytest.mark.parametrize("number_format", ["float32", "dynamic"])
def test_float_and_hybrid_operators_are_counted_by_name(tiny_tflites: dict[str, bytes], number_format: str) -> None:
    warning = float_warning(tiny_tflites[number_format])
    assert "1 CONV_2D, 1 DEPTHWISE_CONV_2D, 1 MEAN, 1 FULLY_CONNECTED, 1 SOFTMAX compute in float" in warning


def test_the_layer_is_read_from_the_output_of_the_operator(tiny_tflites: dict[str, bytes]) -> None:
    conv = float_operators(tiny_tflites["float32"])[0]
    named = conv.model_copy(update={"outputs": (conv.outputs[0].model_copy(update={
        "name": "model_3/quant_conv1/Conv2D;model_3/quant_relu/Relu"}),)})
    assert layer_of(named) == "conv1"
    alone = conv.model_copy(update={"outputs": (conv.outputs[0].model_copy(update={"name": "Identity"}),)})
    assert layer_of(alone) == "Identity"
