"""TFLiteConverter on models that need more than a call: recurrent layers, several inputs and outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.tflite import read_tflite
from stages import convert
from stages.converting.from_keras import convert_keras
from stages.engines.client import EngineWorker
from stages.engines.signature import keeps_state, read_names
from stages.models.files import save_model
from stages.models.framework import tensorflow_turn
from tests.stages import two_by_two
from tests.stages.conftest import make_context


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, np.ndarray]:
    """A model with an LSTM: artifact, samples, outputs."""
    folder = tmp_path_factory.mktemp("recurrent")
    with tensorflow_turn(2, folder / "log.txt") as keras:
        model = keras.Sequential([keras.layers.Input((7, 3), name="steps"), keras.layers.LSTM(5),
                                  keras.layers.Dense(2, name="last")])
        samples = np.random.default_rng(0).random((6, 7, 3), np.float32)
        save_model(model, folder)
        return folder, samples, model.predict(samples, verbose=0)


def test_a_recurrent_layer_gets_a_batch_of_one_and_a_warning(recurrent: tuple[Path, np.ndarray, np.ndarray],
                                                             tmp_path: Path) -> None:
    folder, samples, expected = recurrent
    context = make_context(tmp_path)
    result = convert.run(source=folder, options=convert.Options(), context=context)
    assert result.warnings == ("its recurrent layers need a fixed batch: the tflite model takes one sample at a time",)
    assert (result.input_shapes, list(result.output_types)) == ({"steps": (7, 3)}, ["last"])
    content = (context.out / "model.tflite").read_bytes()
    assert keeps_state(content)
    for engine in ("litert", "tflite-runtime"):
        with EngineWorker(engine, log=context.log) as worker:
            worker.load(content)
            found = worker.predict(samples, batch=4)[0]  # its state must not reach from one sample into the next
            np.testing.assert_allclose(found, expected, atol=1e-5)
            worker.feed(samples)
            assert len(worker.measure(3)) == 3


def test_other_models_keep_an_open_batch_and_the_names_of_their_layers(tmp_path: Path) -> None:
    with tensorflow_turn(2, tmp_path / "log.txt"):
        save_model(two_by_two.build(), tmp_path)
    content, tool, warning = convert_keras(tmp_path, "float32", 0, tmp_path / "log.txt")
    names, graph = read_names(content), read_tflite(content).graphs[0]
    assert (tool.split()[0], warning) == ("TFLiteConverter", "")
    assert (set(names.inputs), set(names.outputs)) == ({"image", "age"}, {"kind", "value"})
    assert {graph.tensors[index].shape_signature[0] for index in graph.inputs} == {-1}
