"""The small run, made once for all tests that look at a whole run, and a way to type commands."""

from __future__ import annotations

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
