"""A model's nodes: what can have which format, what shares one, how a user names it."""

from __future__ import annotations

import pytest

from device_profiles.errors import StageError, UsageError
from device_profiles.loader import load_profile
from stages.mixing.layout import candidates_of, read_layout, recipe_parts, weight_recipe
from stages.recipes import WeightRecipe, mixed_rules

ALL = ("float32", "dynamic", "int8", "int16x8", "int4")


def test_layers_take_every_format_and_the_rest_one_a_type(tiny_tflites: dict[str, bytes]) -> None:
    layout = read_layout(tiny_tflites["float32"], ALL)
    kinds = {node.label.split(" ")[0]: set(node.formats) for node in layout.nodes}
    assert kinds == {"input": {"float32", "int8", "int16x8"}, "0:CONV_2D": set(ALL), "1:DEPTHWISE_CONV_2D": set(ALL),
                     "2:MEAN": {"float32", "int8", "int16x8"}, "3:FULLY_CONNECTED": set(ALL),
                     "4:SOFTMAX": {"float32", "int8", "int16x8"}}


def test_4_bit_weights_alone_still_let_the_rest_be_int8(tiny_tflites: dict[str, bytes]) -> None:
    layout = read_layout(tiny_tflites["float32"], ("int4",))
    assert {node.formats for node in layout.nodes if node.layers} == {("int4", "float32")}
    assert {node.formats for node in layout.nodes if not node.layers} == {("float32", "int8")}


def test_every_float_tensor_between_nodes_is_an_edge(tiny_tflites: dict[str, bytes]) -> None:
    layout = read_layout(tiny_tflites["float32"], ALL)
    assert [(edge.maker, edge.reader) for edge in layout.edges] == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]


@pytest.mark.parametrize("name", ["3:FULLY_CONNECTED", "label", "output"])
def test_a_layer_is_found_by_number_label_and_output(tiny_tflites: dict[str, bytes], name: str) -> None:
    layout = read_layout(tiny_tflites["float32"], ALL)
    node = layout.nodes[4]
    assert layout.find({"label": node.label, "output": node.layers[0].name}.get(name, name)) == 4


def test_a_layer_that_is_not_there_is_refused_with_the_near_miss(tiny_tflites: dict[str, bytes]) -> None:
    with pytest.raises(StageError, match=r"no layer '0:CONV2D'; did you mean '0:CONV_2D"):
        read_layout(tiny_tflites["float32"], ALL).find("0:CONV2D")


def test_formats_are_the_profile_s_and_others_are_refused() -> None:
    iot = load_profile("iot")
    assert candidates_of((), iot) == ("float32", "int8", "int4", "int16x8")
    assert candidates_of(("int8",), iot) == ("int8",)
    assert candidates_of((), None) == ("int4", "int8", "float32")
    with pytest.raises(UsageError, match="the profile 'iot' does not run dynamic"):
        candidates_of(("int8", "dynamic"), iot)


def test_a_choice_becomes_rules_by_scope_and_bits_by_layer(tiny_tflites: dict[str, bytes]) -> None:
    layout = read_layout(tiny_tflites["float32"], ALL)
    domains, bits = recipe_parts(layout, {1: "int4", 2: "int16x8", 3: "int8", 4: "dynamic"})
    names = [node.scopes[0] for node in layout.nodes]
    assert domains == {names[1]: "int8", names[2]: "int16", names[3]: "int8", names[4]: "dynamic"}
    assert list(bits.values()) == [4, 8, 8]
    like = WeightRecipe(bits=4, algorithm="gptq", keep=("first",))
    assert weight_recipe(bits, like) == WeightRecipe(bits=4, algorithm="gptq", layers=bits)
    assert weight_recipe({}, like) is None


def test_rules_match_a_name_with_special_signs_and_no_other() -> None:
    (rule,) = mixed_rules({"a+b/(c);": "int8"})
    assert rule["regex"] == r"^(?:a\+b/\(c\);)$"
