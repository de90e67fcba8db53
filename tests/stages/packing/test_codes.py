"""Bit mask and look-up table, byte by byte as TFLM's kernels read them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from device_profiles.decoding import PRUNE, decode
from stages.packing.codes import Encoded, header, index_bits, look_up, look_up_bytes, prune, prune_bytes

NONE = np.zeros(1, np.int64)


def back(encoded: Encoded, like: np.ndarray, points: np.ndarray = NONE, axis: int = 0) -> np.ndarray:
    return decode(encoded.stream, encoded.ancillary, like.shape, like.dtype, points, axis)


def test_the_header_has_code_version_and_parameters_in_sixteen_bytes() -> None:
    assert header(PRUNE, 0x12, 0x34).hex(" ") == "02 01 00 00 01 12 34 00 00 00 00 00 00 00 00 00"


def test_a_bit_mask_has_the_first_element_in_the_most_significant_bit_and_the_values_beside_it() -> None:
    encoded = prune(np.array([0, 5, 0, 0, -1, 0, 0, 0, 7, 0], np.int8), NONE, 0)
    assert encoded.stream == bytes([0b01001000, 0b10000000])
    assert encoded.ancillary == header(PRUNE) + bytes([5, 0xFF, 7])


def test_values_of_four_bytes_are_little_endian_behind_the_mask() -> None:
    encoded = prune(np.array([0, 258], np.int32), NONE, 0)
    assert (encoded.stream, encoded.ancillary[16:]) == (bytes([0b01000000]), bytes([2, 1, 0, 0]))


@pytest.mark.parametrize(("axis", "points", "mask", "values"), [
    (0, [1, -2], 0b00101000, [4, 9]),      # rows 1 1 4 and -2 9 -2: 0 0 1, 0 1 0
    (1, [1, 9, -2], 0b01110000, [1, 4, 0xFE]),  # columns: 0 1 1, 1 0 0
])
def test_zeros_are_the_zero_points_of_their_slice(axis: int, points: list[int], mask: int, values: list[int]) -> None:
    given_values, zero_points = np.array([[1, 1, 4], [-2, 9, -2]], np.int8), np.array(points)
    encoded = prune(given_values, zero_points, axis)
    assert (encoded.stream, list(encoded.ancillary[16:])) == (bytes([mask]), values)
    assert np.array_equal(back(encoded, given_values, zero_points, axis), given_values)


def test_a_table_for_all_is_not_gone_on_in_from_slice_to_slice() -> None:
    encoded = look_up(np.array([3, -1, 3, 3, 9], np.int8), None)
    assert encoded.stream == bytes([0b01000101, 0b10000000])  # 1 0 1 1 2 in two bits each
    assert encoded.ancillary == bytes([0, 1, 0, 0, 1, 0xF2, 0]) + bytes(9) + bytes([0xFF, 3, 9])


def test_tables_for_slices_are_padded_to_the_longest() -> None:
    encoded = look_up(np.array([[1, 2], [5, 5]], np.int8), 0)
    assert encoded.stream == bytes([0b01000000])
    assert encoded.ancillary == bytes([0, 1, 0, 0, 1, 0x01, 2]) + bytes(9) + bytes([1, 2, 5, 0])


def test_the_package_writes_the_same_bytes_but_for_the_distance_between_tables() -> None:
    from tflite_micro.tensorflow.lite.micro.compression import lut, model_editor, spec

    values = np.random.default_rng(0).integers(-3, 3, (4, 5)).astype(np.int8)
    tensor = model_editor.Tensor(shape=values.shape, dtype=9, data=values)
    theirs = lut.LutCompressor().compress(tensor, spec.LookUpTableCompression(3, spec.PerTensor()))
    ours = look_up(values, None)
    assert ours.stream == theirs.encoded_data
    assert ours.ancillary[:6] + ours.ancillary[7:] == theirs.ancillary_data[:6] + theirs.ancillary_data[7:]
    assert (ours.ancillary[6], theirs.ancillary_data[6]) == (0, len(np.unique(values)))


@pytest.mark.parametrize(("count", "bits"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (128, 7), (129, 8)])
def test_an_index_has_as_many_bits_as_the_table_needs(count: int, bits: int) -> None:
    assert index_bits(count) == bits


def test_a_table_of_129_values_is_too_large() -> None:
    assert look_up_bytes(np.arange(-64, 65, dtype=np.int8), None) is None
    assert look_up_bytes(np.arange(-64, 64, dtype=np.int8), None) == (128 * 7 // 8, 16 + 128)


@settings(max_examples=60, deadline=None)
@given(arrays(st.sampled_from([np.int8, np.int16, np.int32, np.int64]),
              array_shapes(min_dims=1, max_dims=4, max_side=5), elements=st.integers(-3, 3)), st.data())
def test_what_is_coded_decodes_to_itself_in_the_size_foretold(values: np.ndarray, data: st.DataObject) -> None:
    axis = data.draw(st.sampled_from([None, 0, values.ndim - 1]))
    table, mask = look_up(values, axis), prune(values, NONE, 0)
    assert (len(table.stream), len(table.ancillary)) == look_up_bytes(values, axis)
    assert (len(mask.stream), len(mask.ancillary)) == prune_bytes(values, NONE, 0)
    for encoded in (table, mask):
        assert np.array_equal(back(encoded, values), values)
