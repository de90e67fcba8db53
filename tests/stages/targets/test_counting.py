"""Counting an inference's instructions, with a runtime of the test's own that says how many it took."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.engines.targets.counting import count_inference
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

    def __init__(self, folder: Path) -> None:
        super().__init__("emulated:max", parse("emulated:max"))
        self._about = About(layout=LAYOUT, qemu="7", python="3.11.2", packages={"ai-edge-litert": "2.0.2"}, counts=True)
        self._stubs = folder

    def counted_command(self, engine: str, counting: Path | None) -> list[str]:
        return stub(self._stubs, BEHAVIOUR.format(file=str(counting)))


@pytest.mark.parametrize("inferences", [1, 10])
def test_an_inference_is_the_difference_of_requests_without_what_a_request_takes(tmp_path: Path,
                                                                                inferences: int) -> None:
    found = count_inference(Counted(tmp_path), "litert", b"model", {"input": np.zeros((3, 4), np.float32)},
                            log=tmp_path / "log.txt", inferences=inferences)
    assert (found.instructions.value, found.instructions.interval) == (1000, (1000, 1000))
    assert (found.accesses.value, found.accesses.unit) == (40, "accesses")
    assert (found.instructions.samples, found.instructions.provenance, found.cpu) == (6 * inferences, "emulated", "max")
    assert found.instructions.level == pytest.approx(0.96875)  # 1 - 2 / 2**6
