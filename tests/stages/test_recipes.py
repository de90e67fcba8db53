"""The rules of each post-training format."""

from __future__ import annotations

import json

import pytest

from stages.recipes import WeightRecipe, mixed_rules, rules_for, scope_of


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


def test_int4_has_the_rules_of_int8_as_its_bits_are_set_apart() -> None:
    assert rules_for("int4") == rules_for("int8")


def test_mixed_rules_are_one_a_domain_and_leave_float_out() -> None:
    rules = mixed_rules({"a;": "int8", "b;": "float", "c;": "int16", "d;": "int8"})
    assert [(rule["regex"], rule["op_config"]["activation_tensor_config"]["num_bits"]) for rule in rules] == [
        ("^(?:a;|d;)$", 8), ("^(?:c;)$", 16)]


def test_a_scope_is_the_outputs_names_each_with_a_semicolon() -> None:
    assert scope_of(["x/Relu;x/Conv2D", "y"]) == "x/Relu;x/Conv2D;y;"


@pytest.mark.parametrize(("given", "needed"), [
    ({}, False), ({"algorithm": "mse"}, False), ({"algorithm": "gptq"}, True), ({"bias_correction": True}, True)])
def test_samples_are_needed_where_outputs_are_looked_at(given: dict[str, object], needed: bool) -> None:
    assert WeightRecipe.model_validate(given).needs_samples is needed
