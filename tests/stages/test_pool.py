"""Sharing samples out over worker processes: the same outputs whoever runs them, and no failure that hangs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import psutil
import pytest

from device_profiles.errors import EngineCrash, EngineRefusal, EngineTimeout
from stages.engines.client import TensorInfo
from stages.engines.pool import Job, fitting_batch, predict_file
from stages.engines.registry import ENGINES
from stages.records import Normalization
from tests.stages import two_by_two
from tests.stages.engine_stubs import stub


@pytest.fixture
def no_process_left() -> Iterator[None]:
    """Fails a test that leaves a process behind."""
    before = set(psutil.Process().children())
    yield
    assert not set(psutil.Process().children()) - before


def job(tmp_path: Path, samples: np.ndarray, **changes: object) -> Job:
    """A job on `samples`; two workers, batches of 8."""
    np.save(tmp_path / "samples.npy", samples)
    fields = {"engine": "litert", "tflite": b"model", "model": "int8", "samples": tmp_path / "samples.npy", "batch": 8,
              "workers": 2, "timeout_s": 30.0, "log": tmp_path / "log.txt", **changes}
    return Job(**fields)  # type: ignore[arg-type]


def ignore(done: int, total: int) -> None:
    """No progress."""


@pytest.mark.parametrize("engine", list(ENGINES))
def test_outputs_do_not_depend_on_the_number_of_workers(engine: str, tiny_tflites: dict[str, bytes],
                                                        tiny_samples: np.ndarray, tmp_path: Path) -> None:
    many = np.tile(tiny_samples, (40, 1, 1, 1))[:2500]  # more than 2,000: every worker starts at once
    one, three = (predict_file(job(tmp_path, many, engine=engine, tflite=tiny_tflites["float32"], workers=workers),
                               ignore) for workers in (1, 3))
    assert (one.workers, three.workers) == (1, 3)
    np.testing.assert_array_equal(one.outputs, three.outputs)
    np.testing.assert_array_equal(one.outputs[:64], one.outputs[64:128])


def test_a_sink_is_given_every_output_at_its_place_and_nothing_is_kept(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).random((2500, 4), dtype=np.float32)
    found, seen = np.zeros_like(samples), []

    def sink(start: int, outputs: Mapping[str, np.ndarray]) -> None:
        (name, part), = outputs.items()
        found[start:start + len(part)] += part
        seen.append(name)

    kept = predict_file(job(tmp_path, samples, command=stub(tmp_path)), ignore, sink)
    np.testing.assert_array_equal(found, samples + 1)
    assert kept.outputs.size == 0
    assert len(seen) > 1
    assert set(seen) == set(kept.output_names)


def test_what_a_sink_raises_ends_the_run_and_leaves_no_process(tmp_path: Path, no_process_left: None) -> None:
    def full(start: int, outputs: Mapping[str, np.ndarray]) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        predict_file(job(tmp_path, np.zeros((3000, 4), np.float32), command=stub(tmp_path)), ignore, full)


def test_few_samples_are_run_by_one_worker(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).random((100, 4), dtype=np.float32)
    found = predict_file(job(tmp_path, samples, command=stub(tmp_path)), ignore)
    np.testing.assert_array_equal(found.outputs, samples + 1)
    assert found.workers == 1


def test_a_slow_model_gets_a_second_worker_though_its_samples_are_few(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).random((400, 4), dtype=np.float32)
    slow = stub(tmp_path, "def on_invoke(i): time.sleep(0.05)")
    found = predict_file(job(tmp_path, samples, command=slow), ignore)
    np.testing.assert_array_equal(found.outputs, samples + 1)
    assert found.workers == 2


def test_progress_counts_samples_from_the_calling_thread(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    command = stub(tmp_path, "def on_invoke(i): time.sleep(0.02)")
    predict_file(job(tmp_path, np.zeros((80, 4), np.float32), command=command),
                 lambda done, total: seen.append((done, total, threading.current_thread().name)))
    assert seen[-1] == (80, 80, threading.current_thread().name)
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert {name for _, _, name in seen} == {threading.current_thread().name}


def test_several_outputs_come_as_a_structured_array_by_name(tmp_path: Path) -> None:
    content = two_by_two.convert(two_by_two.build(), two_by_two.stored(), "float32")
    steps = {"image": Normalization(kind="fixed", scale=(255.0,)),
             "age": Normalization(kind="fixed", offset=(40.0,), scale=(12.0,))}
    found = predict_file(job(tmp_path, two_by_two.stored(30), tflite=content, normalization=steps), ignore)
    assert found.outputs.dtype.names == found.output_names
    assert {name: found.outputs[name].shape for name in found.output_names} == {"kind": (30, 3), "value": (30, 1)}
    np.testing.assert_allclose(found.outputs["kind"].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.usefixtures("no_process_left")
def test_a_crash_of_one_worker_ends_all_and_is_raised(tmp_path: Path) -> None:
    command = stub(tmp_path, "def on_invoke(i): os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(EngineCrash, match="SIGSEGV in predict"):
        predict_file(job(tmp_path, np.zeros((3000, 4), np.float32), command=command), ignore)


def test_a_runtime_that_dies_of_batches_alone_is_run_one_at_a_time(tmp_path: Path) -> None:
    command = stub(tmp_path, """
        def on_invoke(i):
            if i.rows > 1:
                os.abort()
    """)
    samples = np.random.default_rng(0).random((20, 4), dtype=np.float32)
    np.testing.assert_array_equal(predict_file(job(tmp_path, samples, command=command), ignore).outputs, samples + 1)


def test_a_worker_that_somebody_kills_once_does_not_cost_the_result(tmp_path: Path) -> None:
    def kill() -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for child in psutil.Process().children():
                os.kill(child.pid, signal.SIGKILL)
                return
            time.sleep(0.01)

    samples = np.random.default_rng(0).random((64, 4), dtype=np.float32)
    killer = threading.Thread(target=kill)
    killer.start()
    found = predict_file(job(tmp_path, samples, command=stub(tmp_path)), ignore)
    killer.join()
    np.testing.assert_array_equal(found.outputs, samples + 1)


@pytest.mark.usefixtures("no_process_left")
def test_a_hang_is_raised_within_the_time_limit_and_leaves_no_process(tmp_path: Path) -> None:
    command = stub(tmp_path, "def on_invoke(i): time.sleep(60)")
    start = time.monotonic()
    with pytest.raises(EngineTimeout, match="within 2 s"):
        predict_file(job(tmp_path, np.zeros((10, 4), np.float32), command=command, timeout_s=2.0), ignore)
    assert time.monotonic() - start < 8


def test_a_refusal_is_raised_as_it_is(tmp_path: Path) -> None:
    command = stub(tmp_path, "def on_init(content): raise ValueError('no such format')")
    with pytest.raises(EngineRefusal, match="litert: int8: no such format"):
        predict_file(job(tmp_path, np.zeros((5000, 4), np.float32), command=command), ignore)


@pytest.mark.usefixtures("no_process_left")
def test_an_interruption_ends_the_workers(tmp_path: Path) -> None:
    command = stub(tmp_path, "def on_invoke(i): time.sleep(60)")

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        predict_file(job(tmp_path, np.zeros((10, 4), np.float32), command=command), interrupt)
    assert time.monotonic() - start < 8


@pytest.mark.parametrize(("shape", "dtype", "batch"), [
    ((1, 8, 8, 1), "float32", 64), ((1, 32, 32, 3), "float32", 8), ((1, 32, 32, 3), "int8", 32),
    ((1, 96, 96, 3), "float32", 1), ((1, 224, 224, 3), "int8", 1)])
def test_fitting_batch_keeps_the_inputs_within_96_kib(shape: tuple[int, ...], dtype: str, batch: int) -> None:
    assert fitting_batch([TensorInfo(name="x", shape=shape, dtype=dtype, scale=0.0, zero_point=0)]) == batch


def test_a_batch_of_zero_is_chosen_by_the_models_input(tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray,
                                                       tmp_path: Path) -> None:
    chosen, given = (predict_file(job(tmp_path, tiny_samples, tflite=tiny_tflites["int8"], batch=batch), ignore)
                     for batch in (0, 64))
    np.testing.assert_array_equal(chosen.outputs, given.outputs)
