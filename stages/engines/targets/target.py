"""What every place can do in which an engine worker runs: start one, take a file, say what it is and how it feels."""

from __future__ import annotations

import abc
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from device_profiles.records import Provenance, Record
from stages.engines import worker
from stages.engines.registry import EngineInfo
from stages.records.targets import Device, DeviceState

WORKER = Path(worker.__file__)
R = TypeVar("R", bound=Record)


class Target(abc.ABC):
    """A place in which engine workers run; a context manager, open while workers run there.

    Its methods may be called from several threads. Each raises a `TargetError` where the place cannot be reached, lacks
    what is needed, or was lost.

    Args:
        name: as users write it.

    Attributes:
        provenance: of figures that are measured there.
        is_remote: whether its files are other files than this host's, so that they must be sent.
        tells_time: whether a latency there means anything.
        most_workers: that may run there at once.
    """

    provenance: Provenance = "measured"
    is_remote = False
    tells_time = True
    most_workers = 256

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def open(self) -> None:  # noqa: B027 (most places have nothing to do)
        """Connect; nothing where there is nothing to connect to."""

    def close(self) -> None:  # noqa: B027 (most places have nothing to do)
        """Let go of the connection; twice is fine."""

    @abc.abstractmethod
    def command(self, engine: str) -> list[str]:
        """What to start here so that a worker with that engine runs there, its pipes being this process's."""

    @abc.abstractmethod
    def engine_info(self, engine: str) -> EngineInfo:
        """Version of an engine there, or why it is missing and what to do."""

    @abc.abstractmethod
    def send(self, file: Path) -> str:
        """The path under which a worker there finds a file of this host; what is there already is not sent again."""

    def send_bytes(self, content: bytes, suffix: str) -> str:
        """The same for bytes that are in no file; the name there ends in `suffix`."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"content{suffix}"
            file.write_bytes(content)
            return self.send(file)

    @abc.abstractmethod
    def device(self) -> Device:
        """What it is."""

    @abc.abstractmethod
    def state(self) -> DeviceState:
        """The state that it is in now."""

    @abc.abstractmethod
    def cores(self) -> tuple[int, ...]:
        """The cores that a worker may use there, ascending."""

    def workers(self) -> int:
        """How many workers at once make sense: one for each core, as many as the way there bears."""
        return min(len(self.cores()), self.most_workers)

    def assure(self) -> None:  # noqa: B027 (most places have nothing to do)
        """Raise a `TargetLost` if the place does not answer any more."""

    def end(self, pid: int) -> None:  # noqa: B027 (most places have nothing to do)
        """See that a worker is gone whose carrier was killed here.

        Args:
            pid: of the worker, as it said itself.
        """

    def clear(self) -> None:  # noqa: B027 (most places have nothing to do)
        """Take away what was put there."""

    def ending(self, status: int | None, words: Sequence[str]) -> str:
        """How a worker ended, in words.

        Args:
            status: exit status of what `command` started, as subprocess gives it; None where it still runs.
            words: the last lines that it said on stderr.

        Raises:
            TargetLost: it was not the worker that ended, but the way to it.
        """
        del words
        return ended(status)


def stamped(record: R, provenance: Provenance) -> R:
    """The record with every figure in it that was measured marked as what measuring there gives."""
    if provenance == "measured":
        return record
    return type(record).model_validate(_marked(record.model_dump(), provenance))


def _marked(value: Any, provenance: str) -> Any:
    """The same data with another provenance wherever it says measured."""
    if isinstance(value, dict):
        return {key: provenance if key == "provenance" and each == "measured" else _marked(each, provenance)
                for key, each in value.items()}
    return type(value)(_marked(each, provenance) for each in value) if isinstance(value, list | tuple) else value


def ended(status: int | None) -> str:
    """An exit status in words: `was ended by SIGSEGV`."""
    if status is None:
        return "closed its pipes"
    return f"ended with status {status}" if status >= 0 else f"was ended by {signal_name(-status)}"


def signal_name(number: int) -> str:
    """SIGSEGV for 11."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
