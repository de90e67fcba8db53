"""What reaches the weights: patches times weights are the layer's output, as litert computes it."""

from __future__ import annotations

import numpy as np
import pytest

from stages.converting.moments import (
    Tap,
    as_matrix,
    from_matrix,
    groups_of,
    is_measured,
    moments_of,
    per_channel,
    rows_of,
)
from stages.converting.weights import read_layers
from tests.device_profiles.handmade import Handmade


@pytest.mark.parametrize("place", [0, 1, 2])
def test_rows_times_weights_are_what_the_layer_gives(tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray,
                                                     place: int) -> None:
    """A convolution with padding, a depthwise one with a stride of 2, and a dense layer."""
    content = tiny_tflites["float32"]
    layer = read_layers(content)[place]
    found = Tap(content, [layer.data, layer.output]).read([{"x": tiny_samples[:8]}])
    inputs, wanted = found[layer.data], found[layer.output]
    groups = groups_of(layer, inputs.shape[-1])
    rows = rows_of(layer, inputs, 10**9, 0)  # (rows, groups, taps)
    made = np.einsum("rgt,gtc->rgc", rows, as_matrix(layer, layer.weights, groups)).reshape(len(rows), -1)
    made = made + (0 if layer.bias is None else layer.bias)
    shaped = made.reshape(wanted.shape)
    assert (np.maximum(shaped, 0) if layer.options["fused_activation"] else shaped) == pytest.approx(wanted, abs=1e-5)


def test_matrices_go_back_into_the_layer_s_own_shape(tiny_tflites: dict[str, bytes]) -> None:
    for layer, groups in zip(read_layers(tiny_tflites["float32"]), (1, 4, 1), strict=True):
        assert (from_matrix(layer, as_matrix(layer, layer.weights, groups)) == layer.weights).all()


def test_channels_of_groups_stand_in_the_layer_s_order() -> None:
    assert per_channel(np.arange(6).reshape(3, 1, 2)).tolist() == [0, 1, 2, 3, 4, 5]


def grouped() -> bytes:
    """A convolution with two groups: four inputs, two outputs of each half."""
    made = Handmade()
    kernel = np.arange(1, 9, dtype=np.float32).reshape(4, 1, 1, 2)
    data, out = made.activation((1, 2, 2, 4)), made.activation((1, 2, 2, 4))
    made.operator("CONV_2D", [data, made.constant(kernel)], [out], "Conv2DOptions",
                  {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1})
    return made.bytes([data], [out])


def test_a_grouped_convolution_has_rows_for_each_group() -> None:
    layer = read_layers(grouped())[0]
    inputs = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4)
    rows = rows_of(layer, inputs, 10, 0)
    assert groups_of(layer, 4) == 2
    assert rows.tolist() == [[[0, 1], [2, 3]]]
    made = np.einsum("rgt,gtc->rgc", rows, as_matrix(layer, layer.weights, 2)).ravel()
    assert made.tolist() == [0 * 1 + 1 * 2, 0 * 3 + 1 * 4, 2 * 5 + 3 * 6, 2 * 7 + 3 * 8]


def test_positions_are_drawn_alike_and_no_more_than_asked(tiny_tflites: dict[str, bytes],
                                                          tiny_samples: np.ndarray) -> None:
    layer = read_layers(tiny_tflites["float32"])[0]
    first, again = (rows_of(layer, tiny_samples, 50, 3) for _ in range(2))
    assert first.shape == (50, 1, 18)
    assert (first == again).all()


def test_moments_are_those_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(500, 2, 3)), rng.normal(size=(500, 2, 3))
    found = moments_of(x, y)
    assert found.mean_x == pytest.approx(x.mean(axis=0))
    assert found.second == pytest.approx(np.einsum("rgt,rgu->gtu", y, y) / 500)
    assert found.cross_second == pytest.approx(np.einsum("rgt,rgu->gtu", y, x) / 500)
    assert found.own[1] == pytest.approx(np.cov(y[:, 1].T, bias=True))


def test_a_transposed_convolution_is_not_measured() -> None:
    made = Handmade()
    shape, data, out = made.constant(np.array([1, 4, 4, 1], np.int32)), made.activation((1, 2, 2, 1)), \
        made.activation((1, 4, 4, 1))
    made.operator("TRANSPOSE_CONV", [shape, made.constant(np.ones((1, 2, 2, 1), np.float32)), data], [out])
    (layer,) = read_layers(made.bytes([data], [out]))
    assert layer.data == data
    assert not is_measured(layer)


def test_inputs_of_the_model_are_given_as_they_come(tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray) -> None:
    layer = read_layers(tiny_tflites["float32"])[0]
    found = Tap(tiny_tflites["float32"], [layer.data]).read([{"x": tiny_samples[:3]}, {"x": tiny_samples[3:5]}])
    assert (found[layer.data] == tiny_samples[:5]).all()
