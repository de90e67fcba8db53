"""From which operator to which a buffer lives."""

from __future__ import annotations

from device_profiles.microcontrollers.lifetimes import activation_buffers, scratch_buffers
from device_profiles.microcontrollers.planner import Buffer
from device_profiles.tflite import Graph, Operator
from tests.device_profiles.microcontrollers.graphs import tensor


def _chain() -> Graph:
    """Tensor 0 -> A -> 1 -> B (with the constant 2) -> 3; tensor 4 is state, 5 is never used."""
    tensors = (tensor(0, (10,)), tensor(1, (20,)), tensor(2, (7,), constant=True), tensor(3, (30,)),
               tensor(4, (9,), variable=True), tensor(5, (40,)))
    operators = (Operator(0, "RELU", "", 1, (0,), (1,), {}), Operator(1, "ADD", "", 1, (1, 2, -1), (3,), {}))
    return Graph("main", tensors, operators, (0,), (3,))


def test_an_activation_lives_from_its_maker_to_its_last_reader() -> None:
    found = activation_buffers(_chain())

    assert found[:3] == [Buffer(10, 0, 1), Buffer(20, 1, 2), Buffer(30, 2, 2)]


def test_a_tensor_that_nobody_uses_still_has_a_buffer_of_its_own() -> None:
    assert activation_buffers(_chain())[3] == Buffer(40, -1, -1)


def test_constants_and_variables_are_not_planned() -> None:
    assert len(activation_buffers(_chain())) == 4


def test_an_output_lives_to_the_end_even_if_it_is_made_early() -> None:
    chain = _chain()
    early = Graph("main", chain.tensors, chain.operators, (0,), (1, 3))

    assert activation_buffers(early)[1] == Buffer(20, 1, 2)


def test_a_view_has_a_buffer_of_its_own() -> None:
    tensors = (tensor(0, (4, 4)), tensor(1, (16,)))
    graph = Graph("main", tensors, (Operator(0, "RESHAPE", "", 1, (0,), (1,), {}),), (0,), (1,))

    assert activation_buffers(graph) == [Buffer(16, 0, 1), Buffer(16, 1, 1)]


def test_scratch_lives_as_long_as_its_operator_runs() -> None:
    def scratch(graph: Graph, operator: Operator) -> tuple[int, ...]:
        return (5, 6) if operator.name == "ADD" else ()

    assert scratch_buffers(_chain(), scratch) == [Buffer(5, 2, 2), Buffer(6, 2, 2)]
