"""What a stage is given beside its inputs and options: where to write, and whom to tell how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, text)`; `total` 0: length not known. Must be cheap and never raise."""


def no_progress(done: int, total: int, text: str) -> None:
    """The progress callback of a caller who does not want to know."""


@dataclass(frozen=True)
class StageContext:
    """Where a stage writes, and its way to report progress.

    Attributes:
        out: an empty folder; what the stage leaves there is the artifact.
        scratch: a folder that outlives a killed process and is the same one when the same call runs again:
            checkpoints go here. Removed once the artifact is kept.
        log: a file for what engines and libraries have to say; appended to.
        progress: the callback.
    """

    out: Path
    scratch: Path
    log: Path
    progress: Progress = no_progress
