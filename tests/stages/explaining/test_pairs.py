"""Operators find their counterparts by name, and by order where names differ."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.tflite import Graph, read_tflite
from stages.explaining.pairs import computing, label, pair_up, short_name
from tests.device_profiles.handmade import Handmade


def chain(*names: str, boundary: bool = False, operators: tuple[str, ...] = ()) -> Graph:
    """RELU and others one after the other, with outputs of these names."""
    made = Handmade()
    first = last = made.activation((1, 4), name="in")
    if boundary:
        last = made.activation((1, 4), name="in2")
        made.operator("QUANTIZE", [first], [last])
    for position, name in enumerate(names):
        following = made.activation((1, 4), name=name)
        made.operator((operators or ("RELU",) * len(names))[position], [last], [following])
        last = following
    return read_tflite(made.bytes([first], [last])).graphs[0]


def test_names_pair_before_order_and_quantize_is_looked_through() -> None:
    pairing = pair_up(chain("a", "b", boundary=True), chain("a", "b"))
    assert [(p.made.index, p.original.index, p.matching) for p in pairing.pairs] == [(1, 0, "name"), (2, 1, "name")]
    assert pairing.unmatched() == ()


def test_other_names_are_paired_by_order_and_kind() -> None:
    kinds = ("RELU", "LOGISTIC", "RELU")
    pairing = pair_up(chain("quant_a", "quant_b", "c", operators=kinds), chain("a", "b", "c", operators=kinds))
    assert [(p.made.index, p.original.index, p.matching) for p in pairing.pairs] == [
        (0, 0, "order"), (1, 1, "order"), (2, 2, "name")]


def test_an_operator_that_only_the_variant_has_is_unmatched() -> None:
    pairing = pair_up(chain("x", "y", operators=("RELU", "TANH")), chain("x"))
    assert pairing.unmatched() == ("1:TANH y",)


def test_an_operator_on_constants_does_not_compute() -> None:
    made = Handmade()
    data, out = made.activation((1, 4)), made.activation((1, 4), name="out")
    weights, half = made.activation((1, 4)), made.constant(np.ones((1, 4), np.float16))
    made.operator("DEQUANTIZE", [half], [weights])
    made.operator("MUL", [data, weights], [out])
    graph = read_tflite(made.bytes([data], [out])).graphs[0]
    assert [label(graph, each) for each in computing(graph)] == ["1:MUL out"]


@pytest.mark.parametrize(("name", "short"), [
    ("net/relu1/Relu;net/norm1/FusedBatchNormV3;", "relu1"), ("StatefulPartitionedCall:0", "output"),
    ("serving_default_input:0", "serving_default_input"), ("small_cnn/quant_relu1/Relu", "quant_relu1")])
def test_a_layer_s_name_is_cut_out_of_the_tensor_s(name: str, short: str) -> None:
    assert short_name(name) == short
