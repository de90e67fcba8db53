"""Code that is not the project's and may raise anything: a user's function, a library that downloads."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from device_profiles.errors import DataError, LitesmithError


@dataclass
class ForeignCode:
    """A context in which whatever is raised becomes one error with its type, its message and the line it is from.

    Attributes:
        what: what runs, to begin the message with.
        allowed: what would have been right.
        next_step: what a user can do.
        source: the file whose line is to be named; None: no line is.
    """

    what: str
    allowed: str = ""
    next_step: str = ""
    source: Path | None = None

    def __enter__(self) -> ForeignCode:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if isinstance(error, Exception) and not isinstance(error, LitesmithError):
            found = f"{self.what} raised {type(error).__name__}: {error}{self._line(trace)}"
            raise DataError(found, self.allowed, self.next_step) from error

    def _line(self, trace: TracebackType | None) -> str:
        """The innermost line in the source, where one is named."""
        frames = traceback.extract_tb(trace) if self.source else []
        own = [frame for frame in frames if Path(frame.filename) == self.source]
        return f" ({own[-1].filename}, line {own[-1].lineno}: {own[-1].line})" if own else ""
