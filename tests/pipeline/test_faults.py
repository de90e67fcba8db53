"""Real faults on real processes: killed, stopped, two at once, a disk that is full."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.store import file_digest
from tests.pipeline.small import SMALL

CONFIG = {**SMALL, "variants": ["int8"], "train": {"epochs": 4}}


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """`litesmith run` in a process of its own."""
    (folder / "run.yaml").write_text(json.dumps(CONFIG))
    return subprocess.Popen([sys.executable, "-m", "pipeline", "run", "-c", "run.yaml", "--store", "store", *words],
                            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    """Wait until a file that matches is there."""
    end = time.monotonic() + 120
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end, f"no {pattern} in two minutes"
        time.sleep(0.005)


def digests(folder: Path) -> dict[str, str]:
    """Of everything in a run folder that must not depend on how often it was killed."""
    models = (folder / "runs" / "small" / "models").iterdir()
    return {path.name: file_digest(path) for path in models}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The digests of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("unbroken")
    process = start(folder)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return digests(folder)


def test_a_run_killed_in_training_and_again_in_conversion_ends_with_the_same_bytes(tmp_path, unbroken):
    for pattern in ("store/scratch/*/*", "runs/small/log.txt"):
        process = start(tmp_path)
        wait_for(tmp_path, pattern, process)
        if "log" in pattern:
            wait_for(tmp_path, "store/artifacts/*/*/model.keras", process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    process = start(tmp_path)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert digests(tmp_path) == unbroken
    assert list((tmp_path / "store" / "unfinished").iterdir()) == []


def test_ctrl_c_stops_cleanly_says_how_to_go_on_and_leaves_no_worker(tmp_path, unbroken):
    process = start(tmp_path)
    wait_for(tmp_path, "store/artifacts/*/*/model.keras", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "to go on: litesmith run -c run.yaml" in err
    assert "Traceback" not in err
    assert [p.pid for p in psutil.process_iter(["cwd", "cmdline"]) if p.info["cwd"] == str(tmp_path)] == []
    process = start(tmp_path)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert digests(tmp_path) == unbroken


def test_two_runs_at_once_on_one_store_are_both_right(tmp_path, unbroken):
    both = [start(tmp_path, "--runs", f"runs{i}") for i in (1, 2)]
    for process in both:
        _, err = process.communicate(timeout=400)
        assert process.returncode == 0, err
    for i in (1, 2):
        found = {p.name: file_digest(p) for p in (tmp_path / f"runs{i}" / "small" / "models").iterdir()}
        assert found == unbroken


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 300 KiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small tmpfs needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)], capture_output=True,
                          check=False)
    if done.returncode:
        pytest.skip("this machine does not let a test mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_message_and_nothing_half_written_stays(tiny_disk):
    process = start(tiny_disk)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "no space left on the disk" in err
    assert "Traceback" not in err
    assert list((tiny_disk / "store" / "unfinished").iterdir()) == []
