"""The first operator that differs between two places."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from stages.engines.targets.differing import first_difference
from stages.engines.targets.host import HostTarget
from stages.engines.targets.target import WORKER
from tests.device_profiles.handmade import Handmade

# The real worker, whose runtime gives the second output with its first element one larger.
_OFF = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("worker", {worker!r})
worker = importlib.util.module_from_spec(spec)
sys.modules["worker"] = worker
spec.loader.exec_module(worker)
get = worker.LiteModel.get
def off(self):
    found = get(self)
    found[1].flat[0] += 1
    return found
worker.LiteModel.get = off
sys.exit(worker.main(["litert"]))
"""


class Off(HostTarget):
    """A place whose second operator is wrong."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.script = folder / "off.py"
        self.script.write_text(_OFF.format(worker=str(WORKER)))

    def command(self, engine: str) -> list[str]:
        return [sys.executable, str(self.script)]


@pytest.fixture(scope="module")
def chain() -> bytes:
    """(1, 4) floats: relu, then a sum with itself, then relu."""
    made = Handmade()
    x, a, b, c = (made.activation((1, 4), name=name) for name in ("x", "a", "b", "c"))
    made.operator("RELU", [x], [a])
    made.operator("ADD", [a, a], [b], "AddOptions")
    made.operator("RELU", [b], [c])
    return made.bytes([x], [c])


SAMPLES = {"x": np.array([[1, -2, 3, 4], [5, 6, -7, 8]], np.float32)}


def test_the_first_operator_that_differs_is_named_with_how_far(chain: bytes, tmp_path: Path) -> None:
    found = first_difference((HostTarget(), Off(tmp_path)), "litert", chain, SAMPLES, log=tmp_path / "log.txt")
    assert (found.index, found.operator, found.tensor, found.operators_equal) == (1, "ADD", "b", 1)
    assert (found.share, found.largest, found.unit) == (2 / 8, 1.0, "")  # one of four elements of each sample
    assert len(set(found.versions)) == 1


def test_places_that_agree_differ_nowhere(chain: bytes, tmp_path: Path) -> None:
    found = first_difference((HostTarget(), HostTarget()), "litert", chain, SAMPLES, log=tmp_path / "log.txt")
    assert (found.index, found.operators_equal) == (None, 3)
