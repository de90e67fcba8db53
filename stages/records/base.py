"""What every stage's result says."""

from __future__ import annotations

from typing import Literal

from device_profiles.records import Record

EngineStatus = Literal["ok", "unavailable", "refused", "crashed", "timeout"]
Verdict = Literal["pass", "fail", "undecided", "unknown"]


class StageResult(Record):
    """Base of every stage's result.

    Attributes:
        summary: one line for people: "accuracy 98.3 % on 270 validation samples, 24 epochs".
        provisional: what went wrong in passing (a crash, a time limit); a result with an entry is kept, but the call is
            made again by the next run.
        warnings: what a user should know; shown once at the end of the run.
    """

    summary: str
    provisional: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
