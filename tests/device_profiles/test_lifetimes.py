"""The least memory that a graph's activations need, worked out by hand."""

from __future__ import annotations

import numpy as np

from device_profiles.workload import read_workload
from tests.device_profiles.handmade import Handmade


def test_the_activation_peak_is_the_largest_sum_of_tensors_that_live_together() -> None:
    made = Handmade()
    a, b, c, d = (made.activation((1, size), "INT8") for size in (100, 50, 50, 10))
    made.operator("RELU", [a], [b])            # a, b live: 150
    made.operator("RESHAPE", [b], [c])         # c is b's memory
    made.operator("ADD", [c, b], [d])          # b, d live: 60
    assert read_workload(made.bytes([a], [d])).activation_peak_bytes == 150


def test_a_residual_tensor_lives_until_it_is_added() -> None:
    made = Handmade()
    a, b, c = (made.activation((1, 100), "INT8") for _ in range(3))
    made.operator("RELU", [a], [b])
    made.operator("ADD", [a, b], [c])
    assert read_workload(made.bytes([a], [c])).activation_peak_bytes == 300


def test_a_circle_of_views_in_a_damaged_graph_ends() -> None:
    made = Handmade()
    a, b = made.activation((4,)), made.activation((4,))
    made.operator("RESHAPE", [a], [b])
    made.operator("RESHAPE", [b], [a])
    assert read_workload(made.bytes([a], [b])).activation_peak_bytes == 32


def test_weights_that_are_unpacked_from_constants_are_no_activations() -> None:
    made = Handmade()
    data, stored = made.activation((1, 2, 2, 1)), made.constant(np.ones((4, 1, 1, 1), np.float16))
    unpacked, out = made.activation((4, 1, 1, 1)), made.activation((1, 2, 2, 4))
    made.operator("DEQUANTIZE", [stored], [unpacked])
    made.operator("CONV_2D", [data, unpacked], [out])
    assert read_workload(made.bytes([data], [out])).activation_peak_bytes == 4 * 4 + 4 * 16


def test_an_input_that_is_read_late_lives_from_the_start() -> None:
    made = Handmade()
    a, b, c, d = (made.activation((1, size), "INT8") for size in (10, 100, 20, 5))
    made.operator("RELU", [a], [c])            # a, c and the waiting b: 130
    made.operator("ADD", [c, b], [d])          # c, b, d: 125
    assert read_workload(made.bytes([a, b], [d])).activation_peak_bytes == 130


def test_an_output_that_nothing_makes_takes_no_memory() -> None:
    made = Handmade()
    a, b = made.activation((1, 10), "INT8"), made.activation((1, 99), "INT8")
    assert read_workload(made.bytes([a], [b])).activation_peak_bytes == 10
