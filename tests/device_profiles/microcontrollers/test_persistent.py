"""What stays in the arena."""

from __future__ import annotations

from device_profiles.microcontrollers.persistent import DEVICE, HOST, persistent_bytes, planning_bytes
from tests.device_profiles.microcontrollers.graphs import convolution, single, tensor


def test_structures_of_one_convolution_add_up_on_a_32_bit_core() -> None:
    # 136 base; 4 tensors of 12; a node of 32; two ends of 40 + 20; pointers to them 16 + 16; one scratch handle 4;
    # options 28; parameters 56 (+ 4 with CMSIS-NN) in 64; multipliers and shifts of 4 filters 16 + 16
    graph = convolution(8, 8, 3, 4)

    assert len(graph.tensors) == 4
    assert persistent_bytes(graph, "cmsis-nn-dsp", DEVICE, 1) == 496  # 496 from 136 + 48 + 32 + 120 + 32 + 4 + 124


def test_the_same_structures_are_larger_on_the_64_bit_host() -> None:
    # 488; 4 * 24; 64; two ends of 64 + 32; 16 + 16; no scratch; 28 + 80 + 32
    assert persistent_bytes(convolution(8, 8, 3, 4), "reference", HOST, 0) == 1024  # from 1,012


def test_state_is_kept_for_good() -> None:
    plain = single("RELU", [tensor(0, (1, 4)), tensor(1, (1, 4))], (0,), (1,))
    state = single("RELU", [tensor(0, (1, 4)), tensor(1, (1, 4)), tensor(2, (100,), variable=True)], (0,), (1,))

    # 112 bytes of state and one tensor more: 12 bytes, rounded with the rest
    assert persistent_bytes(state, "reference", DEVICE, 0) - persistent_bytes(plain, "reference", DEVICE, 0) in (112,
                                                                                                               128)


def test_float_convolutions_keep_no_multipliers_with_cmsis_nn() -> None:
    graph = convolution(8, 8, 3, 4, number_format="float32")

    assert (persistent_bytes(graph, "reference", DEVICE, 0)
            - persistent_bytes(graph, "cmsis-nn-dsp", DEVICE, 0)) == 32


def test_int16_softmax_keeps_two_tables() -> None:
    tables = 2 * 1040  # 513 entries of two bytes, in steps of 16
    sizes = [persistent_bytes(single("SOFTMAX", [tensor(0, (1, 4), dtype), tensor(1, (1, 4), dtype)], (0,), (1,)),
                              "reference", DEVICE, 0) for dtype in ("int8", "int16")]

    assert sizes[1] - sizes[0] == tables


def test_a_matrix_by_channel_keeps_multipliers_and_one_by_tensor_none() -> None:
    sizes = [persistent_bytes(single("FULLY_CONNECTED", [tensor(0, (1, 4)), tensor(1, (8, 4), constant=True,
                                                                                  scales=scales), tensor(2, (1, 8))],
                                     (0, 1), (2,)), "reference", DEVICE, 0) for scales in ((1.0,), (1.0,) * 8)]

    assert sizes[1] - sizes[0] == 64


def test_making_the_plan_takes_room_for_each_tensor_and_buffer() -> None:
    # 12 * (1 + 12) requests, 24 * (4 + 1) allocations and 4, 40 for each of 3 buffers
    assert planning_bytes(convolution(8, 8, 3, 4), DEVICE, 3, 1) == 156 + 124 + 120
