"""A device that is a shell of this machine: what ssh and adb share, without either."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from stages.engines.targets.remote import Done, RemoteTarget
from stages.engines.targets.target import ended


class Shell(RemoteTarget):
    """A device that is this machine, with programs of the test's own before the system's.

    Attributes:
        scripts: all that it was asked to run.
        unplugged: whether it is gone when it is asked to run a script.
    """

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        super().__init__("ssh:pi@pi", f"{folder}/there", python)
        self.programs, self.scripts = folder / "programs", list[str]()
        self.unplugged: Callable[[str], bool] = lambda script: False
        self.programs.mkdir()

    def carry(self, script: str) -> list[str]:
        return ["env", f"PATH={self.programs}:{os.environ['PATH']}", "sh", "-c", script]

    def run(self, script: str, *, timeout_s: float = 30.0, source: Path | None = None) -> Done:
        self.scripts.append(script)
        if self.unplugged(script):
            raise self.lost("the cable was pulled")
        with (source or Path("/dev/null")).open("rb") as stream:
            done = subprocess.run(self.carry(script), stdin=stream, capture_output=True, check=False, timeout=timeout_s)
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def login_line(self, script: str) -> str:
        return f"ssh pi@pi '{script}'"

    def ending(self, status: int | None, words: object) -> str:
        return ended(status)

    def program(self, name: str, text: str) -> None:
        """Put a program before the system's own."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def uploads(self) -> int:
        return sum(script.startswith("cat >") for script in self.scripts)
