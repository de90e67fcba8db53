"""The calls of TFLM's op resolver."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from device_profiles.microcontrollers.operators import INSTEAD, TFLM_OPERATORS, add_call, instead, registrations
from device_profiles.operators import BUILTIN_NAMES
from device_profiles.workload import workload_of
from tests.device_profiles.microcontrollers.graphs import model
from tests.stages.sample_profiles import workload


@pytest.mark.parametrize(("name", "call"), [
    ("CONV_2D", "AddConv2D()"), ("DEPTHWISE_CONV_2D", "AddDepthwiseConv2D()"), ("ADD", "AddAdd()"),
    ("MAX_POOL_2D", "AddMaxPool2D()"), ("FULLY_CONNECTED", "AddFullyConnected()"), ("RELU6", "AddRelu6()"),
    ("SPACE_TO_BATCH_ND", "AddSpaceToBatchNd()"), ("BATCH_MATMUL", "AddBatchMatMul()"), ("PADV2", "AddPadV2()"),
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", "AddUnidirectionalSequenceLSTM()"), ("CUMSUM", "AddCumSum()"),
    ("SELECT_V2", "AddSelectV2()"), ("L2_POOL_2D", "AddL2Pool2D()"), ("ARG_MAX", "AddArgMax()")])
def test_an_operator_has_tflms_spelling(name: str, call: str) -> None:
    assert add_call(name) == call


def test_an_int8_registration_is_taken_where_there_is_one() -> None:
    assert add_call("CONV_2D", int8=True) == "AddConv2D(tflm::Register_CONV_2D_INT8())"
    assert add_call("RESHAPE", int8=True) == "AddReshape()"


def test_custom_operators_go_by_their_code() -> None:
    assert add_call("CUSTOM", "TFLM_DECODE") == 'AddCustom("TFLM_DECODE", tflm::Register_DECODE())'
    assert add_call("CUSTOM", "mine") is None


def test_each_operator_is_registered_once_in_the_order_of_the_model() -> None:
    calls, missing = registrations(workload_of(model()), int8=True)

    assert calls == {"CONV_2D": "AddConv2D(tflm::Register_CONV_2D_INT8())", "MEAN": "AddMean()",
                     "FULLY_CONNECTED": "AddFullyConnected(tflm::Register_FULLY_CONNECTED_INT8())",
                     "SOFTMAX": "AddSoftmax(tflm::Register_SOFTMAX_INT8())"}
    assert missing == []


def test_an_operator_in_float_keeps_all_kernels() -> None:
    calls, _ = registrations(workload_of(model("float32")), int8=True)

    assert calls["CONV_2D"] == "AddConv2D()"


def test_an_operator_that_tflm_lacks_is_returned_with_what_to_do() -> None:
    calls, missing = registrations(workload(operator="GELU"))

    assert (calls, [op.name for op in missing]) == ({}, ["GELU"])
    assert instead("GELU") == "use ReLU6 or hard-swish"
    assert instead("FlexErf").startswith("it is TensorFlow's own")
    assert instead("STABLEHLO_SORT") == "replace the layer that makes it"


def test_replacements_are_for_operators_that_exist_and_that_tflm_lacks() -> None:
    assert set(INSTEAD) <= set(BUILTIN_NAMES.values()) - TFLM_OPERATORS


def test_the_wheel_holds_a_registration_for_each_operator() -> None:
    spec = find_spec("tflite_micro")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("tflite-micro is not installed")
    library = Path(spec.submodule_search_locations[0]) / "python/tflite_micro/_runtime.so"
    content = library.read_bytes()

    # a mangled name ends in the length-prefixed function and "Ev": "...19Register_CONV_2D_..Ev"
    assert [name for name in sorted(TFLM_OPERATORS) if f"Register_{name}Ev".encode() not in content] == []
