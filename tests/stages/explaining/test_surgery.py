"""Models made to be looked into give the numbers of the model that they are made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from device_profiles.tflite import read_tflite
from stages.engines.client import EngineWorker
from stages.explaining.pairs import pair_up
from stages.explaining.surgery import from_tensors, opened, taken_apart
from tests.device_profiles.handmade import Handmade, conv_model

SAMPLES = np.random.default_rng(1).random((5, 4, 4, 2), dtype=np.float32)


def run(content: bytes, log: Path, *samples: np.ndarray) -> list[np.ndarray]:
    with EngineWorker("litert", log=log) as worker:
        worker.load(content)
        return worker.predict(*samples, batch=2)


def test_an_activation_can_be_read_and_changes_nothing_behind_it(tmp_path: Path) -> None:
    model = conv_model()
    graph = read_tflite(model).graphs[0]
    middle, out = (each.outputs[0] for each in graph.operators)
    found = run(opened(model, [graph.inputs[0], middle, out]), tmp_path / "log", SAMPLES)
    assert (found[0] == SAMPLES).all()
    assert found[1].shape == (5, 2, 2, 3)
    assert (found[2] == run(model, tmp_path / "log", SAMPLES)[0]).all()


def test_an_operator_on_its_own_works_on_what_it_is_fed_and_not_on_the_one_before(tmp_path: Path) -> None:
    model = conv_model()
    graph = read_tflite(model).graphs[0]
    shadow = taken_apart(model, pair_up(graph, graph))
    conv, softmax = graph.operators
    assert shadow.feeds == (conv.inputs[0], softmax.inputs[0])
    fed = np.zeros((5, 2, 2, 3), np.float32)
    found = run(shadow.content, tmp_path / "log", SAMPLES, fed)
    assert np.allclose(found[1], 1 / 3)  # softmax of zeros, whatever the convolution gives
    assert (found[0] > 0).all()


def skipping() -> bytes:
    """in, its RELU, the RELU of that; the first output is in + the second RELU, the second one the first RELU."""
    made = Handmade()
    names = ("in", "first", "second", "sum")
    data, first, second, total = (made.activation((1, 2), name=name) for name in names)
    made.operator("RELU", [data], [first])
    made.operator("RELU", [first], [second])
    made.operator("ADD", [data, second], [total], "AddOptions")
    return made.bytes([data], [total, first])


def test_the_rest_of_a_model_reads_what_is_still_needed_of_its_inputs_and_gives_what_depends_on_the_tensor(
        tmp_path: Path) -> None:
    data, first, second, total = range(4)
    whole, middle, late, end = from_tensors(skipping(), [data, first, second, total], [total, first])
    assert (whole.feeds, whole.outputs) == ((data,), (total, first))
    assert (middle.feeds, middle.outputs) == ((data, first), (total,))  # `first` itself is given, not made
    assert (late.feeds, late.outputs) == ((data, second), (total,))
    assert (end.content, end.outputs) == (b"", ())
    given = np.array([[1.0, 2.0]], np.float32)
    (found,) = run(middle.content, tmp_path / "log", given, np.array([[-5.0, 7.0]], np.float32))
    assert found.tolist() == [[1.0, 9.0]]
