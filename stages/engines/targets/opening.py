"""From what a user writes to the place."""

from __future__ import annotations

from stages.engines.targets import names
from stages.engines.targets.host import HostTarget
from stages.engines.targets.target import Target


def open_target(text: str) -> Target:
    """The target of that name, not yet connected: use it in a `with`.

    Raises:
        UsageError: there is none.
    """
    names.parse(text)
    return HostTarget()
