"""Batch normalization that still stands in a graph, and why it could not be folded."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.tflite import read_tflite
from stages.explaining.structure import Unfolded, unfolded
from tests.device_profiles.handmade import Handmade


def network(activation: int = 0, conv: bool = True, factors: int = 3, shift: bool = True) -> list[Unfolded]:
    """A convolution (or a LOGISTIC) with a fused activation, then MUL and ADD by channel."""
    made = Handmade()
    data = made.activation((1, 4, 4, 3), name="in")
    middle, scaled, out = (made.activation((1, 4, 4, 3), name=name) for name in ("middle", "scaled", "out"))
    if conv:
        weights, bias = made.constant(np.ones((3, 1, 1, 3), np.float32)), made.constant(np.zeros(3, np.float32))
        made.operator("CONV_2D", [data, weights, bias], [middle], "Conv2DOptions",
                      {"fusedActivationFunction": activation})
    else:
        made.operator("LOGISTIC", [data], [middle])
    made.operator("MUL", [middle, made.constant(np.full(factors, 2, np.float32))], [scaled], "MulOptions")
    if shift:
        made.operator("ADD", [scaled, made.constant(np.ones(3, np.float32))], [out], "AddOptions")
    return unfolded(read_tflite(made.bytes([data], [out if shift else scaled])).graphs[0])


@pytest.mark.parametrize(("given", "kind", "activation"), [
    ({"activation": 1}, "activation_before_norm", "RELU"), ({}, "read_twice", ""),
    ({"conv": False}, "no_convolution", "LOGISTIC")], ids=["relu", "plain", "no-convolution"])
def test_what_stands_before_it_says_why(given: dict, kind: str, activation: str) -> None:
    (one,) = network(**given)
    assert (one.kind, one.activation, one.operators, one.channels) == (kind, activation, (1, 2), 3)


def test_a_factor_for_all_channels_is_no_normalization() -> None:
    assert network(factors=1) == []


def test_without_a_shift_the_factors_alone_stand() -> None:
    assert network(shift=False)[0].operators == (1,)


def test_preprocessing_at_the_input_is_no_normalization() -> None:
    made = Handmade()
    data, scaled, out = (made.activation((1, 3), name=name) for name in ("in", "scaled", "out"))
    made.operator("MUL", [data, made.constant(np.full(3, 2, np.float32))], [scaled], "MulOptions")
    made.operator("ADD", [scaled, made.constant(np.ones(3, np.float32))], [out], "AddOptions")
    assert unfolded(read_tflite(made.bytes([data], [out])).graphs[0]) == []


def read_by(*readers: str) -> Unfolded:
    """A MUL with factors 1, 2 and 4 after a LOGISTIC; what reads it, through a RELU."""
    made = Handmade()
    data, given, scaled, out = (made.activation((1, 4, 4, 3), name=name) for name in ("in", "given", "scaled", "out"))
    made.operator("LOGISTIC", [data], [given])
    made.operator("MUL", [given, made.constant(np.array([1, 2, 4], np.float32))], [scaled], "MulOptions")
    made.operator("RELU", [scaled], [out])
    for name in readers:
        last = made.activation((1, 4, 4, 2 if name == "CONV_2D" else 3))
        kernel = np.array([[[[4, -2, 1]]], [[[8, 4, -2]]]], np.float32)  # (2 outputs, 1, 1, 3 inputs)
        weights = [made.constant(kernel), made.constant(np.zeros(2, np.float32))] if name == "CONV_2D" else []
        made.operator(name, [out, *weights], [last])
    (found,) = unfolded(read_tflite(made.bytes([data], [out])).graphs[0])
    return found


def test_kernels_that_read_what_was_normalized_are_found_through_an_activation() -> None:
    one = read_by("CONV_2D")
    assert one.factors.tolist() == [1, 2, 4]
    assert {index: peaks.tolist() for index, peaks in one.readers.items()} == {3: [[4, 2, 1], [8, 4, 2]]}
    assert one.readers_are_all
    assert not one.shift


def test_what_reads_it_and_has_no_kernel_is_no_place_for_its_factors() -> None:
    both = read_by("CONV_2D", "TANH")
    assert (list(both.readers), both.readers_are_all) == ([3], False)
