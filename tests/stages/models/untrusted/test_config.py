"""Descriptions of Keras models: what they may name, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stages.models.untrusted.config import scan_config
from stages.models.untrusted.records import Finding, ScanLimits
from tests.stages.models.hostile import dense, function, sequential


def found_in(config: Any, *allowed: str, limits: ScanLimits | None = None) -> list[Finding]:
    return scan_config(json.dumps(config), "config.json", allowed, limits or ScanLimits())


def only(config: Any, *allowed: str) -> Finding:
    found = found_in(config, *allowed)
    assert len(found) == 1, found
    return found[0]


def layer(name: str, module: str | None = "keras.layers", **more: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "registered_name": None, "config": {"name": "it"}} | more


def test_layers_of_both_keras_have_no_findings() -> None:
    assert found_in(sequential(dense(), layer("ReLU", "tf_keras.layers"), layer("Conv2D", None),
                               layer("Functional", "keras.src.models.functional"),
                               layer("Add", "keras.src.ops.numpy"),
                               layer("LayerScale", "tf_keras.src.applications.convnext"))) == []


def test_a_lambda_layer_is_found_with_its_name() -> None:
    found = only(sequential(dense(), layer("Lambda")))
    assert (found.what, found.where) == ("a Lambda layer", "config.json: layer 'it'")


def test_a_lambda_hidden_in_a_harmless_layer_is_found() -> None:
    hidden = {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}
    found = only(sequential(dense("outer", activation=hidden)))
    assert (found.what, found.where) == ("a lambda", "config.json: layer 'outer'")


@pytest.mark.parametrize(("module", "name"), [
    ("builtins", "eval"), ("os", "system"), ("keras.utils", "get_file"), ("keras", "get_file"),
    ("keras.config", "enable_unsafe_deserialization"), ("keras.src.utils.file_utils", "get_file"),
    ("keras.models", "load_model"), ("keras.activations", "eval"), ("keras.activations.os", "relu.x"),
])
def test_a_function_that_is_no_activation_is_found(module: str, name: str) -> None:
    found = only(sequential(dense(activation=function(module, name))))
    assert found.what == f"the function '{module}.{name}'"
    assert found.where == "config.json: layer 'dense'"


@pytest.mark.parametrize("given", [function("builtins", "relu"), function("keras.activations", "hard_silu"),
                                   function("keras.src.activations.activations", "gelu"), "swish", None])
def test_activations_of_keras_have_no_findings(given: Any) -> None:
    assert found_in(sequential(dense(activation=given))) == []


def test_an_activation_by_an_unknown_name_is_found() -> None:
    assert only(sequential(dense(activation="serialize"))).what == "the activation 'serialize'"


@pytest.mark.parametrize(("module", "name"), [
    ("subprocess", "Popen"), ("keras.src.utils.x", "Dense"), ("torch.nn", "Dense"), ("keras.layers", "Popen"),
    ("keras.layersx", "Dense"), ("keras.initializers", "Dense"), ("keras.src.ops.core", "Map"), (None, "MyLayer"),
    ("keras.callbacks", "LambdaCallback"), ("keras.saving", "load_model"),
])
def test_a_class_outside_the_list_is_found(module: str | None, name: str) -> None:
    found = only(sequential(layer(name, module)))
    assert found.what == f"the class '{f'{module}.' if module else ''}{name}'"


@pytest.mark.parametrize("name", ["TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer", "InstanceMethod"])
def test_layers_of_keras_that_load_code_are_refused_by_name(name: str) -> None:
    assert only(sequential(layer(name))).what == f"a {name} layer"


def test_a_registered_class_of_the_author_is_found() -> None:
    found = only(sequential(layer("Dense", registered_name="theirs>Dense")))
    assert found.what == "the registered class 'theirs>Dense'"


def test_a_class_on_the_users_list_passes_in_its_module_alone() -> None:
    given = layer("Gate", "my.layers", registered_name="Custom>Gate")
    assert found_in(sequential(given), "my.layers:Gate") == []
    assert len(found_in(sequential(given), "my.layers:Other")) == 1
    assert len(found_in(sequential(given | {"module": "os"}), "my.layers:Gate")) == 1
    assert len(found_in(sequential(given | {"registered_name": "x>Popen"}), "my.layers:Gate")) == 1


def test_a_function_on_the_users_list_passes() -> None:
    assert found_in(sequential(dense(activation=function("my.layers", "wave"))), "my.layers:wave") == []
    assert found_in(sequential(dense(activation="wave")), "my.layers:wave") == []


def test_a_vocabulary_by_path_is_found_and_one_by_value_is_not() -> None:
    by_path = layer("StringLookup", config={"name": "words", "vocabulary": "/etc/passwd"})
    found = only(sequential(by_path))
    assert found.what == "a StringLookup layer with the vocabulary file '/etc/passwd'"
    assert found_in(sequential(layer("StringLookup", config={"name": "words", "vocabulary": ["a"]}))) == []


@pytest.mark.parametrize("name", ["io.read_file", "io.write_file", "py_function", "numpy_function", "raw_ops.ReadFile",
                                  "print", "nn.experimental.x", "random.normal", "compat.v1.py_func", "math.add\nx"])
def test_a_tensorflow_function_that_does_more_than_compute_is_found(name: str) -> None:
    found = only(sequential(layer("TFOpLambda", config={"name": "op", "function": name})))
    assert found.what == f"a call of the TensorFlow function {name!r}"


@pytest.mark.parametrize("name", ["math.add", "nn.relu", "concat", "__operators__.getitem", "image.resize", "reshape"])
def test_a_tensorflow_function_that_computes_has_no_finding(name: str) -> None:
    assert found_in(sequential(layer("TFOpLambda", config={"name": "op", "function": name}))) == []


def test_a_type_of_another_module_is_found() -> None:
    spec = {"class_name": "__typespec__", "spec_name": "Popen", "module": "subprocess", "registered_name": None,
            "config": [[None, 2], "float32"]}
    assert only(sequential(dense(dtype=spec))).what == "the type 'subprocess.Popen'"
    harmless = spec | {"spec_name": "TensorSpec", "module": "tensorflow"}
    assert found_in(sequential(dense(dtype=harmless))) == []


def test_a_class_name_that_is_no_text_is_found() -> None:
    assert only(sequential({"class_name": ["Dense"], "config": {}})).what == "a class name that is no text: ['Dense']"


def test_a_million_layers_are_refused_without_being_walked() -> None:
    text = "[" + ", ".join(['{"class_name": "Dense", "config": {}}'] * 1_000_000)  # no JSON: it is not even parsed
    found = scan_config(text, "config.json", (), ScanLimits())
    assert [finding.what for finding in found] == ["more than 20,000 layers and settings objects"]


def test_layers_under_an_escaped_key_are_counted_too() -> None:
    text = json.dumps(sequential(*[dense()] * 9)).replace("class_name", "class\\u005fname")
    # the model, its input, and nine layers with their nine activations
    assert scan_config(text, "config.json", (), ScanLimits(nodes=20)) == []
    found = scan_config(text, "config.json", (), ScanLimits(nodes=19))
    assert [finding.what for finding in found] == ["more than 19 layers and settings objects"]


@pytest.mark.parametrize("text", ["", "{", "[" * 200_000, b"\xff\xfe"])
def test_what_is_no_json_is_a_finding(text: str | bytes) -> None:
    found = scan_config(text, "config.json", (), ScanLimits())
    assert [finding.what for finding in found] == ["a description that is no JSON"]


def test_control_characters_of_a_name_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in str(only(sequential(layer("Evil\x1b[2J"))))
