"""The worker's process and pipes: nothing blocks, nothing is left behind, nothing that was said is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from stages.engines import worker
from stages.engines.channel import Channel, ChannelClosed, ChannelTimeout
from stages.engines.client import EngineWorker
from tests.stages.engine_stubs import script, stub


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "engines.log"


def echo(tmp_path: Path, before: str = "") -> list[str]:
    """A process that answers each frame with itself."""
    return script(tmp_path, f"""
        import os, sys, time
        from stages.engines import worker
        while (frame := worker.read_frame(sys.stdin.buffer)) is not None:
            {before or "pass"}
            worker.write_all(1, worker.pack_frame(*frame))
    """)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the scripts import the package that is tested."""
    monkeypatch.setenv("PYTHONPATH", str(Path(worker.__file__).parents[2]))


def test_a_request_comes_back_whole_and_the_next_one_too(importable: None, tmp_path: Path, log: Path) -> None:
    channel = Channel(echo(tmp_path), log)
    for size in (0, 1, 3_000_000):
        array = np.arange(size, dtype=np.int16)
        header, arrays = channel.exchange(worker.pack_frame({"n": size}, [array]), 20)
        assert header == {"n": size}
        np.testing.assert_array_equal(arrays[0], array)
    assert channel.close() == -signal.SIGKILL
    assert channel.close() == -signal.SIGKILL


def test_stderr_larger_than_a_pipe_does_not_block_and_is_logged(importable: None, tmp_path: Path, log: Path) -> None:
    channel = Channel(echo(tmp_path, 'sys.stderr.write("x" * 79 + "\\n" * (1 << 16) + "last\\n")'
                                     '; sys.stderr.write(("y" * 79 + "\\n") * 40000 + "very last\\n")'), log)
    channel.exchange(worker.pack_frame({}), 20)
    assert channel.words()[-1] == "very last"
    channel.close()
    assert log.read_text().count("y" * 79) == 40_000


def test_words_are_those_since_the_request_without_the_runtimes_greetings(importable: None, tmp_path: Path,
                                                                          log: Path) -> None:
    say = 'sys.stderr.write(f"INFO: Created TensorFlow Lite XNNPACK delegate\\n\\nsaid {frame[0]}\\n")'
    channel = Channel(echo(tmp_path, say + "; sys.stderr.flush()"), log)
    for number in (1, 2):
        channel.exchange(worker.pack_frame({"n": number}), 20)
        assert channel.words() == [f"said {{'n': {number}}}"]
    channel.close()


def test_the_time_limit_holds_while_the_reply_drips(importable: None, tmp_path: Path, log: Path) -> None:
    drip = "for _ in range(1000): os.write(1, worker.MAGIC[:1]); time.sleep(0.05)"
    channel = Channel(echo(tmp_path, drip), log)
    start = time.monotonic()
    with pytest.raises((ChannelTimeout, worker.UsageError)):
        channel.exchange(worker.pack_frame({}), 0.7)
    assert time.monotonic() - start < 3
    channel.close()


def test_a_process_that_ends_at_once_closes_the_channel(tmp_path: Path, log: Path) -> None:
    channel = Channel(script(tmp_path, "raise SystemExit(5)"), log)
    with pytest.raises(ChannelClosed):
        channel.exchange(worker.pack_frame({}, [np.zeros(10_000_000, np.uint8)]), 20)
    assert channel.wait(5) == 5
    channel.close()


def test_a_process_that_lives_has_no_exit_status_yet(importable: None, tmp_path: Path, log: Path) -> None:
    channel = Channel(echo(tmp_path), log)
    assert channel.wait(0.05) is None
    channel.kill()
    assert channel.wait(5) == -signal.SIGKILL
    channel.close()


def test_large_requests_and_replies_do_not_block_each_other(tmp_path: Path, log: Path) -> None:
    samples = np.random.default_rng(0).random((1_000_000, 4), dtype=np.float32)  # 16 MB each way, pipes hold 1 MB
    with EngineWorker("litert", log=log, command=stub(tmp_path), timeout_s=30) as worker:
        worker.load(b"model")
        np.testing.assert_array_equal(worker.predict(samples, batch=500_000)[0], samples + 1)


def test_no_process_and_no_zombie_is_left_after_a_with_block(tmp_path: Path, log: Path) -> None:
    with EngineWorker("litert", log=log, command=stub(tmp_path)) as worker:
        pid = worker.pid
        assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    assert not psutil.pid_exists(pid)


def test_ctrl_c_in_the_terminal_does_not_reach_the_worker(tmp_path: Path, log: Path) -> None:
    with EngineWorker("litert", log=log, command=stub(tmp_path)) as worker:
        assert os.getsid(worker.pid) != os.getsid(0)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_worker_does_not_outlive_its_parent_even_in_the_middle_of_an_inference(tmp_path: Path, how: int) -> None:
    command = stub(tmp_path, "def on_invoke(i): time.sleep(60)")
    parent = script(tmp_path, f"""
        import sys
        import numpy as np
        from pathlib import Path
        from stages.engines.client import EngineWorker
        with EngineWorker("litert", log=Path(r"{tmp_path}/log"), command={command!r}) as worker:
            worker.load(b"model")
            print(worker.pid, flush=True)
            worker.predict(np.zeros((1, 4)))
    """)
    process = subprocess.Popen(parent, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert process.stdout
    pid = int(process.stdout.readline())
    time.sleep(0.2)
    process.send_signal(how)
    process.wait(20)
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not psutil.pid_exists(pid)
    process.stdout.close()
