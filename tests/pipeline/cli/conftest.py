"""Commands typed on the small run."""

from __future__ import annotations

import json

import pytest

from tests.pipeline.small import SMALL


@pytest.fixture(scope="session")
def small_folder(small_run):
    """A folder in which the small run is up to date, with its run file."""
    folder, _ = small_run
    (folder / "run.yaml").write_text(json.dumps(SMALL))
    return folder


def go(typed, small_folder, *words):
    return typed(*words, "-c", "run.yaml", "--store", "store", folder=small_folder)
