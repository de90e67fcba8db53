"""DECODE operators stand in front of the operators that read, and constants are stored once."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.decoding import unpacked
from device_profiles.tflite import Graph, read_tflite
from stages.packing.codes import Coding, Encoded, look_up, prune
from stages.packing.constants import Constant
from stages.packing.huffman import code_for
from stages.packing.inserting import insert
from stages.packing.objects import read_model
from stages.packing.shrinking import shrink, tidy, write
from tests.stages.packing.samples import (
    CHANNELS,
    DENSE,
    KERNEL,
    Engines,
    Network,
    clustered,
    found_in,
    outputs_of,
    samples_for_network,
    sparse,
)


def encode(constant: Constant, coding: Coding) -> Encoded:
    if coding == "prune":
        return prune(constant.values, constant.zero_points, constant.axis)
    return code_for(constant.counts).encode(constant.values) if coding == "huffman" else look_up(constant.values, None)


def packed(content: bytes, coding: Coding, *positions: int) -> bytes:
    """The model with some of its constants in a code."""
    found = found_in(content).constants
    model = read_model(shrink(content, "tflm"))
    insert(model, found, {position: encode(found[position], coding) for position in positions})
    tidy(model)
    return write(model)


def operators(content: bytes) -> list[str]:
    return [op.custom_code or op.name for op in read_tflite(content).graphs[0].operators]


def the_graph(content: bytes) -> Graph:
    return read_tflite(content).graphs[0]


@pytest.mark.parametrize("coding", ["prune", "lut", "huffman"])
@pytest.mark.parametrize("positions", [(0,), (2,), (0, 2)])
def test_tflm_gives_the_same_bits(coding: Coding, positions: tuple[int, ...], engines: Engines) -> None:
    content = Network(clustered(KERNEL, 7), clustered(DENSE, 5)).content()
    one = outputs_of(engines("tflm"), content, samples_for_network())
    other = outputs_of(engines("tflm"), packed(content, coding, *positions), samples_for_network())
    assert np.array_equal(one[0], other[0])
    assert len(np.unique(one[0])) > 10


@pytest.mark.parametrize("coding", ["prune", "lut"])
def test_biases_of_four_bytes_are_decoded_as_well(coding: Coding, engines: Engines) -> None:
    content = Network(sparse(KERNEL), sparse(DENSE)).content()
    one = outputs_of(engines("tflm"), content, samples_for_network())
    other = outputs_of(engines("tflm"), packed(content, coding, 1, 3), samples_for_network())
    assert np.array_equal(one[0], other[0])


def test_each_reader_has_its_decoder_right_in_front_of_it() -> None:
    content = Network(sparse(KERNEL), sparse(DENSE)).content()
    assert operators(packed(content, "prune", 0, 2)) == ["TFLM_DECODE", "CONV_2D", "TFLM_DECODE", "FULLY_CONNECTED"]
    assert operators(packed(content, "prune", 2)) == ["CONV_2D", "TFLM_DECODE", "FULLY_CONNECTED"]


def test_weights_and_bias_of_one_operator_are_decoded_by_one() -> None:
    graph = the_graph(packed(Network(sparse(KERNEL), sparse(DENSE)).content(), "prune", 0, 1))
    decoder, reader = graph.operators[:2]
    assert (len(decoder.inputs), len(decoder.outputs)) == (4, 2)
    assert reader.inputs[1:] == decoder.outputs


def test_weights_of_two_layers_are_stored_once_and_decoded_for_each(engines: Engines) -> None:
    net = Network(sparse(KERNEL), sparse(DENSE))
    net.tensors["more"] = net.activation((1, 2, 2, CHANNELS), 0.1, -5, "more")
    net.convolve()
    net.convolve(features="more")
    content = net.content(("out", "more"))
    coded = packed(content, "huffman", 0)
    assert operators(coded) == ["TFLM_DECODE", "CONV_2D", "TFLM_DECODE", "CONV_2D", "FULLY_CONNECTED"]
    first, second = (op for op in the_graph(coded).operators if op.name == "CUSTOM")
    assert first.inputs == second.inputs
    assert first.outputs != second.outputs
    one, other = (outputs_of(engines("tflm"), each, samples_for_network()) for each in (content, coded))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_equal_weights_in_two_tensors_are_decoded_with_the_scales_of_each(engines: Engines) -> None:
    net = Network(sparse(KERNEL), sparse(DENSE))
    net.tensors["more"] = net.activation((1, 2, 2, CHANNELS), 0.1, -5, "more")
    net.tensors["twin"] = net.made.constant(sparse(KERNEL), [0.05] * CHANNELS, (0,) * CHANNELS)
    net.convolve()
    net.convolve("twin", "more")
    content = net.content(("out", "more"))
    one, other = (outputs_of(engines("tflm"), each, samples_for_network())
                  for each in (content, packed(content, "prune", 0)))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_what_is_decoded_has_the_type_shape_and_scales_of_the_constant() -> None:
    graph = the_graph(packed(Network(sparse(KERNEL), sparse(DENSE)).content(), "prune", 0))
    decoder = graph.operators[0]
    made, stream = graph.tensors[decoder.outputs[0]], graph.tensors[decoder.inputs[0]]
    assert (made.shape, made.dtype, len(made.scales), made.is_constant) == (KERNEL, "int8", CHANNELS, False)
    assert (stream.dtype, stream.shape, stream.scales) == ("uint8", (72,), ())
    assert bytes(unpacked(graph, decoder, made.index).data) == sparse(KERNEL).tobytes()


def test_four_bit_weights_run_the_same_as_bytes(engines: Engines) -> None:
    net = Network(sparse(KERNEL), sparse(DENSE))
    nibbles = clustered((576,), 4).astype(np.int16) // 16
    data = ((nibbles[0::2] & 15) | (nibbles[1::2] & 15) << 4).astype(np.uint8)
    index = net.made.constant(data.view(np.int8), [0.01 + 0.001 * n for n in range(CHANNELS)], (0,) * CHANNELS)
    tensor = net.made.graph.tensors[index]
    tensor.type, tensor.shape, net.tensors["kernel"] = 17, list(KERNEL), index
    content = net.content()
    one, other = (outputs_of(engines("tflm"), each, samples_for_network())
                  for each in (content, packed(content, "huffman", 0)))
    assert np.array_equal(one[0], other[0])
