"""Packed constants are unpacked as TFLM does, and a damaged one ends in an error."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.decoding import DECODE, decode, tflm_alone
from device_profiles.errors import TfliteError
from device_profiles.workload import read_workload
from tests.device_profiles.handmade import Handmade, conv_model

NONE = np.zeros(1, np.int64)
INT8 = np.dtype(np.int8)
MASK = bytes([2, 1, 0, 0, 1]) + bytes(11)


def uint8(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


def packed(stream: np.ndarray, ancillary: np.ndarray) -> bytes:
    """A 1x1 convolution from 2 to 4 channels on 3x3, whose eight int8 weights a DECODE operator unpacks."""
    made = Handmade()
    data, out = made.activation((1, 3, 3, 2), "INT8"), made.activation((1, 3, 3, 4), "INT8")
    weights = made.activation((4, 1, 1, 2), "INT8")
    made.operator("CUSTOM", [made.constant(stream), made.constant(ancillary)], [weights], custom=DECODE)
    made.operator("CONV_2D", [data, weights], [out], "Conv2DOptions", {"strideW": 1, "strideH": 1})
    return made.bytes([data], [out])


MASKED = packed(uint8(0b10010000), uint8(*MASK, 5, 7))


def test_a_mask_of_one_slice_per_row_takes_the_rows_zero_point() -> None:
    found = decode(bytes([0b01100000]), MASK + bytes([9, 8]), (2, 2), INT8, np.array([3, 4]), 0)
    assert found.tolist() == [[3, 9], [8, 4]]


@pytest.mark.parametrize(("axis", "expected"), [(0, [[1, 2], [6, 5]]), (1, [[1, 6], [2, 5]]), (15, [[1, 2], [2, 1]])])
def test_a_look_up_takes_the_table_of_the_slice(axis: int, expected: list[list[int]]) -> None:
    ancillary = bytes([0, 1, 0, 0, 1, axis << 4 | 1, 2 if axis < 15 else 0]) + bytes(9) + bytes([1, 2, 5, 6])
    assert decode(bytes([0b01100000]), ancillary, (2, 2), INT8, NONE, 0).tolist() == expected


def test_huffman_symbols_are_found_through_a_second_table_and_unused_bits_are_put_back() -> None:
    rows = np.array([0x8800, 0x8800, 0x9001, 0x0001, 0x88FF, 0x8802], "<u2").tobytes()
    ancillary = bytes([1, 1, 0, 0, 1, 0x10]) + bytes(10) + rows
    assert decode(bytes([0b01011011, 0b10000000]), ancillary, (4,), INT8, NONE, 0).tolist() == [0, 1, -1, 2]


@pytest.mark.parametrize("ancillary", [b"", bytes([7, 1]) + bytes(14), bytes([2, 2]) + bytes(14)],
                         ids=["empty", "code 7", "version 2"])
def test_an_unknown_code_is_refused(ancillary: bytes) -> None:
    with pytest.raises(TfliteError, match="unknown code"):
        decode(b"\0", ancillary, (2,), INT8, NONE, 0)


def test_inspection_counts_the_zeros_macs_and_stored_bytes_of_packed_weights() -> None:
    work = read_workload(MASKED)
    unpacking, convolution = work.operators
    assert (convolution.weights, convolution.zero_weights, convolution.macs) == (8, 6, 9 * 4 * 2)
    assert convolution.weight_bytes == 1 + 16 + 2  # the mask; header and two values
    assert (work.parameters, work.number_format, work.sparsity) == (8, "int8", 0.75)
    assert (unpacking.label, unpacking.macs, unpacking.once, unpacking.output_elements) == (
        "CUSTOM 'TFLM_DECODE'", 0, False, 8)


def test_what_is_unpacked_lies_in_the_arena() -> None:
    assert read_workload(MASKED).activation_peak_bytes == 18 + 36 + 8  # input, output, weights


@pytest.mark.parametrize(("stream", "ancillary"), [
    (uint8(0b11111111), uint8(*MASK, 5)),                              # eight values wanted, one there
    (uint8(), uint8(*MASK, 5)),                                        # no mask
    (uint8(0xFF), uint8(1, 1, 0, 0, 1, 0x70, *[0] * 10, 1, 0)),        # a table of 256 entries with one
    (uint8(0xFF), uint8(0, 1, 0, 0, 1, 0xF1, *[0] * 10, 4)),           # index 1 of a table with one entry
], ids=["values", "mask", "table", "look-up"])
def test_damaged_codes_end_in_an_error_that_names_the_operator(stream: np.ndarray, ancillary: np.ndarray) -> None:
    with pytest.raises(TfliteError, match="operator 0"):
        read_workload(packed(stream, ancillary))


def test_a_decode_operator_with_too_few_inputs_is_damaged() -> None:
    made = Handmade()
    out = made.activation((2, 1, 1, 2), "INT8")
    data = made.activation((1, 1, 1, 2), "INT8")
    made.operator("CUSTOM", [made.constant(uint8(1))], [out], custom=DECODE)
    made.operator("CONV_2D", [data, out], [made.activation((1, 1, 1, 2), "INT8")], "Conv2DOptions")
    with pytest.raises(TfliteError, match="makes more tensors than it has streams for"):
        read_workload(made.bytes([data], [2]))


def test_what_only_tflm_reads_is_told() -> None:
    assert "TFLM_DECODE" in tflm_alone(MASKED)
    one_point = conv_model(np.ones((3, 3, 3, 2), np.int8), "INT8", scales=(1.0, 2.0, 3.0), zero_points=(0,))
    assert "one zero point" in tflm_alone(one_point)
    assert tflm_alone(conv_model()) == ""
    assert tflm_alone(b"no model at all") == ""
