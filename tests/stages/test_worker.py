"""The worker file alone: its arithmetic, its frames, and the process as any client would speak to it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stages.engines import worker
from tests.stages.engine_stubs import stub

INT8 = worker.Tensor("x", [1, 4], "int8", scale=0.5, zero_point=-10)


def ask(command: list[str],
        *requests: tuple[dict, list]) -> tuple[list[tuple[dict, list]], subprocess.CompletedProcess]:
    """Send requests to a fresh process and read all its answers; stdin ends behind them."""
    data = b"".join(bytes(part) for header, arrays in requests for part in worker.pack_frame(header, arrays))
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
    answers, rest = [], done.stdout
    while rest:
        header_bytes, payload_bytes = worker.unpack_prefix(rest[:16])
        end = 16 + header_bytes + payload_bytes
        answers.append(worker.unpack_frame(rest[16:16 + header_bytes], rest[16 + header_bytes:end]))
        rest = rest[end:]
    return answers, done


def real(engine: str) -> list[str]:
    """The command of the real worker."""
    return [sys.executable, str(Path(worker.__file__)), engine]


def test_worker_imports_nothing_but_the_standard_library_and_numpy() -> None:
    tree = ast.parse(Path(worker.__file__).read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).split(".")[0])
    assert names - set(sys.stdlib_module_names) == {"numpy"}


def test_quantize_rounds_shifts_and_saturates() -> None:
    samples = np.array([[0.0, 0.6, 100.0, -100.0]], np.float32)
    assert worker.quantize(samples, INT8).tolist() == [[-10, -9, 127, -128]]
    assert worker.quantize(samples, INT8).dtype == np.int8


@pytest.mark.parametrize(("dtype", "scale", "zero_point", "value", "expected"), [
    ("uint8", 0.1, 128, 2.0, 148), ("uint8", 0.1, 128, -100.0, 0), ("int16", 0.001, 0, 1.5, 1500),
    ("int16", 0.001, 0, 99.0, 32767), ("int8", 1 / 255, -128, 1.0, 127)])
def test_quantize_follows_the_type_of_the_input(dtype: str, scale: float, zero_point: int, value: float,
                                                expected: int) -> None:
    tensor = worker.Tensor("x", [1], dtype, scale, zero_point)
    assert worker.quantize(np.array([value], np.float32), tensor).tolist() == [expected]


def test_dequantize_undoes_quantize_within_half_a_step() -> None:
    samples = np.linspace(-50, 60, 97, dtype=np.float32)
    back = worker.dequantize(worker.quantize(samples, INT8), INT8)
    assert back.dtype == np.float32
    assert abs(back - samples).max() <= 0.25 + 1e-5


def test_float_tensors_are_cast_and_not_scaled() -> None:
    half = worker.Tensor("x", [1], "float16", scale=0.0, zero_point=0)
    assert worker.quantize(np.array([1.5], np.float32), half).dtype == np.float16
    assert worker.dequantize(np.array([1.5], np.float16), half).tolist() == [1.5]


def test_normalize_divides_by_channel_in_float32() -> None:
    found = worker.normalize(np.array([[10, 200]], np.uint8), [[10.0, 100.0], [2.0, 50.0]])
    assert (found.dtype, found.tolist()) == (np.float32, [[0.0, 2.0]])
    same = np.array([1.5], np.float32)
    assert worker.normalize(same, [[0.0], [1.0]]) is same


@pytest.mark.parametrize(("dtype", "expected"), [
    ("uint8", [0, 128, 255]), ("int8", [-128, 0, 127]), ("float32", [0.0, 128.0, 255.0])])
def test_a_stored_byte_goes_in_as_the_same_byte(dtype: str, expected: list[float]) -> None:
    tensor = worker.Tensor("x", [1, 3], dtype, scale=0.0 if dtype == "float32" else 0.25, zero_point=3)
    found = worker.as_stored(np.array([0, 128, 255], np.uint8), tensor)
    assert (found.dtype.name, found.tolist()) == (dtype, expected)


def test_stored_rows_are_read_by_field_and_part(tmp_path: Path) -> None:
    rows = np.array([(i, [i / 2, i]) for i in range(10)], [("a", "u1"), ("b", "f4", (2,))])
    np.save(tmp_path / "x.npy", rows)
    opened = worker.Stored(str(tmp_path / "x.npy"), ["b", "a"], [[[1.0], [2.0]], None])
    floats, bytes_ = (worker.Tensor("x", [1], dtype, 0.0, 0) for dtype in ("float32", "uint8"))
    part = opened.part(4, 8)
    assert (opened.count, part.count, part.shapes) == (10, 4, [[2], []])
    b, a = part.read(3, 5, [floats, bytes_])  # the last of the part
    assert (a.tolist(), b.tolist()) == ([7], [[1.25, 3.0]])


def test_arrays_in_fortran_order_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.asfortranarray(np.zeros((3, 4))))
    with pytest.raises(worker.UsageError, match="C order"):
        worker.Stored(str(tmp_path / "x.npy"), [None], [None])


def test_fits_lets_open_axes_alone_differ() -> None:
    tensor = worker.Tensor("x", [1, 1, 1, 3], "float32", 0.0, 0, free=(0, 1, 2))
    assert worker.fits([[32, 24, 3]], [tensor])
    assert not worker.fits([[32, 24, 1]], [tensor])
    assert not worker.fits([[32, 3]], [tensor])
    assert not worker.fits([[3], [3]], [tensor])


def test_padded_adds_zero_rows_below() -> None:
    assert worker.padded(np.array([[1, 2]], np.int8), 3).tolist() == [[1, 2], [0, 0], [0, 0]]


def test_close_allows_one_step_for_integers_and_a_thousandth_for_floats() -> None:
    assert worker.close(np.array([5], np.int8), np.array([6], np.int8))
    assert not worker.close(np.array([5], np.int8), np.array([7], np.int8))
    assert worker.close(np.array([1.0], np.float32), np.array([1.0005], np.float32))
    assert not worker.close(np.array([1.0], np.float32), np.array([1.002], np.float32))


def test_a_frame_comes_back_as_it_went_in() -> None:
    arrays = [np.arange(6, dtype=np.int16).reshape(2, 3), np.zeros((0, 4), np.float32), np.array(7, np.int64)]
    data = b"".join(bytes(part) for part in worker.pack_frame({"op": "x"}, arrays))
    read_end, write_end = os.pipe()
    worker.write_all(write_end, [data])
    os.close(write_end)
    with os.fdopen(read_end, "rb") as stream:
        header, back = worker.read_frame(stream) or ({}, [])
        assert worker.read_frame(stream) is None
    assert header == {"op": "x"}
    assert [(array.dtype, array.tolist()) for array in back] == [(array.dtype, array.tolist()) for array in arrays]


def test_a_frame_of_another_protocol_is_refused() -> None:
    with pytest.raises(worker.UsageError, match="not a frame"):
        worker.unpack_prefix(b"HTTP/1.1 200 OK!")


def test_hello_names_engine_version_and_machine() -> None:
    from importlib.metadata import version

    answers, done = ask(real("litert"), ({"op": "hello"}, []))
    assert done.returncode == 0
    header = answers[0][0]
    assert (header["engine"], header["version"], header["protocol"]) == ("litert", version("ai-edge-litert"), 2)
    assert header["machine"] == os.uname().machine


def test_what_a_runtime_prints_to_stdout_goes_to_stderr(tmp_path: Path) -> None:
    command = stub(tmp_path, """
        def on_init(content):
            os.write(1, b"chatter from C++")
    """)
    answers, done = ask(command, ({"op": "hello"}, []), ({"op": "load"}, [np.zeros(3, np.uint8)]))
    assert [header["ok"] for header, _ in answers] == [True, True]
    assert b"chatter from C++" in done.stderr


def test_a_refusal_is_an_answer_in_the_runtimes_own_words(tmp_path: Path) -> None:
    command = stub(tmp_path, """
        def on_init(content):
            raise RuntimeError("Didn't find op for builtin opcode 'CONV_2D' version '9'")
    """)
    load = {"op": "load"}, [np.zeros(3, np.uint8)]
    answers, done = ask(command, ({"op": "hello"}, []), load, ({"op": "memory"}, []))
    assert answers[1][0] == {"ok": False, "kind": "refused",
                             "message": "Didn't find op for builtin opcode 'CONV_2D' version '9'"}
    assert answers[2][0]["ok"]
    assert done.returncode == 0


@pytest.mark.parametrize(("request_header", "words"), [
    ({"op": "dance"}, "unknown operation 'dance'"), ({"op": "predict"}, "no model is loaded"),
    ({"op": "load"}, "say hello first")])
def test_a_request_out_of_order_is_answered_with_what_is_wrong(tmp_path: Path, request_header: dict,
                                                               words: str) -> None:
    answers, _ = ask(stub(tmp_path), (request_header, [np.zeros(3, np.uint8)]))
    assert answers[0][0]["kind"] == "usage"
    assert words in answers[0][0]["message"]


def test_an_engine_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    command = stub(tmp_path)
    (tmp_path / "runtime_stub.py").write_text("import no_such_runtime")
    answers, _ = ask(command, ({"op": "hello"}, []))
    assert answers[0][0]["kind"] == "unavailable"
    assert "no_such_runtime" in answers[0][0]["message"]


def test_an_unknown_engine_is_a_usage_error() -> None:
    answers, _ = ask(real("onnx"), ({"op": "hello"}, []))
    assert answers[0][0] == {"ok": False, "kind": "usage", "message": "unknown engine 'onnx'"}


def test_worker_without_an_engine_exits_with_2() -> None:
    done = subprocess.run([sys.executable, worker.__file__], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "usage: python worker.py ENGINE" in done.stderr


def test_worker_ends_when_its_input_ends_in_the_middle_of_a_frame(tmp_path: Path) -> None:
    whole = b"".join(bytes(part) for part in worker.pack_frame({"op": "load"}, [np.zeros(1000, np.uint8)]))
    done = subprocess.run(stub(tmp_path), input=whole[:-1], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


def test_captured_stderr_keeps_what_was_printed_and_lets_it_through(capfd: pytest.CaptureFixture[str]) -> None:
    assert worker.captured_stderr(lambda: os.write(2, b"Arena allocation total 64 bytes\n")).startswith("Arena")
    assert "total 64" in capfd.readouterr().err


def test_pinning_to_a_core_that_is_not_there_says_which_are() -> None:
    with pytest.raises(worker.UsageError, match=r"cores \[4095\] cannot be had"):
        worker.pin([4095])


def test_peak_memory_is_at_least_the_resident_set() -> None:
    assert worker.memory_bytes("VmHWM") >= worker.memory_bytes("VmRSS") > 1 << 20
