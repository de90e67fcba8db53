"""What goes into a tflite model: stored samples by name, normalized or as they are, whatever their number and size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import StageError
from stages.engines.client import EngineWorker
from stages.engines.registry import ENGINES
from stages.records import Normalization
from tests.stages import two_by_two

ALL = tuple(ENGINES)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "engines.log"


@pytest.fixture(scope="module")
def pair_tflites() -> dict[str, bytes]:
    """Two inputs, two outputs."""
    model, samples = two_by_two.build(), two_by_two.stored()
    return {name: two_by_two.convert(model, samples, name) for name in ("float32", "int8")}


@pytest.mark.parametrize("engine", ALL)
@pytest.mark.parametrize("name", ["float32", "int8"])
def test_stored_fields_reach_the_inputs_of_their_names_normalized(
        engine: str, name: str, pair_tflites: dict[str, bytes], tmp_path: Path, log: Path) -> None:
    samples = two_by_two.stored(21)
    np.save(tmp_path / "x.npy", samples)
    given = two_by_two.normalized(samples)
    steps = {"image": Normalization(kind="fixed", scale=(255.0,)),
             "age": Normalization(kind="standard", offset=(40.0, 40.0), scale=(12.0, 12.0))}
    with EngineWorker(engine, log=log) as worker:
        loaded = worker.load(pair_tflites[name])
        assert set(loaded.input_names) == {"image", "age"}
        expected = worker.predict(*(given[field] for field in loaded.input_names))
        ordered = worker.in_order({"age": given["age"], "image": given["image"]})
        assert [each.shape for each in ordered] == [given[field].shape for field in loaded.input_names]
        worker.open(tmp_path / "x.npy", steps)
        found = worker.predict_rows(3, 21, batch=8)
    assert dict(zip(loaded.output_names, [each.shape for each in found], strict=True)) == {
        "kind": (18, 3), "value": (18, 1)}
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other[3:], atol=1e-6)


def test_bytes_are_normalized_in_float32_exactly_as_in_training(tiny_tflites: dict[str, bytes], tmp_path: Path,
                                                                log: Path) -> None:
    stored = np.random.default_rng(1).integers(0, 256, (9, 6, 6, 2), np.uint8)
    np.save(tmp_path / "x.npy", stored)
    offset, scale = np.array([3.7, 120.25], np.float32), np.array([51.3, 0.3], np.float32)
    with EngineWorker("litert", log=log) as worker:
        worker.load(tiny_tflites["float32"])
        expected = worker.predict(((stored - offset) / scale).astype(np.float32))[0]
        worker.open(tmp_path / "x.npy", {"input": Normalization(
            kind="standard", offset=tuple(offset.tolist()), scale=tuple(scale.tolist()))})
        np.testing.assert_array_equal(worker.predict_rows(0, 9)[0], expected)


def test_samples_without_a_normalization_go_in_as_they_are_stored(tiny_tflites: dict[str, bytes], tmp_path: Path,
                                                                  log: Path) -> None:
    stored = np.random.default_rng(1).integers(0, 256, (9, 6, 6, 2), np.uint8)
    np.save(tmp_path / "x.npy", stored)
    with EngineWorker("litert", log=log) as worker:
        tensor = worker.load(tiny_tflites["int8"]).inputs[0]
        worker.open(tmp_path / "x.npy")
        as_bytes = worker.predict_rows(0, 9)[0]
        values = (stored.astype(np.float32) - 128 - tensor.zero_point) * np.float32(tensor.scale)
        np.testing.assert_array_equal(as_bytes, worker.predict(values)[0])
        np.testing.assert_array_equal(as_bytes, worker.predict(stored)[0])


def test_evaluating_a_quarter_gigabyte_of_samples_leaves_the_workers_memory_alone(
        tmp_path: Path, log: Path) -> None:
    import tensorflow as tf

    function = tf.function(lambda x: tf.reduce_mean(x, axis=[1, 2, 3]))
    concrete = function.get_concrete_function(tf.TensorSpec((1, 512, 512, 1), tf.float32))
    content = bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], function).convert())
    file = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (1000, 512, 512, 1))
    file[::100] = 7
    del file
    with EngineWorker("litert", log=log) as worker:
        worker.load(content)
        worker.open(tmp_path / "x.npy", {"input": Normalization(kind="fixed", scale=(2.0,))})
        worker.predict_rows(0, 10, batch=1)
        before = worker.memory().peak_bytes
        found = worker.predict_rows(0, 1000, batch=1)[0]
        grown = worker.memory().peak_bytes - before
    assert found[::100].tolist() == [3.5] * 10
    assert grown < 8 << 20, f"{grown:,} bytes"


def test_an_open_axis_is_set_to_the_samples_and_tflm_says_that_it_cannot(tmp_path: Path, log: Path) -> None:
    import tensorflow as tf

    function = tf.function(lambda x: tf.reduce_mean(x, axis=[1, 2]) * 2.0)
    concrete = function.get_concrete_function(tf.TensorSpec((None, None, None, 3), tf.float32))
    content = bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], function).convert())
    samples = np.random.default_rng(0).random((6, 5, 7, 3), dtype=np.float32)
    np.save(tmp_path / "x.npy", samples)
    for engine in ("litert", "tflite-runtime"):
        with EngineWorker(engine, log=log) as worker:
            assert worker.load(content).inputs[0].free == (0, 1, 2, 3)[:3]
            worker.open(tmp_path / "x.npy", {"input": Normalization(kind="none")})
            np.testing.assert_allclose(worker.predict_rows(0, 6, batch=4)[0], 2 * samples.mean(axis=(1, 2)), rtol=1e-5)
            worker.feed(samples[:2])
            assert len(worker.measure(3)) == 3
    with EngineWorker("tflm", log=log) as worker:
        worker.load(content)
        with pytest.raises(StageError):
            worker.predict(samples)


def test_a_file_of_other_inputs_is_refused_with_both_sides(pair_tflites: dict[str, bytes], tmp_path: Path,
                                                           log: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 6, 6, 1), np.uint8))
    with EngineWorker("litert", log=log, model="int8") as worker:
        worker.load(pair_tflites["int8"])
        with pytest.raises(StageError, match=r"do not fit int8 in litert: input \(6, 6, 1\)") as caught:
            worker.open(tmp_path / "x.npy")
    assert "image (6, 6, 1)" in caught.value.allowed
    assert "age (2,)" in caught.value.allowed


def test_a_file_that_shrank_is_refused(tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray, tmp_path: Path,
                                       log: Path) -> None:
    np.save(tmp_path / "x.npy", tiny_samples)
    with EngineWorker("litert", log=log) as worker:
        worker.load(tiny_tflites["float32"])
        worker.open(tmp_path / "x.npy")
        with (tmp_path / "x.npy").open("r+b") as file:
            file.truncate(4000)
        with pytest.raises(StageError, match="ends before sample"):
            worker.predict_rows(0, 64)


def test_inputs_without_a_common_batch_axis_are_refused(log: Path) -> None:
    import tensorflow as tf

    function = tf.function(lambda a, b: a + b)
    specs = tf.TensorSpec((1, 3), tf.float32), tf.TensorSpec((3,), tf.float32)
    content = bytes(tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function(*specs)], function).convert())
    with EngineWorker("litert", log=log) as worker:
        worker.load(content)
        with pytest.raises(StageError, match="no batch axis in common"):
            worker.predict(np.zeros((1, 3)), np.zeros((1, 3)))
