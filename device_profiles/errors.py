"""The project's errors. Each says what was found, what is allowed and what to do next, and carries its exit code.

    LitesmithError            1  something failed
    ├── UsageError            2  the user's words are off
    │   ├── ConfigError          a run file or profile, with file, line and column
    │   └── VariantError         a variant's name
    ├── DataError             1  the data would make the figures wrong
    ├── ModelError            1  a Keras model that cannot be taken
    ├── TfliteError           1  a file that is not a whole tflite model
    ├── StageError            1  a stage that could not do its work
    ├── StoreError            1  the store or the run folder cannot be read or written
    ├── EngineError           1  an engine, with the engine and the model's name
    │   ├── EngineUnavailable    it is not installed, or cannot be imported
    │   ├── EngineRefusal        it does not accept the model
    │   ├── EngineCrash          its process died
    │   └── EngineTimeout        it did not answer in time
    ├── TargetError           1  a device that cannot be reached or used
    │   └── TargetLost           its connection broke, or it started anew
    └── DoesNotFit            3  a profile that the config requires has no variant that passes
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class LitesmithError(Exception):
    """Base of every error that a user is meant to read.

    Args:
        found: what was found, in a sentence without a full stop.
        allowed: what would have been right; left out where `found` says it all.
        next_step: a command or an edit that mends it.
    """

    exit_code = 1

    def __init__(self, found: str, allowed: str = "", next_step: str = "") -> None:
        super().__init__(found)
        self.found, self.allowed, self.next_step = found, allowed, next_step

    def place(self) -> str:
        """Where it happened, to stand before the message; empty for most errors."""
        return ""

    def __str__(self) -> str:
        lines = [f"{self.place()}{self.found}"]
        if self.allowed:
            lines.append(f"  allowed: {self.allowed}")
        if self.next_step:
            lines.append(f"  next: {self.next_step}")
        return "\n".join(lines)


class UsageError(LitesmithError):
    """The command line, a name or a file that the user wrote is off."""

    exit_code = 2


class ConfigError(UsageError):
    """A run file or profile that breaks its schema, with the place in the file.

    Args:
        path: the file.
        line: 1-based line, or 0 where the whole file is meant.
        column: 1-based column, or 0.
        excerpt: the line itself, shown under the message.
    """

    def __init__(self, found: str, allowed: str = "", next_step: str = "", *, path: Path | str = "", line: int = 0,
                 column: int = 0, excerpt: str = "") -> None:
        super().__init__(found, allowed, next_step)
        self.path, self.line, self.column, self.excerpt = str(path), line, column, excerpt

    def place(self) -> str:
        """`file:line:column: `, as compilers print it."""
        if not self.path:
            return ""
        return f"{self.path}:{self.line}:{self.column}: " if self.line else f"{self.path}: "

    def __str__(self) -> str:
        text = super().__str__()
        if not self.excerpt:
            return text
        head, _, rest = text.partition("\n")
        shown = f"{head}\n  {self.line:>4} | {self.excerpt}\n       | {' ' * max(self.column - 1, 0)}^"
        return f"{shown}\n{rest}" if rest else shown


class VariantError(UsageError):
    """A variant's name that the grammar does not know, or that nothing here can build."""


class DataError(LitesmithError):
    """Data that would make the figures wrong."""


class ModelError(LitesmithError):
    """A Keras model that cannot be taken."""


class TfliteError(LitesmithError):
    """A file that is empty, truncated, damaged, or no tflite model at all."""


class StageError(LitesmithError):
    """A stage that could not do its work."""


class StoreError(LitesmithError):
    """The store or the run folder cannot be read or written."""


class EngineError(LitesmithError):
    """What went wrong in an engine.

    Args:
        engine: the engine's name.
        model: the variant's name or the tflite file, as a user would say it.
        found: the cause.
    """

    status = "crashed"

    def __init__(self, engine: str, model: str, found: str, allowed: str = "", next_step: str = "") -> None:
        super().__init__(found, allowed, next_step)
        self.engine, self.model = engine, model

    def place(self) -> str:
        """Engine and model."""
        return f"{self.engine}: {self.model}: " if self.model else f"{self.engine}: "


class EngineUnavailable(EngineError):
    """The engine is not installed here, or cannot be imported."""

    status = "unavailable"


class EngineRefusal(EngineError):
    """The engine does not accept the model: an operator, a type, an arena too large."""

    status = "refused"


class EngineCrash(EngineError):
    """The engine's process died."""

    status = "crashed"


class EngineTimeout(EngineError):
    """The engine did not answer within its time limit."""

    status = "timeout"


class TargetError(LitesmithError):
    """A device that cannot be reached, or that lacks what a worker needs there.

    Args:
        target: as the user wrote it: "ssh:pi@raspberrypi".
        found: the cause.
    """

    def __init__(self, target: str, found: str, allowed: str = "", next_step: str = "") -> None:
        super().__init__(found, allowed, next_step)
        self.target = target

    def place(self) -> str:
        """The target."""
        return f"{self.target}: "


class TargetLost(TargetError):
    """A device that was there and is no more: its connection broke, or it started anew."""


class DoesNotFit(LitesmithError):
    """A profile that the config requires has no variant that passes."""

    exit_code = 3


def near_miss(word: str, known: Iterable[str]) -> str:
    """"did you mean 'x'?" for the closest known word, or an empty string."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""


def with_near_miss(found: str, word: str, known: Iterable[str]) -> str:
    """What was found, and the near miss where there is one: "unknown engine 'litter'; did you mean 'litert'?"."""
    return "; ".join(filter(None, (found, near_miss(word, known))))
