"""Reading a tflite file ends in records or in a TfliteError, whatever the bytes are."""

from __future__ import annotations

import inspect
import re
import struct
import time
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.errors import TfliteError
from device_profiles.operators import BUILTIN_NAMES, OPTION_FIELDS
from device_profiles.tflite import DTYPES, read_tflite
from device_profiles.workload import read_workload
from tests.device_profiles.handmade import Handmade, conv_model

GOOD = conv_model()


def read_or_refuse(data: bytes) -> None:
    """The only two ways in which reading may end."""
    with suppress(TfliteError):
        assert read_workload(data).macs >= 0


def test_a_graph_is_read_with_shapes_types_options_and_signatures() -> None:
    model = read_tflite(GOOD)
    graph = model.graphs[0]
    conv, softmax = graph.operators
    assert (conv.name, conv.version, conv.inputs, conv.outputs) == ("CONV_2D", 3, (0, 1, 2), (3,))
    assert conv.options == {"padding": 0, "stride_w": 2, "stride_h": 2, "fused_activation": 1, "dilation_w": 1,
                            "dilation_h": 1}
    assert (softmax.name, softmax.options) == ("SOFTMAX", {"beta": 1.0})
    assert graph.tensors[0].shape == (1, 4, 4, 2)
    assert graph.tensors[0].shape_signature == (-1, 4, 4, 2)
    kernel = graph.tensors[1]
    assert (kernel.dtype, kernel.size_bytes, kernel.is_constant) == ("float32", 216, True)
    assert (graph.inputs, graph.outputs, model.signatures) == ((0,), (4,), ("serving_default",))
    assert model.size_bytes == len(GOOD)


def test_quantization_parameters_are_read() -> None:
    kernel = np.ones((3, 3, 3, 2), np.int8)
    data = conv_model(kernel, "INT8", scales=(0.5, 0.25, 2.0), zero_points=(0, 0, 0))
    tensor = read_tflite(data).graphs[0].tensors[1]
    assert (tensor.scales, tensor.zero_points, tensor.axis) == ((0.5, 0.25, 2.0), (0, 0, 0), 0)


def test_operator_names_and_tensor_types_are_those_of_the_schema() -> None:
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    types = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
    assert dict(BUILTIN_NAMES) == names
    assert {code: name for code, (name, _) in DTYPES.items()} == types


OPTION_CLASSES = {
    "CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions", "L2_POOL_2D": "Pool2DOptions", "FULLY_CONNECTED": "FullyConnectedOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions", "BATCH_MATMUL": "BatchMatMulOptions", "SOFTMAX": "SoftmaxOptions",
    "CONCATENATION": "ConcatenationOptions", "ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNNOptions",
}


def test_every_option_stands_in_the_slot_that_the_schema_gives_it() -> None:
    assert set(OPTION_CLASSES) == set(OPTION_FIELDS)
    forms = {"Int8": "b", "Int32": "i", "Bool": "?", "Float32": "f"}
    for operator, fields in OPTION_FIELDS.items():
        for option, (slot, form, _) in fields.items():
            method = "".join(word.capitalize() for word in option.split("_"))
            method = "FusedActivationFunction" if option == "fused_activation" else method
            method = {"DilationW": "DilationWFactor", "DilationH": "DilationHFactor"}.get(method, method)
            source = inspect.getsource(getattr(getattr(schema, OPTION_CLASSES[operator]), method))
            kinds = re.findall(r"number_types\.(\w+)Flags, o", source)
            assert (f"Offset({4 + 2 * slot})" in source, forms[kinds[0]]) == (True, form), (operator, option)


@pytest.mark.parametrize(("data", "words"), [
    (b"", "the file is empty"),
    (b"x", "not a tflite model"),
    (b"\x1c\x00\x00\x00TFL2" + b"\x00" * 40, "not a tflite model"),
    (b"PK\x03\x04" + b"\x00" * 40, "a zip archive"),
    (b"\x89HDF\r\n\x1a\n" + b"\x00" * 40, "an HDF5 file"),
    (b"<html><body>404", "an HTML page"),
    (b"\xff\xff\xff\xffTFL3" + b"\x00" * 40, "points outside the file"),
    (b"\x1c\x00\x00\x00TFL3", "points outside the file"),
])
def test_a_file_that_is_no_tflite_model_is_named_for_what_it_is(data: bytes, words: str) -> None:
    with pytest.raises(TfliteError, match=words):
        read_tflite(data)


def test_every_truncation_is_refused() -> None:
    whole = read_workload(GOOD)
    for length in range(len(GOOD)):
        try:
            workload = read_workload(GOOD[:length])
        except TfliteError:
            continue
        # What the compiler put at the very end may be padding: then nothing of the model is missing.
        assert workload == whole.model_copy(update={"tflite_bytes": length})
        assert not any(GOOD[length:])


def test_every_single_byte_flip_ends_in_a_workload_or_a_tflite_error() -> None:
    for position in range(len(GOOD)):
        for mask in (0x01, 0x80, 0xFF):
            data = bytearray(GOOD)
            data[position] ^= mask
            read_or_refuse(bytes(data))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(8, len(GOOD) - 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6))
