"""What a tensor would hold if nothing were lost in making it."""

from __future__ import annotations

import numpy as np

from device_profiles.tflite import read_tflite
from stages.explaining.pairs import pair_up
from stages.explaining.runs import Runs, Source, wanted
from stages.explaining.tally import Tally
from tests.device_profiles.handmade import Handmade, conv_model
from tests.stages.explaining.evidence import tally


def with_boundary() -> bytes:
    """(1, 2), quantized, then a RELU."""
    made = Handmade()
    data = made.activation((1, 2), name="in")
    quantized, out = (made.activation((1, 2), "INT8", name=name) for name in ("quantized", "out"))
    made.operator("QUANTIZE", [data], [quantized])
    made.operator("RELU", [quantized], [out])
    return made.bytes([data], [out])


def test_an_operator_is_held_against_the_float_one_and_a_boundary_against_what_it_reads() -> None:
    source = Source(with_boundary(), {}, "v")
    graph = read_tflite(source.content).graphs[0]
    runs = Runs(source, source, pair_up(graph, graph))
    runs.alone, runs.reference, runs.variant = {7: np.full(1, 1.0)}, {0: np.full(1, 2.0)}, {0: np.full(1, 3.0)}
    given = Tally("input", "INPUT", "", "order", graph.tensors[0])
    boundary = Tally("0:QUANTIZE", "QUANTIZE", "", "order", graph.tensors[1])
    found = [runs.noiseless(each) for each in (tally(index=7), given, boundary)]
    assert [float(each[0]) for each in found if each is not None] == [1.0, 2.0, 3.0]
    assert runs.noiseless(tally(index=4)) is None


def test_a_batch_of_rows_has_a_bound_in_memory_and_constants_are_not_read() -> None:
    source = Source(conv_model(), {}, "v")
    graph = read_tflite(source.content).graphs[0]
    runs = Runs(source, source, pair_up(graph, graph))
    assert runs.rows == 128  # 2 * (32 + 12 + 12) values of 4 bytes: 32 MiB would hold more
    assert wanted(graph) == [0, 3, 4]
