"""The cheapest code is chosen, tables are shared where that pays, and what gains nothing is left alone."""

from __future__ import annotations

import numpy as np

from stages.packing.choosing import DECODE_BYTES, TENSOR_BYTES, choose, encode_all
from stages.packing.codes import Coding
from stages.packing.constants import Constant
from stages.packing.huffman import code_for
from tests.stages.packing.samples import clustered, dense_random, sparse

ALL: tuple[Coding, ...] = ("prune", "lut", "huffman")


def constant(values: np.ndarray, channels: int = 1, zero_points: tuple[int, ...] = (0,)) -> Constant:
    return Constant((0,), "", values.nbytes, values, np.array(zero_points), 0, channels, ())


def test_random_weights_are_left_alone() -> None:
    assert choose([constant(dense_random((64, 64)))], ALL) == {}


def test_few_equally_frequent_values_are_looked_up_where_huffman_is_not_asked_for() -> None:
    weights = constant(clustered((64, 64), 8))
    (choice,) = choose([weights], ("prune", "lut")).values()
    assert (choice.coding, choice.axis) == ("lut", None)
    # 3 bits of 4,096 elements, a header and 8 values
    assert choice.gain_bytes == 4096 - (1536 + 16 + 8 + TENSOR_BYTES + DECODE_BYTES)


def test_many_zeros_among_many_values_are_masked_where_huffman_is_not_asked_for() -> None:
    assert [each.coding for each in choose([constant(sparse((64, 64)))], ("prune", "lut")).values()] == ["prune"]


def test_tables_for_slices_follow_the_scales_and_are_not_tried_without() -> None:
    rows = np.stack([np.where(clustered((64,), 2, seed) > 0, seed, -seed) for seed in range(1, 33)]).astype(np.int8)
    assert choose([constant(rows, channels=32)], ("lut",))[0].axis == 0
    one_scale = choose([constant(rows)], ("lut",))
    assert one_scale == {} or one_scale[0].axis is None


def test_a_mask_of_four_byte_values_wants_zero_points_of_zero() -> None:
    bias = np.zeros(512, np.int32)
    assert list(choose([constant(bias)], ("prune",))) == [0]
    assert choose([constant(bias, zero_points=(3,))], ("prune",)) == {}


def test_weights_of_the_same_kind_share_a_code_and_others_have_their_own() -> None:
    same = [constant(clustered((64, 64), 8, seed)) for seed in range(3)]
    other = constant((sparse((128, 128), 0.7) // 16).astype(np.int8))
    found = choose([*same, other], ("huffman",))
    assert [found[n].group == found[0].group for n in range(4)] == [True, True, True, False]
    encoded = encode_all([*same, other], found)
    assert len({encoded[n].ancillary for n in range(3)}) == 1
    assert encoded[3].ancillary != encoded[0].ancillary


def test_a_shared_code_is_one_for_all_members_together() -> None:
    one, other = (constant(np.array([a] * 600 + [b] * 300 + [0] * 100, np.int8)) for a, b in ((1, 2), (2, 1)))
    found = choose([one, other], ("huffman",))
    code = code_for({0: 200, 1: 900, 2: 900})
    assert encode_all([one, other], found)[1] == code.encode(other.values)


def test_a_small_tensor_joins_a_table_that_it_could_not_pay_for() -> None:
    large, small = constant(clustered((64, 64), 40)), constant(clustered((16, 24), 40, 1))
    assert choose([small], ("huffman",)) == {}
    assert list(choose([large, small], ("huffman",))) == [0, 1]


def test_sixteen_and_eight_bit_integers_have_codes_of_their_own() -> None:
    words = constant(clustered((64, 64), 4).astype(np.int16))
    found = choose([words, constant(clustered((64, 64), 4))], ("huffman",))
    assert found[0].group != found[1].group
    assert encode_all([words], {0: found[0]})[0].ancillary[5] & 1 == 1


def test_the_cheapest_of_the_three_is_taken() -> None:
    for weights in (sparse((64, 64)), clustered((64, 64), 8), clustered((64, 64), 120), sparse((64, 64), 0.99)):
        each = {coding: choose([constant(weights)], (coding,)) for coding in ALL}
        best = max((found[0].gain_bytes for found in each.values() if found), default=0)
        assert choose([constant(weights)], ALL)[0].gain_bytes == best
