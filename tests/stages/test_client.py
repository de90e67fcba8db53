"""The client with every real engine, and with workers that crash, hang, lie and are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from device_profiles.errors import EngineCrash, EngineRefusal, EngineTimeout, EngineUnavailable, StageError, UsageError
from stages.engines.client import EngineWorker, missing_operator
from stages.engines.registry import ENGINES
from tests.stages.engine_stubs import script, stub

Engines = Callable[[str], EngineWorker]
ALL = tuple(ENGINES)
FORMATS = ("float32", "float16", "dynamic", "int8", "int16x8")
REFUSED = {("tflm", "float16")}  # its DEQUANTIZE kernel takes integers alone
RUNS = [(engine, name) for engine in ALL for name in FORMATS if (engine, name) not in REFUSED]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "engines.log"


@pytest.fixture(scope="module")
def odd_tflites() -> dict[str, bytes]:
    """Models whose outputs do not follow the batch axis, with two inputs, or with operators that engines lack."""
    import tensorflow as tf

    def convert(function: Any, *shapes: tuple[int, ...], custom: bool = False) -> bytes:
        specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
        concrete = tf.function(function).get_concrete_function(*specs)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
        converter.allow_custom_ops = custom
        return bytes(converter.convert())

    return {
        "mixes": convert(lambda x: x - tf.reduce_mean(x, axis=0, keepdims=True) + tf.reduce_max(x), (1, 4)),
        "fixed": convert(lambda x: tf.reshape(x * 2.0, [1, 2, 2]), (1, 4)),
        "native batch": convert(lambda x: x * 3.0, (4, 2)),
        "two inputs": convert(lambda a, b: (a + tf.reduce_sum(b, axis=1, keepdims=True), b * 2.0), (1, 3), (1, 2)),
        "custom": convert(lambda x: tf.math.erfinv(x * 0.5), (1, 8), custom=True),
        "top": convert(lambda x: tf.math.top_k(x, 2)[0], (1, 4)),
    }


# -- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("engine", "name"), RUNS)
def test_batches_give_the_same_numbers_as_one_at_a_time(
        engine: str, name: str, tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray,
        engines: Engines) -> None:
    worker = engines(engine)
    worker.load(tiny_tflites[name])
    alone = worker.predict(tiny_samples, batch=1)[0]
    together = worker.predict(tiny_samples, batch=24)[0]  # 24 + 24 + 16: the last batch is not full
    few = worker.predict(tiny_samples[:5], batch=24)[0]
    assert alone.shape == (64, 3)
    assert len(np.unique(alone, axis=0)) > 3
    if name.startswith("int"):
        np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_array_equal(few, together[:5])


@pytest.mark.parametrize(("engine", "name"), RUNS)
def test_outputs_are_those_of_the_keras_model_up_to_the_formats_steps(
        engine: str, name: str, tiny_keras: Any, tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray,
        engines: Engines) -> None:
    expected = tiny_keras.predict(tiny_samples, verbose=0)
    worker = engines(engine)
    worker.load(tiny_tflites[name])
    found = worker.predict(tiny_samples)[0]
    limit = {"float32": 1e-5, "dynamic": 1e-2, "float16": 1e-3, "int8": 3 / 256, "int16x8": 5e-3}[name]
    assert abs(found - expected).max() <= limit


@pytest.mark.parametrize("engine", ["litert", "tflite-runtime"])
def test_numbers_are_those_of_a_plain_interpreter_loop(
        engine: str, tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray, tmp_path: Path, log: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(tiny_tflites["int8"])
    np.save(tmp_path / "x.npy", tiny_samples)
    plain = f"""
        import numpy as np
        from {ENGINES[engine].module} import Interpreter
        interpreter = Interpreter(r"{tmp_path}/m.tflite", num_threads=1)
        interpreter.allocate_tensors()
        i, o = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        rows = []
        for row in np.load(r"{tmp_path}/x.npy"):
            q = np.clip(np.round(row / i["quantization"][0]) + i["quantization"][1], -128, 127).astype(np.int8)
            interpreter.set_tensor(i["index"], q[None])
            interpreter.invoke()
            scale, zero_point = o["quantization"]
            rows.append((interpreter.get_tensor(o["index"]).astype(float) - zero_point) * scale)
        np.save(r"{tmp_path}/y.npy", np.concatenate(rows))
    """
    subprocess.run(script(tmp_path, plain), check=True, capture_output=True, timeout=60)
    with EngineWorker(engine, log=log) as worker:
        worker.load(tiny_tflites["int8"])
        np.testing.assert_allclose(worker.predict(tiny_samples)[0], np.load(tmp_path / "y.npy"), atol=1e-7)


@pytest.mark.parametrize("engine", ["litert", "tflite-runtime"])
@pytest.mark.parametrize("name", ["mixes", "fixed"])
def test_a_model_that_cannot_be_batched_is_run_one_at_a_time(engine: str, name: str, odd_tflites: dict[str, bytes],
                                                             log: Path) -> None:
    samples = np.random.default_rng(1).random((7, 4), dtype=np.float32)
    with EngineWorker(engine, log=log) as worker:
        worker.load(odd_tflites[name])
        found = worker.predict(samples, batch=4)[0]
    expected = {"mixes": np.repeat(samples.max(axis=1, keepdims=True), 4, axis=1),  # x - mean of itself + its largest
                "fixed": (2 * samples).reshape(7, 2, 2)}[name]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("engine", ALL)
def test_a_model_with_a_batch_of_its_own_gets_its_last_batch_padded(engine: str, odd_tflites: dict[str, bytes],
                                                                    log: Path) -> None:
    samples = np.arange(14, dtype=np.float32).reshape(7, 2)
    with EngineWorker(engine, log=log) as worker:
        worker.load(odd_tflites["native batch"])
        np.testing.assert_allclose(worker.predict(samples, batch=32)[0], 3 * samples)
        worker.feed(samples[:2])
        assert len(worker.measure(3)) == 3


@pytest.mark.parametrize("engine", ALL)
def test_every_input_and_output_of_a_model_is_served(engine: str, odd_tflites: dict[str, bytes], log: Path) -> None:
    a, b = np.arange(9, dtype=np.float32).reshape(3, 3), np.arange(6, dtype=np.float32).reshape(3, 2)
    with EngineWorker(engine, log=log) as worker:
        loaded = worker.load(odd_tflites["two inputs"])
        given = [a if info.shape[1] == 3 else b for info in loaded.inputs]
        found = {each.shape[1]: each for each in worker.predict(*given, batch=2)}
    np.testing.assert_allclose(found[3], a + b.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found[2], 2 * b)


def test_rows_of_a_file_equal_the_samples_sent(tiny_tflites: dict[str, bytes], tiny_samples: np.ndarray,
                                               tmp_path: Path, log: Path) -> None:
    np.save(tmp_path / "x.npy", tiny_samples)
    with EngineWorker("litert", log=log) as worker:
        worker.load(tiny_tflites["int8"])
        worker.open(tmp_path / "x.npy")
        np.testing.assert_array_equal(worker.predict_rows(8, 40, batch=8)[0],
                                      worker.predict(tiny_samples, batch=8)[0][8:40])


def test_load_gives_details_time_and_pinning(tiny_tflites: dict[str, bytes], log: Path) -> None:
    core = max(os.sched_getaffinity(0))
    with EngineWorker("litert", log=log) as worker:
        loaded = worker.load(tiny_tflites["int8"], cpus=[core])
        assert loaded.cpus == (core,)
        assert psutil.Process(worker.pid).cpu_affinity() == [core]
    assert (loaded.inputs[0].shape, loaded.inputs[0].dtype) == ((1, 6, 6, 2), "int8")
    assert loaded.outputs[0].scale == pytest.approx(1 / 256)
    assert loaded.outputs[0].zero_point == -128
    assert loaded.load_ms > 0


@pytest.mark.parametrize("name", ["float32", "int8", "int16x8"])
def test_least_arena_is_the_least_that_tflm_can_load_the_model_into(
        name: str, tiny_tflites: dict[str, bytes], tmp_path: Path, log: Path) -> None:
    with EngineWorker("tflm", log=log) as worker:
        used = worker.load(tiny_tflites[name]).arena_bytes
        arena = worker.arena()
    assert arena.used_bytes == used <= arena.least_bytes
    (tmp_path / "m.tflite").write_bytes(tiny_tflites[name])
    plain = f"""
        from tflite_micro import runtime
        runtime.Interpreter.from_file(r"{tmp_path}/m.tflite", arena_size=ARENA)
    """
    fits, too_small = (subprocess.run(script(tmp_path, plain.replace("ARENA", str(size))), capture_output=True,
                                      timeout=60, check=False).returncode
                       for size in (arena.least_bytes, arena.least_bytes - 32))
    assert fits == 0
    assert too_small != 0


def test_arena_of_an_engine_without_one_is_refused(tiny_tflites: dict[str, bytes], log: Path) -> None:
    with EngineWorker("litert", log=log) as worker:
        worker.load(tiny_tflites["int8"])
        with pytest.raises(StageError, match="litert has no arena"):
            worker.arena()


@pytest.mark.parametrize("engine", ALL)
def test_measure_returns_nanoseconds_and_stops_at_its_time(engine: str, tiny_tflites: dict[str, bytes],
                                                           tiny_samples: np.ndarray, log: Path) -> None:
    with EngineWorker(engine, log=log) as worker:
        worker.load(tiny_tflites["float32"])
        worker.predict(tiny_samples, batch=32)  # measure goes back to batch 1
        worker.feed(tiny_samples[:4])
        taken = worker.measure(25)
        timed = worker.measure(10_000_000, seconds=0.05)
    assert taken.dtype == np.int64
    assert len(taken) == 25
    assert 100 < taken.min() < 1e8
    assert 0.01e9 < timed.sum() < 0.1e9


def test_peak_memory_grows_with_the_model_and_not_with_the_runtime(tmp_path: Path, log: Path) -> None:
    command = stub(tmp_path, """
        def on_init(content):
            global kept
            kept = np.ones(32 << 20, np.uint8)
    """)
    with EngineWorker("litert", log=log, command=command) as worker:
        before = worker.memory()
        worker.load(b"model")
        after = worker.memory()
    assert before.peak_bytes - before.baseline_bytes < 8 << 20
    assert 32 << 20 <= after.peak_bytes - after.baseline_bytes < 40 << 20


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("engine", "name", "operator"), [
    ("litert", "custom", "Erfinv"), ("tflite-runtime", "custom", "Erfinv"), ("tflm", "top", "TOPK_V2")])
def test_a_missing_operator_is_named_and_the_worker_takes_the_next_model(
        engine: str, name: str, operator: str, odd_tflites: dict[str, bytes], tiny_tflites: dict[str, bytes],
        log: Path) -> None:
    with EngineWorker(engine, log=log, model="slim40-int8") as worker:
        with pytest.raises(EngineRefusal, match=f"it has no operator {operator}") as caught:
            worker.load(odd_tflites[name])
        assert str(caught.value).startswith(f"{engine}: slim40-int8: ")
        assert worker.load(tiny_tflites["int8"]).inputs[0].dtype == "int8"


def test_tflm_says_in_its_own_words_why_it_refuses_float16(tiny_tflites: dict[str, bytes], log: Path) -> None:
    with EngineWorker("tflm", log=log) as worker, pytest.raises(EngineRefusal, match="Node DEQUANTIZE"):
        worker.load(tiny_tflites["float16"])


@pytest.mark.parametrize("engine", ALL)
@pytest.mark.parametrize("content", [b"", b"no model at all" * 20])
def test_what_is_no_tflite_model_is_refused(engine: str, content: bytes, log: Path) -> None:
    with EngineWorker(engine, log=log) as worker, pytest.raises(EngineRefusal):
        worker.load(content)


def test_samples_of_another_shape_are_refused_with_both_shapes(tiny_tflites: dict[str, bytes], log: Path) -> None:
    with EngineWorker("litert", log=log) as worker:
        worker.load(tiny_tflites["int8"])
        with pytest.raises(StageError, match=r"wants samples of shape \[\[6, 6, 2\]\], and got 2 of \[\[5, 5, 1\]\]"):
            worker.predict(np.zeros((2, 5, 5, 1)))


def test_missing_operator_reads_each_runtimes_way_to_say_it() -> None:
    assert missing_operator("Didn't find op for builtin opcode 'CONV_2D' version '9'. An older") == "CONV_2D version 9"
    assert missing_operator("Didn't find op for builtin opcode 'ATAN2'") == "ATAN2"
    assert missing_operator("Encountered unresolved custom op: Erfinv.") == "Erfinv"
    assert missing_operator("Failed to resize buffer") == ""


def test_an_engine_that_cannot_be_imported_is_unavailable_with_the_command_that_mends_it(
        tmp_path: Path, log: Path) -> None:
    command = stub(tmp_path)
    (tmp_path / "runtime_stub.py").write_text("import no_such_runtime")
    with pytest.raises(EngineUnavailable, match="no_such_runtime") as caught, \
            EngineWorker("litert", log=log, command=command):
        pass
    assert caught.value.next_step == "pip install ai-edge-litert"


def test_a_command_that_is_not_there_is_unavailable(log: Path) -> None:
    with pytest.raises(EngineUnavailable, match="cannot be started"), \
            EngineWorker("litert", log=log, command=["/no/such/python"]):
        pass


def test_an_unknown_engine_is_a_usage_error_with_the_near_miss(log: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'litert'"), EngineWorker("literl", log=log):
        pass


# -- crashes, hangs, lies ------------------------------------------------------------------------------------------


def test_a_truncated_model_that_kills_the_runtime_is_a_crash_with_its_signal(
        tiny_tflites: dict[str, bytes], log: Path) -> None:
    content = tiny_tflites["int8"][:1500]  # tflite-runtime 2.14 reads on behind the end
    with EngineWorker("tflite-runtime", log=log, model="int8") as worker:
        with pytest.raises(EngineCrash, match=r"its process was ended by SIG(SEGV|BUS) in load"):
            worker.load(content)
        with pytest.raises(EngineCrash, match="is not running"):
            worker.memory()


def test_a_crash_carries_the_last_words(tmp_path: Path, log: Path) -> None:
    command = stub(tmp_path, """
        def on_init(content):
            sys.stderr.write("INFO: hello\\nkernel.cc:7 bad alignment\\n")
            sys.stderr.flush()
            os.abort()
    """)
    with EngineWorker("litert", log=log, command=command) as worker, \
            pytest.raises(EngineCrash, match=r"SIGABRT in load: kernel\.cc:7 bad alignment\n"):
        worker.load(b"model")
    assert "INFO: hello" in log.read_text()


def test_a_worker_that_is_killed_in_mid_predict_is_a_crash(tmp_path: Path, log: Path) -> None:
    command = stub(tmp_path, "def on_invoke(i): time.sleep(60)")
    with EngineWorker("litert", log=log, command=command) as worker:
        worker.load(b"model")
        threading.Timer(0.3, os.kill, (worker.pid, signal.SIGKILL)).start()
        start = time.monotonic()
        with pytest.raises(EngineCrash, match="ended by SIGKILL in predict"):
            worker.predict(np.zeros((3, 4)))
    assert time.monotonic() - start < 5


def test_a_worker_that_hangs_is_killed_when_its_time_is_over(tmp_path: Path, log: Path) -> None:
    command = stub(tmp_path, "def on_invoke(i): time.sleep(60)")
    with EngineWorker("litert", log=log, command=command) as worker:
        worker.load(b"model")
        pid, worker.timeout_s = worker.pid, 0.3
        with pytest.raises(EngineTimeout, match=r"did not answer to predict within 0\.3 s"):
            worker.predict(np.zeros((3, 4)))
        assert not psutil.pid_exists(pid)


def test_a_worker_that_stops_reading_hits_the_time_limit_too(tmp_path: Path, log: Path) -> None:
    command = script(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(EngineTimeout), EngineWorker("litert", log=log, command=command, timeout_s=0.3):
        pass


def test_a_worker_that_answers_with_noise_is_a_crash(tmp_path: Path, log: Path) -> None:
    command = script(tmp_path, "print('Welcome to the board, enjoy your stay', flush=True); input()")
    with pytest.raises(EngineCrash, match="broke the protocol"), EngineWorker("litert", log=log, command=command):
        pass


def test_a_worker_of_another_protocol_version_is_refused(tmp_path: Path, log: Path) -> None:
    command = stub(tmp_path)
    start = tmp_path / "start.py"
    start.write_text(start.read_text().replace("sys.exit(", "worker.PROTOCOL = 99\nsys.exit("))
    with pytest.raises(EngineUnavailable, match="speaks protocol 99"), \
            EngineWorker("litert", log=log, command=command):
        pass


def test_an_exit_is_a_crash_with_its_status(tmp_path: Path, log: Path) -> None:
    command = stub(tmp_path, "def on_init(content): os._exit(7)")
    with EngineWorker("litert", log=log, command=command) as worker, \
            pytest.raises(EngineCrash, match="ended with status 7 in load"):
        worker.load(b"model")
