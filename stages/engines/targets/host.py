"""This host: the worker is a child process, files are where they are."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from stages.engines import host, registry
from stages.engines.registry import EngineInfo
from stages.engines.targets import facts, names
from stages.engines.targets.target import WORKER, Target
from stages.records.targets import Device, DeviceState

_PATIENCE_S = 10.0


class HostTarget(Target):
    """The machine that litesmith runs on."""

    def __init__(self) -> None:
        super().__init__(names.HOST)

    def command(self, engine: str) -> list[str]:
        """The worker file with this Python."""
        return [sys.executable, "-P", str(WORKER), engine]

    def engine_info(self, engine: str) -> EngineInfo:
        """From the metadata of what is installed here."""
        return registry.engine_info(engine)

    def send(self, file: Path) -> str:
        """The file itself."""
        return str(file.resolve())

    def device(self) -> Device:
        """This machine; its processor as `engines.host` names it."""
        found = facts.read_device(_said(facts.DEVICE_SCRIPT), self.name, platform.python_version())
        return found.model_copy(update={"host": host.host()})

    def state(self) -> DeviceState:
        """Clocks, temperatures and load as /proc and /sys have them."""
        return facts.read_state(_said(facts.STATE_SCRIPT))

    def cores(self) -> tuple[int, ...]:
        """Those that this process may use."""
        return host.cores()


def _said(script: str) -> str:
    """What a script of ours prints here; "" where there is no POSIX shell."""
    try:
        done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")
