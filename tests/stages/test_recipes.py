"""The rules of each post-training format."""

from __future__ import annotations

import json

import pytest

from stages.recipes import rules_for


def test_dynamic_keeps_one_scale_for_fully_connected_weights_alone() -> None:
    everything, connected = rules_for("dynamic")
    assert everything["op_config"]["weight_tensor_config"]["granularity"] == "CHANNELWISE"
    assert connected["operation"] == "FULLY_CONNECTED"
    assert connected["op_config"]["weight_tensor_config"]["granularity"] == "TENSORWISE"
    assert "activation_tensor_config" not in connected["op_config"]


@pytest.mark.parametrize(("name", "bits", "symmetric"), [("int8", 8, False), ("int16x8", 16, True)])
def test_static_formats_set_the_bits_of_weights_and_activations(name: str, bits: int, symmetric: bool) -> None:
    (rule,) = rules_for(name)
    assert rule["op_config"]["weight_tensor_config"]["num_bits"] == 8
    assert rule["op_config"]["activation_tensor_config"]["num_bits"] == bits
    assert rule["op_config"]["activation_tensor_config"]["symmetric"] is symmetric


def test_float16_casts_weights_and_nothing_else() -> None:
    (rule,) = rules_for("float16")
    assert rule["algorithm_key"] == "float_casting"
    assert rule["op_config"]["weight_tensor_config"]["num_bits"] == 16
    assert "activation_tensor_config" not in rule["op_config"]


@pytest.mark.parametrize("name", ["float32", "int8qat"])
def test_what_the_converter_makes_alone_has_no_rules(name: str) -> None:
    assert rules_for(name) == []


def test_rules_are_plain_json() -> None:
    for name in ("float16", "dynamic", "int8", "int16x8"):
        assert json.loads(json.dumps(rules_for(name))) == rules_for(name)
