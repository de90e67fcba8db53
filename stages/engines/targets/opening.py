"""From what a user writes to the place."""

from __future__ import annotations

from stages.engines.targets import names
from stages.engines.targets.adb import AdbTarget
from stages.engines.targets.emulated import EmulatedTarget
from stages.engines.targets.host import HostTarget
from stages.engines.targets.ssh import SshTarget
from stages.engines.targets.target import Target


def open_target(text: str) -> Target:
    """The target of that name, not yet connected: use it in a `with`.

    Raises:
        UsageError: there is none.
    """
    parts = names.parse(text)
    if parts.kind == "ssh":
        return SshTarget(text, parts)
    if parts.kind == "adb":
        return AdbTarget(text, parts)
    if parts.kind == "emulated":
        return EmulatedTarget(text, parts)
    return HostTarget()
