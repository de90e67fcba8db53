"""Which constants can be decoded on the device, and why others cannot."""

from __future__ import annotations

import numpy as np
import pytest

from stages.packing.constants import Constant, find_constants
from stages.packing.objects import read_model
from stages.packing.shrinking import tidy
from tests.stages.packing.samples import CHANNELS, DENSE, KERNEL, Network, found_in, sparse


def constant(values: np.ndarray, zero_points: tuple[int, ...] = (0,)) -> Constant:
    return Constant((0,), "", values.nbytes, values, np.array(zero_points), 0, 1, ())


def reasons(net: Network, outputs: tuple[str, ...] = ("out",)) -> dict[str, str]:
    return found_in(net.content(outputs)).left


def the_network() -> Network:
    return Network(sparse(KERNEL), sparse(DENSE))


def test_weights_and_biases_are_found_in_the_order_of_the_graph_with_what_reads_them() -> None:
    net = the_network()
    model = read_model(net.content())
    tidy(model)
    found = find_constants(model, {net.tensors["kernel"]: "kernel"})
    assert [each.label for each in found.constants] == [
        "0:CONV_2D kernel", "0:CONV_2D", "1:FULLY_CONNECTED", "1:FULLY_CONNECTED"]
    assert [each.uses[0][:2] for each in found.constants] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert [each.values.dtype.name for each in found.constants] == ["int8", "int32", "int8", "int32"]
    kernel = found.constants[0]
    assert (kernel.values.shape, kernel.stored_bytes, kernel.channels, kernel.axis) == (KERNEL, 576, CHANNELS, 0)
    assert found.left == {}


def test_entropy_and_zeros_are_those_of_the_values() -> None:
    found = constant(np.array([0, 0, 0, 0, 1, 1, 2, 3], np.int8))
    assert found.entropy_bits == 1.75  # 4/8 * 1 + 2/8 * 2 + 2/8 * 3
    assert (found.zeros, found.counts) == (4, {0: 4, 1: 2, 2: 1, 3: 1})
    assert constant(np.full(5, 9, np.int8)).entropy_bits == 0
    assert constant(np.array([0, 7, 7], np.int8), (7,)).zeros == 2


def test_a_constant_of_two_layers_is_one_with_two_uses() -> None:
    net = the_network()
    net.tensors["more"] = net.activation((1, 2, 2, CHANNELS), 0.1, -5, "more")
    net.convolve()
    net.convolve(features="more")
    kernel = found_in(net.content()).constants[0]
    assert [(position, slot) for position, slot, _ in kernel.uses] == [(0, 1), (1, 1)]


def test_equal_kernels_in_two_tensors_are_one_constant() -> None:
    net = the_network()
    net.tensors["more"] = net.activation((1, 2, 2, CHANNELS), 0.1, -5, "more")
    net.tensors["twin"] = net.made.constant(sparse(KERNEL), [0.01] * CHANNELS, (0,) * CHANNELS)
    net.convolve()
    net.convolve("twin", "more")
    kernel = found_in(net.content()).constants[0]
    assert len(kernel.tensors) == 2
    assert len(kernel.uses) == 2


@pytest.mark.parametrize("case", ["output", "variable", "another reader", "another form", "axis", "sparse", "graph"])
def test_what_has_to_stay_is_left_with_the_reason(case: str) -> None:
    net, outputs = the_network(), ("out",)
    kernel = net.made.graph.tensors[net.tensors["kernel"]]
    expected = {"output": "an input or output of the graph", "variable": "it is a variable",
                "another reader": "RESHAPE reads it as well, and may before it runs",
                "another form": "a tensor of another form has the same bytes",
                "axis": "it is quantized along axis 1, and TFLM decodes along the first or the last",
                "sparse": "it is stored in a sparse encoding", "graph": "a tensor of another form has the same bytes"}
    net.convolve()
    if case == "output":
        outputs = ("out", "kernel")
    elif case == "variable":
        kernel.isVariable = True
    elif case == "another reader":
        net.made.operator("RESHAPE", [net.tensors["kernel"]], [net.activation((576,), 1.0, 0, "flat")])
    elif case == "another form":
        twin = net.made.constant(sparse(KERNEL).reshape(9, 64), [1.0], [0])
        net.made.operator("FULLY_CONNECTED", [net.tensors["data"], twin], [net.activation((1, 9), 1.0, 0, "x")],
                          "FullyConnectedOptions")
    elif case == "axis":
        kernel.quantization.quantizedDimension = 1
    elif case == "sparse":
        from ai_edge_litert import schema_py_generated as schema

        kernel.sparsity = schema.SparsityParametersT()
    else:
        import copy

        other = copy.copy(net.made.graph)
        other.tensors, other.operators, other.inputs, other.outputs = [kernel], [], [], []
        net.made.model.subgraphs.append(other)
    found = reasons(net, outputs)
    assert [expected[case] in reason for label, reason in found.items() if label.startswith("0:CONV_2D")] == [True]


def test_float_weights_are_left_by_their_type() -> None:
    net = the_network()
    net.tensors["kernel"] = net.made.constant(np.ones(KERNEL, np.float32))
    assert "its type is float32" in reasons(net).values()


def test_four_bit_weights_are_given_as_bytes_the_lower_half_first() -> None:
    net = the_network()
    index = net.made.constant(np.array([0x21, 0xF8] * 144, np.uint8).view(np.int8).reshape(-1), [0.01], [0])
    tensor = net.made.graph.tensors[index]
    tensor.type, tensor.shape, net.tensors["kernel"] = 17, list(KERNEL), index
    kernel = found_in(net.content()).constants[0]
    assert kernel.values.ravel()[:4].tolist() == [1, 2, -8, -1]
    assert (kernel.values.dtype.name, kernel.values.shape, kernel.stored_bytes) == ("int8", KERNEL, 288)
