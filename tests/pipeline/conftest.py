"""The small run, made once for all tests that look at a whole run, and a way to type commands."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import pipeline
from pipeline import cli
from pipeline.config import RunConfig
from pipeline.plan import build
from tests.pipeline.plans import AROUND
from tests.pipeline.small import SMALL


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """(folder that holds `runs` and `store`, the result of the first run)."""
    folder = tmp_path_factory.mktemp("small")
    return folder, pipeline.run(SMALL, runs=folder / "runs", store=folder / "store")


@pytest.fixture
def typed(monkeypatch, capfd, tmp_path):
    """Type a command in a folder, by default an empty one; in this process, through the same entry as the command."""

    def run(*words: str, folder: Path | None = None) -> Done:
        monkeypatch.chdir(folder or tmp_path)
        monkeypatch.setattr(sys, "argv", ["litesmith", *words])
        capfd.readouterr()
        code = cli.carry_out(debug="--debug" in words, as_json="--json" in words)
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture(scope="session")
def default():
    """The plan of the built-in run."""
    return build(RunConfig(), AROUND)


@pytest.fixture
def machine(monkeypatch):
    """Milliseconds of a tflite model by its bytes; a launch is made of them and of a little noise."""
    from tests.stages.comparing_benches import launch_of, normal, without_engines
    from tests.stages.comparing_models import IDENTITY, LONGER, SWAPPED

    known, noise = {IDENTITY: 1.0, LONGER: 1.1, SWAPPED: 1.0}, normal(0, 0.001)

    def launch(pair, place, generator):
        first, second = (known[each.content] for each in pair)
        return launch_of(math.log(second / first) + noise(), first * math.exp(noise()), engine_version="2.3.0")

    without_engines(monkeypatch, launch)
    return known


@pytest.fixture
def sides(tmp_path, monkeypatch):
    """Two tflite models and two run folders in the working folder."""
    from tests.stages.comparing_models import IDENTITY, LONGER, SWAPPED

    monkeypatch.chdir(tmp_path)
    runs = {"a": {"float32": IDENTITY, "int8": SWAPPED, "old": IDENTITY},
            "b": {"float32": LONGER, "int8": SWAPPED, "new": LONGER}}
    for run, models in runs.items():
        (tmp_path / run / "models").mkdir(parents=True)
        for name, content in models.items():
            (tmp_path / run / "models" / f"{name}.tflite").write_bytes(content)
    for name, content in (("one", IDENTITY), ("other", LONGER)):
        (tmp_path / f"{name}.tflite").write_bytes(content)
    return tmp_path
