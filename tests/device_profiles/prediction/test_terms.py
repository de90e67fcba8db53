"""What operators ask for, worked out by hand."""

from __future__ import annotations

import pytest

from device_profiles.networks import network_workload
from device_profiles.prediction.terms import MEANING, TERMS, operator_amounts, workload_amounts
from device_profiles.workload import read_workload
from tests.device_profiles.handmade import conv_model


def test_every_term_says_what_a_unit_of_it_is() -> None:
    assert set(MEANING) == set(TERMS)


def test_a_convolution_of_few_channels_asks_for_macs_windows_outputs_and_bytes() -> None:
    conv = read_workload(conv_model()).operators[0]
    # a 3x3 kernel over 2 channels at 4 positions, 3 outputs each: 18 MACs an output
    amounts = operator_amounts(conv)
    assert amounts["conv_narrow"] == 216
    assert "conv" not in amounts
    assert amounts["window"] == 36 * (8 + 2 * 4)
    assert amounts["conv_loop"] == 108  # 12 outputs of 9 taps
    assert amounts["conv_output"] == 12
    assert (amounts["operator"], amounts["parallel"]) == (1, 1)
    assert amounts["activations"] == conv.input_bytes + 4 * 12


def test_output_channels_of_a_1x1_convolution_are_rounded_up_to_whole_vectors() -> None:
    work = network_workload("mobilenet_v1 size=96 width=0.25", "int8")
    first = next(op for op in work.operators if op.kernel == "conv_1x1")
    assert first.outputs[0].shape[-1] == 16
    assert operator_amounts(first)["conv_1x1"] == first.macs
    last = [op for op in work.operators if op.kernel == "conv_1x1"][-1]
    classes = last.outputs[0].shape[-1]
    whole = -(-classes // 8) * 8
    assert operator_amounts(last)["conv_1x1"] == pytest.approx(last.macs * whole / classes)


@pytest.mark.parametrize(("kernel", "term"), [("depthwise", "depthwise"), ("fully_connected", "fully_connected"),
                                              ("softmax", "transcendental"), ("pooling", "pooling")])
def test_a_kernel_class_has_a_term_of_its_own(kernel: str, term: str) -> None:
    op = next(op for op in network_workload("ds_cnn", "int8").operators if op.kernel == kernel)
    amounts = operator_amounts(op)
    assert amounts[term] == (op.macs or op.element_ops)  # type: ignore[index]


def test_a_view_and_an_operator_on_constants_cost_nothing() -> None:
    work = network_workload("ds_cnn", "int8")
    view = next(op for op in work.operators if op.name == "RESHAPE")
    assert operator_amounts(view) == {}
    softmax = work.operators[-1]
    assert operator_amounts(softmax.model_copy(update={"once": True})) == {}


def test_hard_swish_is_dearer_than_an_addition_and_has_another_term() -> None:
    work = network_workload("mobilenet_v3_small", "float32")
    swish = next(op for op in work.operators if op.name == "HARD_SWISH")
    add = next(op for op in work.operators if op.name == "ADD")
    assert "transcendental" in operator_amounts(swish)
    assert "elementwise" in operator_amounts(add)


def test_a_workload_is_the_sum_of_its_operators_and_one_inference() -> None:
    work = network_workload("ds_cnn", "int8")
    total = workload_amounts(work)
    assert total["inference"] == 1
    assert total["operator"] == sum(op.name != "RESHAPE" for op in work.operators)
    assert total["depthwise"] == sum(op.macs for op in work.operators if op.kernel == "depthwise")
