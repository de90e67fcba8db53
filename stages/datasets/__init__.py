"""Where samples come from: one module a source, listed in `SOURCES`.

A source module has four names:

| name | what |
|---|---|
| `Settings` | what a user may write for it; its field `kind` is the source's name |
| `open_reader(settings, labels) -> Reader` | one pass over the samples; imports what it needs itself |
| `source_digest(settings, cache) -> str` | changes when the samples would; imports nothing heavy |
| `LIBRARIES` | distributions whose versions shape the samples |

`labels` is what the task predicts; `cache` is a file that keeps the digests of files that have not changed, or None.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Protocol

from pydantic import BeforeValidator, Field

from device_profiles.strictyaml import refusal, with_tuples
from stages.datasets import (
    audio_folder,
    digits,
    function,
    image_folder,
    keras_datasets,
    npz,
    tabular,
    tfds,
    tfrecord,
)
from stages.datasets.records import LabelKind, Reader
from stages.datasets.words import spelled_out

SOURCES: dict[str, ModuleType] = {
    "digits": digits, "npz": npz, "image_folder": image_folder, "audio_folder": audio_folder, "csv": tabular,
    "parquet": tabular, "tfrecord": tfrecord, "tfds": tfds, "keras": keras_datasets, "function": function}

AnySettings = (digits.Settings | npz.Settings | image_folder.Settings | audio_folder.Settings | tabular.Settings
               | tfrecord.Settings | tfds.Settings | keras_datasets.Settings | function.Settings)


def _spell_out(value: Any) -> Any:
    """A bare word is short for a mapping; see `words`."""
    return with_tuples(spelled_out(value, tuple(SOURCES), refusal))


Source = Annotated[AnySettings, Field(discriminator="kind"), BeforeValidator(_spell_out)]


class HasSource(Protocol):
    """Settings that name a source; `stages.prepare.Settings` are such."""

    @property
    def source(self) -> AnySettings:
        """Which source, and its own settings."""


def open_source(source: AnySettings, labels: LabelKind) -> Reader:
    """A reader of a source's samples.

    Args:
        source: which one, and its settings.
        labels: what the task predicts.

    Raises:
        DataError: the source cannot be read, or has labels of another kind.
    """
    reader: Reader = SOURCES[source.kind].open_reader(source, labels)
    return reader


def source_digest(settings: HasSource, cache: Path | None = None) -> str:
    """What stands for the source's samples in the key of the prepare stage.

    Args:
        settings: what names the source.
        cache: a file that keeps the digests of files that have not changed since; None: all are read.

    Raises:
        DataError: the source's files cannot be read.
    """
    return str(SOURCES[settings.source.kind].source_digest(settings.source, cache))


def libraries(settings: HasSource) -> tuple[str, ...]:
    """Distributions whose versions shape the source's samples."""
    found: tuple[str, ...] = SOURCES[settings.source.kind].LIBRARIES
    return found
