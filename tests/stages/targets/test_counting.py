"""Counting an inference's instructions, with a runtime of the test's own that says how many it took."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.engines.client import Loaded
from stages.engines.targets.counting import Array, count_inference
from stages.engines.targets.emulated import EmulatedTarget
from stages.engines.targets.emulator import LAYOUT, About
from stages.engines.targets.names import parse
from tests.stages.engine_stubs import stub

# An inference takes 1,000 instructions and 40 accesses, every request 250 and 7 besides: it is told by the pause.
BEHAVIOUR = """
import struct
FILE, PER, ONCE = {file!r}, (1000, 40), (250, 7)
def add(numbers):
    with open(FILE, "r+b") as file:
        old = struct.unpack("<QQ", file.read(16))
        file.seek(0)
        file.write(struct.pack("<QQ", *(a + b for a, b in zip(old, numbers))))
class Noticed(Interpreter):
    pass
def on_invoke(interpreter):
    add(PER)
import gc
enabled = gc.isenabled
def noticed():
    add(ONCE)
    return enabled()
gc.isenabled = noticed
"""


class Counted(EmulatedTarget):
    """An emulated core whose worker is the stub."""

    def __init__(self, folder: Path, behaviour: str = BEHAVIOUR) -> None:
        super().__init__("emulated:max", parse("emulated:max"))
        self._about = About(layout=LAYOUT, qemu="7", python="3.11.2", packages={"ai-edge-litert": "2.0.2"}, counts=True)
        self._stubs, self._behaviour = folder, behaviour

    def open(self) -> None:
        """Nothing is installed, and nothing need be."""

    def counted_command(self, engine: str, counting: Path | None) -> list[str]:
        return stub(self._stubs, self._behaviour.format(file=str(counting)))


@pytest.mark.parametrize("inferences", [1, 10])
def test_an_inference_is_the_difference_of_requests_without_what_a_request_takes(tmp_path: Path,
                                                                                inferences: int) -> None:
    found = count_inference(Counted(tmp_path), "litert", b"model", {"input": np.zeros((3, 4), np.float32)},
                            log=tmp_path / "log.txt", inferences=inferences)
    assert (found.instructions.value, found.instructions.interval) == (1000, (1000, 1000))
    assert (found.accesses.value, found.accesses.unit) == (40, "accesses")
    assert (found.instructions.samples, found.instructions.provenance, found.cpu) == (6 * inferences, "emulated", "max")
    assert found.instructions.level == pytest.approx(0.96875)  # 1 - 2 / 2**6


@pytest.mark.parametrize(("per", "inferences"), [(1000, 100), (2_000_000, 10), (9_000_000, 3), (10**9, 2)])
def test_a_request_is_of_so_many_inferences_that_it_takes_20_million_instructions(tmp_path: Path, per: int,
                                                                                 inferences: int) -> None:
    text = BEHAVIOUR.replace("(1000, 40)", f"({per}, 40)")
    found = count_inference(Counted(tmp_path, text), "litert", b"model", {"input": np.zeros((3, 4), np.float32)},
                            log=tmp_path / "log.txt")
    assert (found.instructions.value, found.instructions.samples) == (per, 6 * inferences)


def test_samples_can_be_drawn_once_the_model_is_loaded(tmp_path: Path) -> None:
    shapes = []

    def draw(loaded: Loaded) -> tuple[Array, ...]:
        shapes.extend(each.shape for each in loaded.inputs)
        return (np.zeros((1, 4), np.float32),)

    found = count_inference(Counted(tmp_path), "litert", b"model", draw, log=tmp_path / "log.txt", inferences=2)
    assert found.instructions.value == 1000
    assert len(shapes) == 1
