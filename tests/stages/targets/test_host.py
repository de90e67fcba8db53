"""This host as a target."""

from __future__ import annotations

import os
import platform
import signal
from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import EngineCrash, StageError, UsageError
from stages.engines import host, registry
from stages.engines.client import EngineWorker
from stages.engines.targets.host import HostTarget
from stages.engines.targets.opening import open_target
from tests.stages.engine_stubs import stub


def test_host_is_what_host_opens_and_nothing_is_sent(tmp_path: Path) -> None:
    with open_target("host") as target:
        assert isinstance(target, HostTarget)
        assert target.send(tmp_path / "x.npy") == str(tmp_path / "x.npy")
        assert (target.provenance, target.is_remote, target.tells_time) == ("measured", False, True)
        assert target.cores() == host.cores()
        assert target.engine_info("litert") == registry.engine_info("litert")


def test_a_target_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match="no target 'moon'"):
        open_target("moon")


def test_the_device_is_this_machine_with_its_kernel_and_python() -> None:
    found = HostTarget().device()
    assert found.host == host.host()
    assert found.host.python == platform.python_version()
    assert HostTarget().state().boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_a_worker_takes_a_model_from_a_file_and_says_when_there_is_none(tmp_path: Path) -> None:
    class Elsewhere(HostTarget):
        """A target whose files are others."""

        is_remote = True

        def send_bytes(self, content: bytes, suffix: str) -> str:
            path = tmp_path / f"sent{suffix}"
            if content != b"lost":
                path.write_bytes(content)
            else:
                path.unlink()
            return str(path)

    command = stub(tmp_path, "def on_init(content): assert content == b'the model', content")
    with EngineWorker("litert", log=tmp_path / "log.txt", command=command, target=Elsewhere()) as worker:
        worker.load(b"the model")
        np.testing.assert_array_equal(worker.predict(np.zeros((2, 4)))[0], np.ones((2, 4)))
        with pytest.raises(StageError, match=r"cannot load: load: .*No such file"):
            worker.load(b"lost")


def test_a_target_is_told_to_end_a_worker_and_says_how_it_ended(tmp_path: Path) -> None:
    class Told(HostTarget):
        """Remembers what it was told."""

        def __init__(self) -> None:
            super().__init__()
            self.ended: list[int] = []

        def end(self, pid: int) -> None:
            self.ended.append(pid)

        def ending(self, status: int | None, words: object) -> str:
            return f"fell off the table with {status}"

    target = Told()
    with EngineWorker("litert", log=tmp_path / "log.txt", command=stub(tmp_path), target=target) as worker:
        pid = worker.hello.pid
        worker.load(b"model")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EngineCrash, match="its process fell off the table with -9 in memory"):
            worker.memory()
    assert target.ended == [pid]
