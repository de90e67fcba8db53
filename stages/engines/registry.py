"""The engines: what each is, which distribution brings it, and whether it can be had here.

`engine_info` reads package metadata alone and imports nothing, so that `status` and a run that is up to date stay fast.
`probe` starts a worker and so knows.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from device_profiles.errors import EngineError, UsageError, with_near_miss
from device_profiles.records import Record
from device_profiles.schema import MICRO_ENGINE


@dataclass(frozen=True)
class Engine:
    """One engine.

    Attributes:
        name: as users write it.
        distribution: what pip installs.
        module: what the worker imports.
        what: a sentence for people.
        batches: whether it can resize its input to a batch.
        wheels: where wheels exist, for the reason when it is missing.
    """

    name: str
    distribution: str
    module: str
    what: str
    batches: bool
    wheels: str


ENGINES: dict[str, Engine] = {
    engine.name: engine for engine in (
        Engine("litert", "ai-edge-litert", "ai_edge_litert.interpreter",
               "the maintained runtime, with the XNNPACK kernels of phones and servers", True,
               "Linux x86-64 and arm64, macOS, Windows"),
        Engine("tflite-runtime", "tflite-runtime", "tflite_runtime.interpreter",
               "the runtime that devices in the field have, last released in 2023", True,
               "Linux with Python 3.11 or older and numpy 1"),
        Engine(MICRO_ENGINE, "tflite-micro", "tflite_micro",
               "TensorFlow Lite for Microcontrollers with its reference kernels; gives the exact tensor arena", False,
               "Linux x86-64"),
    )
}


class EngineInfo(Record):
    """Whether an engine can be had here.

    Attributes:
        name: of the engine.
        version: of its distribution, or None.
        available: whether its distribution is installed; for `probe`, whether a worker could import it.
        reason: why not, and what to do; empty when available.
    """

    name: str
    version: str | None
    available: bool
    reason: str = ""


def engine(name: str) -> Engine:
    """The engine of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in ENGINES:
        raise UsageError(_unknown(name), ", ".join(ENGINES), "litesmith doctor")
    return ENGINES[name]


def _unknown(name: str) -> str:
    """What is said of a name that no engine has."""
    return with_near_miss(f"unknown engine '{name}'", name, ENGINES)


def threads_of(name: str, wanted: int) -> int:
    """How many threads an engine takes of those that are wanted; TFLM has one."""
    return 1 if name == MICRO_ENGINE else wanted


def checked_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, if all are engines and none is doubled; what a settings field validates with.

    Raises:
        ValueError: otherwise, with what is allowed.
    """
    for name in names:
        if name not in ENGINES:
            raise ValueError(f"{_unknown(name)}; allowed: {', '.join(ENGINES)}")
    if len(set(names)) < len(names):
        raise ValueError(f"an engine is named twice: {', '.join(names)}")
    return names


EngineName = Annotated[str, AfterValidator(lambda name: checked_names((name,))[0])]
"""A settings field that names one engine."""


def engine_info(name: str) -> EngineInfo:
    """Version and availability from the installed distributions' metadata.

    Raises:
        UsageError: no such engine.
    """
    entry = engine(name)
    try:
        version = metadata.version(entry.distribution)
    except metadata.PackageNotFoundError:
        return EngineInfo(name=name, version=None, available=False, reason=missing_reason(entry))
    return EngineInfo(name=name, version=version, available=True)


def missing_reason(entry: Engine, version: tuple[int, int] | None = None, platform: str | None = None) -> str:
    """Why an engine is not installed, for people.

    Args:
        entry: the engine.
        version: of Python; this one's by default.
        platform: as `sys.platform`; this one's by default.
    """
    major, minor = version or sys.version_info[:2]
    system = platform or sys.platform
    has_none = f"{entry.distribution} has wheels for {entry.wheels} only"
    if entry.name == "tflite-runtime" and ((major, minor) >= (3, 12) or system != "linux"):
        return f"{has_none}; this is Python {major}.{minor} on {system}"
    if entry.name == MICRO_ENGINE and system != "linux":
        return f"{has_none}; this is {system}"
    return f"{entry.distribution} is not installed: pip install {entry.distribution}"


def probe(name: str, timeout_s: float = 30.0) -> EngineInfo:
    """Start a worker and let it import the engine: installed is not yet usable.

    Raises:
        UsageError: no such engine.
    """
    from stages.engines.client import EngineWorker

    info = engine_info(name)
    if not info.available:
        return info
    with tempfile.TemporaryDirectory() as folder:
        try:
            with EngineWorker(name, log=Path(folder) / "log.txt", timeout_s=timeout_s) as worker:
                return EngineInfo(name=name, version=worker.hello.version, available=True)
        except EngineError as error:
            return EngineInfo(name=name, version=info.version, available=False, reason=error.found)
