"""Where samples come from: one module a source, listed in `SOURCES`.

A source module has four names:

| name | what |
|---|---|
| `Settings` | what a user may write for it; its field `kind` is the source's name |
| `load(settings) -> RawData` | the samples; imports what it needs itself |
| `source_digest(settings) -> str` | changes when `load` would return other samples; imports nothing heavy |
| `LIBRARIES` | distributions whose versions shape the samples |
"""

from __future__ import annotations

from types import ModuleType
from typing import Annotated, Any, Protocol

from pydantic import BeforeValidator, Field

from stages.datasets import digits, npz
from stages.datasets.records import RawData

SOURCES: dict[str, ModuleType] = {"digits": digits, "npz": npz}


def _spell_out(value: Any) -> Any:
    """`digits` is short for `{kind: digits}`."""
    return {"kind": value} if isinstance(value, str) else value


Source = Annotated[digits.Settings | npz.Settings, Field(discriminator="kind"), BeforeValidator(_spell_out)]


class HasSource(Protocol):
    """Settings that name a source; `stages.prepare.Settings` are such."""

    @property
    def source(self) -> digits.Settings | npz.Settings:
        """Which source, and its own settings."""


def load_source(source: digits.Settings | npz.Settings) -> RawData:
    """All samples of a source.

    Raises:
        DataError: the source cannot be read.
    """
    raw: RawData = SOURCES[source.kind].load(source)
    return raw


def source_digest(settings: HasSource) -> str:
    """What stands for the source's samples in the key of the prepare stage.

    Raises:
        DataError: the source's file cannot be read.
    """
    return str(SOURCES[settings.source.kind].source_digest(settings.source))
