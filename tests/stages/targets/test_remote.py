"""What ssh and adb share, on a device that is a shell of this machine: no server is needed to test it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import EngineUnavailable, TargetError, TargetLost
from stages.engines import host
from stages.engines.client import EngineWorker
from stages.engines.pool import Job, predict_file
from stages.engines.targets.target import WORKER
from tests.stages.engine_stubs import stub
from tests.stages.targets.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    found = Shell(tmp_path)
    found.open()
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.npy"
    path.write_bytes(b"samples" * 1000)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_is_sent_once_and_kept_by_its_digest(shell: Shell, file: Path, tmp_path: Path) -> None:
    there = Path(shell.send(file))
    assert there == tmp_path / "there" / "files" / f"{digest(file)}.npy"
    assert there.read_bytes() == file.read_bytes()
    assert shell.send(file) == str(there)
    copy = tmp_path / "same.npy"
    copy.write_bytes(file.read_bytes())
    assert shell.send(copy) == str(there)
    assert shell.uploads() == 1
    shell.open()  # another session
    assert shell.send(file) == str(there)
    assert shell.uploads() == 1


def test_a_file_that_was_damaged_there_is_sent_anew(shell: Shell, file: Path) -> None:
    there = Path(shell.send(file))
    there.write_bytes(b"damaged")
    assert shell.send(file) == str(there)  # what this session has seen whole it does not look at again
    shell.open()
    shell.send(file)
    assert there.read_bytes() == file.read_bytes()


def test_bytes_are_sent_like_a_file(shell: Shell) -> None:
    there = Path(shell.send_bytes(b"model", ".tflite"))
    assert (there.read_bytes(), there.suffix) == (b"model", ".tflite")


def test_a_full_disk_is_named_with_what_is_free_and_nothing_is_half_kept(shell: Shell, file: Path,
                                                                         tmp_path: Path) -> None:
    shell.program("cat", "head -c 100; echo 'cat: write error: No space left on device' >&2; exit 1")
    shell.program("df", "echo 'Filesystem 1024-blocks Used Available'; echo '/dev/root 100 97 3 97% /'")
    with pytest.raises(TargetError) as caught:
        shell.send(file)
    assert caught.value.found == "x.npy (7,000 bytes) could not be sent: its disk is full, 3,072 bytes are free"
    assert str(caught.value).startswith("ssh:pi@pi: ")
    assert list((tmp_path / "there" / "files").iterdir()) == []
    (shell.programs / "cat").unlink()
    assert Path(shell.send(file)).read_bytes() == file.read_bytes()


def test_a_copy_that_is_cut_short_without_an_error_is_not_taken(shell: Shell, file: Path, tmp_path: Path) -> None:
    shell.program("cat", "head -c 100")
    with pytest.raises(TargetError, match="it arrived damaged: its digest there is "):
        shell.send(file)
    assert list((tmp_path / "there" / "files").iterdir()) == []


def test_what_broken_copies_left_is_taken_away_once_it_is_old(shell: Shell, tmp_path: Path) -> None:
    old, new = (tmp_path / "there" / "files" / f".part-{name}" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 86400,) * 2)
    shell.open()
    assert (old.exists(), new.exists()) == (False, True)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("a file")
    with pytest.raises(TargetError, match=r"the folder .*there cannot be used there: .*") as caught:
        Shell(tmp_path).open()
    assert "ssh:pi@pi,folder=PATH" in caught.value.next_step


def test_the_device_is_what_its_files_say(shell: Shell) -> None:
    assert shell.device().host == host.host()
    assert shell.cores() == host.cores()
    assert shell.state().boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert shell.workers() == min(len(host.cores()), 6)


def test_the_worker_file_runs_there_and_a_file_s_samples_come_back(shell: Shell, tmp_path: Path) -> None:
    samples = np.arange(240, dtype=np.float32).reshape(60, 4)
    np.save(tmp_path / "x.npy", samples)
    command = [*stub(tmp_path)]
    job = Job(engine="litert", tflite=b"model", model="float32", samples=tmp_path / "x.npy", batch=8, workers=2,
              timeout_s=60, log=tmp_path / "log.txt", command=command, target=shell)
    np.testing.assert_array_equal(predict_file(job, lambda done, total: None).outputs, samples + 1)
    with EngineWorker("litert", log=tmp_path / "log.txt", target=shell) as worker:
        assert worker.hello.engine == "litert"
    assert (tmp_path / "there" / "files" / f"{digest(WORKER)}.py").exists()


def test_a_package_that_is_missing_is_named_with_the_line_that_installs_it(tmp_path: Path) -> None:
    shell = Shell(tmp_path, python="")
    for name in ("python3", *(f"python3.{minor}" for minor in range(9, 15))):
        shell.program(name, """echo '{"python": "/usr/bin/python3", "version": "3.11.2", "found": {}}'""")
    shell.open()
    info = shell.engine_info("litert")
    venv = f"{tmp_path}/there/venv"
    assert info.reason == (f"ai-edge-litert is not installed on ssh:pi@pi for /usr/bin/python3 (3.11.2): ssh pi@pi "
                           f"'python3 -m venv {venv} && {venv}/bin/pip install ai-edge-litert numpy'")
    with pytest.raises(EngineUnavailable, match="tflite-runtime is not installed") as caught:
        shell.command("tflite-runtime")
    assert "pip install tflite-runtime 'numpy<2'" in caught.value.next_step


def test_further_pythons_are_asked_only_where_the_usual_ones_have_no_runtime(tmp_path: Path) -> None:
    shell = Shell(tmp_path, python="")
    answer = """echo '{"python": "%s", "version": "3.11.2", "found": {%s}}'; echo x >> """ + str(tmp_path / "asked")
    shell.program("python3", answer % ("/usr/bin/python3", '"ai_edge_litert.interpreter": "2.0.2"'))
    for minor in range(9, 15):
        shell.program(f"python3.{minor}", answer % (f"/usr/bin/python3.{minor}", ""))
    shell.open()
    assert shell.engine_info("litert").version == "2.0.2"
    assert (tmp_path / "asked").read_text().count("x") == 1
    shell.program("python3", answer % ("/usr/bin/python3", ""))
    shell.open()
    assert not shell.engine_info("litert").available
    assert (tmp_path / "asked").read_text().count("x") == 1 + 7


def test_a_device_without_any_python_says_so(tmp_path: Path) -> None:
    shell = Shell(tmp_path, python="/nowhere/python")
    shell.open()
    assert "there is no /nowhere/python on ssh:pi@pi" in shell.engine_info("litert").reason
    assert shell.device().host.python == ""


def test_a_worker_is_ended_only_if_it_is_ours(shell: Shell, file: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    ours = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", shell.send(WORKER)])
    try:
        shell.end(0)
        shell.end(sleeper.pid)
        shell.end(ours.pid)
        assert ours.wait(10) == -9
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_lost_device_counts_as_down_and_its_workers_are_let_go(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    error = shell.lost("the cable was pulled")
    assert isinstance(error, TargetLost)
    assert error.found == "the connection was lost: the cable was pulled"
    assert not shell.is_up()
    monkeypatch.setattr(shell, "run", None)
    shell.end(12345)  # asks nobody


def test_clear_takes_the_files_and_leaves_an_environment(shell: Shell, file: Path, tmp_path: Path) -> None:
    shell.send(file)
    (tmp_path / "there" / "venv").mkdir()
    shell.clear()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["venv"]