def test_random_damage_ends_in_a_workload_or_a_tflite_error(patches: list[tuple[int, bytes]]) -> None:
    data = bytearray(GOOD)
    for position, patch in patches:
        data[position : position + len(patch)] = patch
    read_or_refuse(bytes(data))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_behind_the_identifier_end_in_a_tflite_error(tail: bytes) -> None:
    with pytest.raises(TfliteError):
        read_tflite(struct.pack("<I", 8) + b"TFL3" + tail)


def test_a_list_that_claims_four_thousand_million_entries_costs_neither_time_nor_memory() -> None:
    places = [i for i in range(8, len(GOOD) - 4) if struct.unpack_from("<I", GOOD, i)[0] in (1, 2, 5)]
    tracemalloc.start()
    start = time.perf_counter()
    for place in places:
        data = bytearray(GOOD)
        struct.pack_into("<I", data, place, 0xFFFFFFFF)
        read_or_refuse(bytes(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.perf_counter() - start < 20
    assert peak < 20_000_000


def test_lists_that_overlap_are_refused_instead_of_read_for_ever() -> None:
    made = Handmade()
    tensor = made.activation((1,))
    data = bytearray(made.bytes([tensor], [tensor]) + b"\x00" * 4_000)
    vectors = [i for i in range(8, len(data) - 8) if struct.unpack_from("<I", data, i)[0] == 1]
    for place in vectors:  # one of these is the length of the list of tensors or graphs
        copy = bytearray(data)
        struct.pack_into("<I", copy, place, 900)
        read_or_refuse(bytes(copy))


def test_a_constant_whose_bytes_do_not_fit_its_shape_is_refused() -> None:
    made = Handmade()
    weights = made.constant(np.ones((3, 2), np.float32))
    made.graph.tensors[weights].shape = [3, 3]
    with pytest.raises(TfliteError, match="tensor 0 holds 24 bytes, its shape and type need 36"):
        read_tflite(made.bytes([], []))


@pytest.mark.parametrize(("change", "words"), [
    (lambda made: setattr(made.graph.operators[0], "inputs", [9]), "operator 0 uses tensor 9 of 2"),
    (lambda made: setattr(made.graph.operators[0], "inputs", [-2]), "operator 0 uses tensor -2 of 2"),
    (lambda made: setattr(made.graph.operators[0], "opcodeIndex", 4), "operator 0 has code 4 of 1"),
    (lambda made: setattr(made.graph.tensors[0], "buffer", 7), "kept in buffer 7 of 1"),
    (lambda made: setattr(made.graph.tensors[0], "type", 99), "unknown type 99"),
    (lambda made: setattr(made.graph.tensors[0], "shape", [-5]), "impossible shape"),
    (lambda made: setattr(made.graph.tensors[0], "shape", [1] * 40), "impossible shape"),
    (lambda made: setattr(made.model, "version", 2), "schema version is 2, not 3"),
    (lambda made: setattr(made.model, "subgraphs", []), "it has no graph"),
])
def test_an_index_or_a_shape_that_cannot_be_is_named(change: object, words: str) -> None:
    made = Handmade()
    left, right = made.activation((2, 2)), made.activation((2, 2))
    made.operator("RELU", [left], [right])
    change(made)  # type: ignore[operator]
    with pytest.raises(TfliteError, match=words):
        read_tflite(made.bytes([0], [1]))


def test_a_large_buffer_behind_the_flatbuffer_is_found_by_offset_and_size() -> None:
    made = Handmade()
    weights = made.constant(np.zeros(2, np.float32))
    buffer = made.model.buffers[1]
    buffer.data, buffer.offset, buffer.size = None, 1 << 20, 8
    head = made.bytes([], [])
    data = head + b"\x00" * ((1 << 20) - len(head)) + np.array([1.5, 2.5], np.float32).tobytes()
    assert np.frombuffer(read_tflite(data).graphs[0].tensors[weights].data, np.float32).tolist() == [1.5, 2.5]
    with pytest.raises(TfliteError, match="past the end of the file"):
        read_tflite(data[:-1])


def test_names_that_are_not_utf_8_are_shown_and_not_fatal() -> None:
    data = GOOD.replace(b"input", b"inp\xff\xfe")
    assert read_tflite(data).graphs[0].tensors[0].name == "inp\\xff\\xfe"


def test_state_is_told_from_other_tensors():
    made = Handmade()
    data, state, out = (made.activation((1, 4)) for _ in range(3))
    made.graph.tensors[state].isVariable = True
    made.operator("ADD", [data, state], [out])
    tensors = read_tflite(made.bytes([data], [out])).graphs[0].tensors
    assert [tensor.variable for tensor in tensors] == [False, True, False]


def test_constants_behind_the_flatbuffer_are_counted():
    made = Handmade()
    data, out = made.activation((1, 4)), made.activation((1, 4))
    weights = made.constant(np.zeros((4, 4), np.float32))
    made.operator("FULLY_CONNECTED", [data, weights], [out])
    assert read_tflite(made.bytes([data], [out])).outside_buffers == 0
    buffer = made.model.buffers[-1]
    buffer.data, buffer.offset, buffer.size = None, 16, 64
    assert read_tflite(made.bytes([data], [out])).outside_buffers == 1
