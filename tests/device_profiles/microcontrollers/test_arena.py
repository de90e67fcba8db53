"""The arena put together."""

from __future__ import annotations

import dataclasses

from device_profiles.microcontrollers import ArenaSplit, device_arena, host_arena, why_not
from device_profiles.tflite import Model
from tests.device_profiles.microcontrollers.graphs import model, single, tensor


def test_the_plan_of_a_small_network_is_its_widest_operator() -> None:
    # convolution: 8x8x1 in (64) and 8x8x4 out (256), and the device's two windows of 12 columns (48)
    found = device_arena(model(), "cmsis-nn-dsp")

    assert found is not None
    assert (found.activation_bytes, found.non_persistent_bytes, found.scratch_bytes) == (320, 368, 48)
    assert [(one.operator, one.name, one.size_bytes) for one in found.scratch] == [(0, "CONV_2D", 48), (1, "MEAN", 16)]


def test_a_small_model_needs_more_while_the_plan_is_made() -> None:
    found = device_arena(model(), "cmsis-nn-dsp")

    assert found is not None
    assert found.planning_bytes > found.non_persistent_bytes
    assert found.least_bytes - (found.persistent_bytes + found.planning_bytes) in range(16)


def test_a_measured_arena_that_is_foreseen_changes_nothing() -> None:
    foreseen = host_arena(model().graphs[0])
    alone, anchored = device_arena(model(), "cmsis-nn-dsp"), device_arena(model(), "cmsis-nn-dsp", foreseen)

    assert alone is not None
    assert anchored is not None
    assert (anchored.least_bytes, anchored.unexplained_bytes) == (alone.least_bytes, 0)
    assert (alone.anchored, anchored.anchored) == (False, True)


def test_what_the_formulas_do_not_explain_is_kept() -> None:
    foreseen = host_arena(model().graphs[0])
    measured = ArenaSplit(persistent_bytes=foreseen.persistent_bytes + 160,
                          non_persistent_bytes=foreseen.non_persistent_bytes + 4096)
    alone, anchored = device_arena(model(), "cmsis-nn-dsp"), device_arena(model(), "cmsis-nn-dsp", measured)

    assert alone is not None
    assert anchored is not None
    assert anchored.unexplained_bytes == 4256
    assert anchored.persistent_bytes == alone.persistent_bytes + 160
    assert anchored.non_persistent_bytes == alone.non_persistent_bytes + 4096


def test_the_figure_is_a_prediction_with_an_interval_around_it() -> None:
    found = device_arena(model(), "cmsis-nn-dsp")

    assert found is not None
    figure = found.figure
    assert (figure.provenance, figure.unit, figure.value) == ("predicted", "bytes", found.least_bytes)
    assert figure.interval is not None
    assert figure.interval[0] < found.least_bytes < figure.interval[1]
    assert "CMSIS-NN with DSP" in figure.method


def test_a_graph_of_graphs_and_a_plan_in_the_file_have_no_prediction() -> None:
    whole = model()

    assert device_arena(dataclasses.replace(whole, graphs=(*whole.graphs, *whole.graphs)), "reference") is None
    assert device_arena(dataclasses.replace(whole, metadata=("OfflineMemoryAllocation",)), "reference") is None


def test_an_operator_whose_scratch_is_not_known_is_named() -> None:
    graph = single("BATCH_MATMUL", [tensor(0, (1, 4, 4)), tensor(1, (1, 4, 4)), tensor(2, (1, 4, 4))], (0, 1), (2,))
    found = device_arena(Model((graph,), (), (), "", 0), "cmsis-nn-dsp")

    assert found is not None
    assert [text.partition(":")[0] for text in found.unknown] == ["BATCH_MATMUL"]


def test_a_model_of_thousands_of_operators_is_not_planned() -> None:
    whole = model()
    graph = whole.graphs[0]
    many = dataclasses.replace(graph, operators=graph.operators * 300)

    assert device_arena(dataclasses.replace(whole, graphs=(many,)), "reference") is None
    assert "more than 1,000 operators" in why_not(dataclasses.replace(whole, graphs=(many,)))


def test_constants_behind_the_flatbuffer_have_no_prediction() -> None:
    outside = dataclasses.replace(model(), outside_buffers=3)

    assert device_arena(outside, "reference") is None
    assert why_not(outside).startswith("3 constants stand behind the FlatBuffer")
    assert why_not(model()) == ""
