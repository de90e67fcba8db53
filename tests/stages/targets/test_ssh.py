"""A machine over ssh: a real OpenSSH server on the loopback address, and everything that can go wrong with one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from device_profiles.errors import EngineCrash, EngineTimeout, EngineUnavailable, TargetError, TargetLost
from stages.engines import host
from stages.engines.client import EngineWorker
from stages.engines.targets.remote import Done
from stages.engines.targets.ssh import SshTarget
from tests.stages.engine_stubs import stub
from tests.stages.targets import sshd

pytestmark = pytest.mark.skipif(bool(sshd.MISSING), reason=sshd.MISSING)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Server]:
    found = sshd.Server(tmp_path_factory.mktemp("sshd"))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def target(server: sshd.Server) -> Iterator[SshTarget]:
    """A connection that the tests share which leave it whole."""
    with server.target(python=sys.executable) as found:
        yield found


def refusal(target: SshTarget) -> TargetError:
    """The error of a connection that does not come about."""
    with pytest.raises(TargetError) as caught:
        target.open()
    assert not target.is_up()
    return caught.value


def test_the_machine_says_what_it_is_and_which_engines_it_has(target: SshTarget) -> None:
    found = target.device()
    assert found.host == host.host()  # the loopback leads here
    assert target.cores() == host.cores()
    assert target.engine_info("litert").available
    assert target.state().boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_a_worker_there_answers_like_one_here_and_files_go_over_once(
        server: sshd.Server, target: SshTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(3).random((50, 4), dtype=np.float32)
    np.save(tmp_path / "x.npy", samples)
    sent: list[str] = []
    upload = target.upload

    def watched(file: Path, path: str, timeout_s: float) -> Done:
        sent.append(file.suffix)
        return upload(file, path, timeout_s)

    monkeypatch.setattr(target, "upload", watched)
    command = target.carry(f"exec {' '.join(stub(tmp_path))}")
    for _ in range(2):
        with EngineWorker("litert", log=tmp_path / "log.txt", command=command, target=target) as worker:
            worker.load(b"a model")
            worker.open(tmp_path / "x.npy")
            np.testing.assert_array_equal(worker.predict_rows(10, 30)[0], samples[10:30] + 1)
    assert sorted(each for each in sent if each != ".py") == [".npy", ".tflite"]
    names = [path.name for path in (server.folder / "remote" / "files").iterdir()]
    assert all(len(name.partition(".")[0]) == 64 for name in names)


def test_the_real_worker_file_runs_there(target: SshTarget, tmp_path: Path) -> None:
    with EngineWorker("litert", log=tmp_path / "log.txt", target=target) as worker:
        assert worker.hello.engine == "litert"
        assert str(target.send(Path(__file__))).endswith(".py")
        assert any("files/" in word for word in psutil.Process(worker.hello.pid).cmdline())


def test_a_missing_runtime_is_named_with_the_line_that_installs_it(server: sshd.Server, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    with server.target(python=f"{tmp_path}/bare/bin/python") as target:
        info = target.engine_info("tflite-runtime")
        with pytest.raises(EngineUnavailable) as caught, EngineWorker("tflite-runtime", log=tmp_path / "l",
                                                                      target=target):
            pass
    assert not info.available
    assert "tflite-runtime is not installed on ssh:" in info.reason
    assert f"ssh -p {server.port} {sshd.USER}@127.0.0.1 '{tmp_path}/bare/bin/python -m pip install tflite-runtime " in (
        caught.value.next_step)
    assert "numpy<2" in caught.value.next_step


def test_a_python_that_is_not_there_is_named(server: sshd.Server) -> None:
    with server.target(python="/nowhere/python") as target:
        assert "there is no /nowhere/python on ssh:" in target.engine_info("litert").reason


# -- no connection -----------------------------------------------------------------------------------------------------


def test_a_port_where_nobody_listens_is_named(server: sshd.Server) -> None:
    assert "no ssh server listens on that port" in refusal(server.target(port=sshd.free_port())).found


def test_a_changed_host_key_is_refused_and_named_and_the_list_stays(server: sshd.Server) -> None:
    known = server.folder / "known-other"
    known.write_text(server.known_line("stranger"))
    error = refusal(server.target(known=known))
    printed = subprocess.run(["ssh-keygen", "-lf", server.folder / "host.pub"], capture_output=True, text=True,
                             check=True).stdout.split()[1]
    assert f"its host key has changed (now ED25519 {printed}, {known}:1 has another)" in error.found
    assert f"ssh-keygen -R '[127.0.0.1]:{server.port}'" in error.next_step
    assert known.read_text() == server.known_line("stranger")


def test_an_unknown_host_key_is_not_taken_without_the_user(server: sshd.Server) -> None:
    known = server.folder / "known-none"
    known.write_text("")
    error = refusal(server.target(known=known))
    assert "its host key is not known here" in error.found
    assert f"ssh -p {server.port} {sshd.USER}@127.0.0.1" in error.next_step
    assert known.read_text() == ""


def test_a_key_that_the_machine_does_not_take_is_named(server: sshd.Server) -> None:
    error = refusal(server.target(key="stranger"))
    assert "does not let this user in" in error.found
    assert "ssh-copy-id" in error.next_step


def test_ssh_that_is_not_installed_is_named(server: sshd.Server) -> None:
    target = server.target()
    target._program = ["/nowhere/ssh"]
    assert "/nowhere/ssh cannot be started" in refusal(target).found


def test_a_shell_that_prints_before_it_obeys_is_named(tmp_path: Path) -> None:
    loud = sshd.Server(tmp_path, 'ForceCommand echo Welcome to the lab; eval "$SSH_ORIGINAL_COMMAND"')
    try:
        assert "prints text before a command runs: 'Welcome to the lab'" in refusal(loud.target()).found
    finally:
        loud.stop()


# -- a connection that breaks ------------------------------------------------------------------------------------------


def working(target: SshTarget, folder: Path, behaviour: str = "def on_invoke(i): time.sleep(60)") -> EngineWorker:
    """A worker there whose runtime misbehaves, not yet started."""
    command = target.carry(f"exec {' '.join(stub(folder, behaviour))}")
    return EngineWorker("litert", log=folder / "log.txt", command=command, target=target)


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether a process ends by itself in time."""
    end = time.monotonic() + seconds
    while psutil.pid_exists(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not psutil.pid_exists(pid)


def test_a_server_that_dies_in_mid_run_is_a_lost_connection_and_a_second_try_goes_on(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = sshd.Server(tmp_path)
    with server.target(python=sys.executable) as target:
        kept = target.send(Path(__file__))
        with working(target, tmp_path) as worker:
            worker.load(b"model")
            end = threading.Timer(0.3, server.stop)
            end.start()
            with pytest.raises(TargetLost, match=r"the connection was lost: .*; the machine does not answer now"):
                worker.predict(np.zeros((2, 4)))
            assert gone(worker.hello.pid)
        with pytest.raises(TargetLost):
            target.state()
        end.join()
        server.start()
        try:
            target.open()
            monkeypatch.setattr(target, "upload", None)  # what was sent whole is there
            assert target.send(Path(__file__)) == kept
        finally:
            server.stop()


def test_a_machine_that_falls_silent_is_noticed(tmp_path: Path) -> None:
    server = sshd.Server(tmp_path)
    stopped: list[psutil.Process] = []

    def freeze() -> None:
        for process in server.sessions():
            if process.name() == "sshd":
                process.suspend()
                stopped.append(process)

    try:
        with server.target(alive_s=1) as target, working(target, tmp_path) as worker:
            worker.load(b"model")
            threading.Timer(0.3, freeze).start()
            start = time.monotonic()
            with pytest.raises(TargetLost, match=r"not responding.*; the machine answers again"):
                worker.predict(np.zeros((2, 4)))
            assert time.monotonic() - start < 30
    finally:
        for process in stopped:
            process.resume()
        server.stop()


def test_a_machine_that_has_started_anew_is_told_from_one_that_was_unplugged(
        server: sshd.Server, tmp_path: Path) -> None:
    with server.target() as target:
        target._boot = "another boot id"
        assert target._master is not None
        target._master.kill()
        with pytest.raises(TargetLost, match="the machine has started anew since"):
            target.state()


def test_a_crash_there_is_told_from_a_lost_connection(target: SshTarget, tmp_path: Path) -> None:
    with working(target, tmp_path, "def on_init(content): os.kill(os.getpid(), signal.SIGKILL)") as worker, \
            pytest.raises(EngineCrash, match=r"its process was ended by a signal \(without a word"):
        worker.load(b"model")
    assert target.is_up()


def test_a_worker_that_hangs_there_is_killed_there(target: SshTarget, tmp_path: Path) -> None:
    with EngineWorker("litert", log=tmp_path / "log.txt", target=target) as worker:
        pid = worker.hello.pid
        os.kill(pid, signal.SIGSTOP)  # it will not even see that its pipes are closed
        worker.timeout_s = 0.5
        with pytest.raises(EngineTimeout, match=r"did not answer to memory within 0\.5 s"):
            worker.memory()
    assert gone(pid)


def test_nothing_runs_on_when_this_process_is_killed(server: sshd.Server, tmp_path: Path) -> None:
    code = f"""
        import sys, time
        from pathlib import Path
        from stages.engines.client import EngineWorker
        from stages.engines.targets.names import parse
        from stages.engines.targets.ssh import SshTarget
        text, config = sys.argv[1:]
        target = SshTarget(text, parse(text), ["ssh", "-F", config])
        target.open()
        worker = EngineWorker("litert", log=Path({str(tmp_path / 'log.txt')!r}), target=target).__enter__()
        print(worker.hello.pid, target._master.pid, flush=True)
        time.sleep(60)
    """
    given = server.target(python=sys.executable)
    config = given._program[2]
    process = subprocess.Popen([sys.executable, "-c", "\n".join(line[8:] for line in code.splitlines()), given.name,
                                config], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker, master = (int(word) for word in process.stdout.readline().split())
    process.kill()
    process.wait()
    process.stdout.close()
    assert gone(worker)
    assert gone(master)


# -- a disk that is full -----------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "litesmith-test", str(folder)], check=False,
                          capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_nothing_is_half_kept_and_a_second_try_goes_on(
        server: sshd.Server, small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "large.npy").write_bytes(bytes(1 << 20))
    (tmp_path / "small.npy").write_bytes(bytes(1 << 10))
    with server.target(folder=str(small_disk)) as target:
        with pytest.raises(TargetError, match=r"large\.npy \(1,048,576 bytes\) could not be sent: its disk is full, "
                                              r"\d+,\d{3} bytes are free"):
            target.send(tmp_path / "large.npy")
        assert list((small_disk / "files").iterdir()) == []
        assert Path(target.send(tmp_path / "small.npy")).read_bytes() == bytes(1 << 10)
