"""Names of inputs and outputs, read from the file."""

from __future__ import annotations

from typing import Any

import pytest

from device_profiles.errors import TfliteError
from stages.engines.signature import Names, keeps_state, names_or_numbers, read_names
from tests.stages import two_by_two


@pytest.fixture(scope="module")
def pair() -> bytes:
    return two_by_two.convert(two_by_two.build(), two_by_two.stored(), "float32")


def unsigned(content: bytes) -> bytes:
    """The same model without its signatures, as older converters wrote it."""
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    model.signatureDefs = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def engine_order(content: bytes) -> tuple[list[Any], list[Any]]:
    """Shapes of inputs and outputs as the interpreter numbers them."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    return ([each["shape"].tolist() for each in interpreter.get_input_details()],
            [each["shape"].tolist() for each in interpreter.get_output_details()])


def test_names_are_those_of_the_keras_layers_in_the_engines_order(pair: bytes) -> None:
    names, (inputs, outputs) = read_names(pair), engine_order(pair)
    assert names.signature == "serving_default"
    assert dict(zip(names.inputs, inputs, strict=True)) == {"image": [1, 6, 6, 1], "age": [1, 2]}
    assert dict(zip(names.outputs, outputs, strict=True)) == {"kind": [1, 3], "value": [1, 1]}


def test_without_a_signature_tensor_names_lose_their_decoration(pair: bytes) -> None:
    names = read_names(unsigned(pair))
    assert (names.signature, set(names.inputs)) == ("", {"image", "age"})
    assert len(set(names.outputs)) == 2  # StatefulPartitionedCall:0 and :1 are told apart


def test_a_file_that_is_none_is_refused_or_numbered() -> None:
    with pytest.raises(TfliteError):
        read_names(b"no model")
    assert names_or_numbers(b"no model", 2, 1) == Names(("input 0", "input 1"), ("output 0",), "")


def test_a_model_without_variables_keeps_no_state(pair: bytes) -> None:
    assert not keeps_state(pair)
    assert not keeps_state(b"no model at all, whatever one makes of its bytes")


def test_an_engine_that_counts_other_tensors_gets_numbers(tiny_tflites: dict[str, bytes]) -> None:
    assert names_or_numbers(tiny_tflites["int8"], 2, 1).inputs == ("input 0", "input 1")
    assert names_or_numbers(tiny_tflites["int8"], 1, 1).outputs == ("dense",)
