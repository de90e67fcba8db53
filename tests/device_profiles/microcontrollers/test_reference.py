"""Scratch buffers of TFLM's own kernels."""

from __future__ import annotations

from device_profiles.microcontrollers.reference import UNKNOWN, reference_scratch
from device_profiles.tflite import Graph
from tests.device_profiles.microcontrollers.graphs import convolution, single, tensor


def _scratch(graph: Graph) -> tuple[int, ...]:
    return reference_scratch(graph, graph.operators[0])


def test_a_convolution_takes_none() -> None:
    assert _scratch(convolution(8, 8, 3, 4)) == ()


def test_a_filter_of_four_bits_is_unpacked_to_a_byte_an_element() -> None:
    tensors = [tensor(0, (1, 8)), tensor(1, (4, 8), "int4", constant=True), tensor(2, (1, 4))]

    assert _scratch(single("FULLY_CONNECTED", tensors, (0, 1), (2,))) == (32,)


def test_a_quantized_mean_sums_in_32_bits() -> None:
    for dtype, sizes in (("int8", (24,)), ("int16", (24,)), ("float32", ())):
        tensors = [tensor(0, (1, 4, 4, 6), dtype), tensor(1, (2,), "int32", constant=True), tensor(2, (1, 6), dtype)]
        assert _scratch(single("MEAN", tensors, (0, 1), (2,))) == sizes


def test_a_maximum_keeps_an_index_an_axis() -> None:
    tensors = [tensor(0, (1, 4, 4, 6)), tensor(1, (2,), "int32", constant=True), tensor(2, (1, 6))]

    assert _scratch(single("REDUCE_MAX", tensors, (0, 1), (2,))) == (16, 8)


def test_a_transposed_convolution_accumulates_its_whole_output() -> None:
    for dtype, size in (("int8", 4), ("int16", 8)):
        tensors = [tensor(0, (4,), "int32", constant=True), tensor(1, (2, 3, 3, 4), constant=True),
                   tensor(2, (1, 4, 4, 4), dtype), tensor(3, (1, 8, 8, 2), dtype)]
        assert _scratch(single("TRANSPOSE_CONV", tensors, (0, 1, 2), (3,))) == (128 * size,)


def test_svdf_holds_filters_and_outputs() -> None:
    tensors = [tensor(0, (2, 8)), tensor(1, (12, 8), constant=True), tensor(2, (12, 5), constant=True),
               tensor(3, (2, 6))]

    assert _scratch(single("SVDF", tensors, (0, 1, 2), (3,))) == (2 * 12 * 4, 2 * 6 * 4)


def test_an_lstm_holds_four_gates() -> None:
    tensors = [tensor(index, (1, 7), "int16" if index == 19 else "int8", variable=index in (18, 19))
               for index in range(21)]

    assert _scratch(single("UNIDIRECTIONAL_SEQUENCE_LSTM", tensors, tuple(range(20)), (20,))) == (14,) * 4


def test_operators_that_run_other_graphs_are_not_known() -> None:
    assert {"IF", "WHILE", "CALL_ONCE"} < set(UNKNOWN)
