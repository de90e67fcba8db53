"""Baseline files: one JSON document, and beside it a folder with the tflite models that it keeps.

A document is of one kind: milliseconds, or instructions per inference, which then says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from device_profiles.errors import StoreError, UsageError
from pipeline.store import copy_file, write_text
from stages.comparing.baseline import Baseline
from stages.comparing.instructions import InstructionBaseline
from stages.comparing.records import SCHEMA_VERSION, KeptFile

D = TypeVar("D", Baseline, InstructionBaseline)
LATENCY, INSTRUCTIONS = "latency", "instructions"
_AGAIN = "litesmith compare NEW --write-baseline FILE writes one"


def models_folder(path: Path) -> Path:
    """Where a baseline's tflite models are: `latency.json` has `latency.tflites/`."""
    return path.with_suffix(".tflites")


def kept_name(name: str, sha256: str) -> str:
    """`int8-3f2a9c01.tflite`: another model of the same name never replaces it."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)
    return f"{plain}-{sha256[:8]}.tflite"


def write_baseline(path: Path, baseline: Baseline | InstructionBaseline, sources: Mapping[str, Path]) -> None:
    """Write the tflite models, then the document: what it names is there.

    Args:
        path: the document.
        baseline: what it says.
        sources: by model, its file.

    Raises:
        StoreError: the folder cannot be written.
    """
    for name, model in baseline.models.items():
        if model.file is not None:
            copy_file(sources[name], path.parent / model.file, model.sha256)
    write_text(path, json.dumps(baseline.model_dump(mode="json"), indent=1) + "\n")


def kind_of(path: Path) -> str:
    """`LATENCY` or `INSTRUCTIONS`.

    Raises:
        UsageError: there is no such file, or it is no baseline.
    """
    kind = _data(path).get("kind", LATENCY)
    if kind not in (LATENCY, INSTRUCTIONS):
        raise UsageError(f"{path} is a baseline of the kind '{kind}'", f"{LATENCY}, {INSTRUCTIONS}", _AGAIN)
    return str(kind)


def read_baseline(path: Path, record: type[D]) -> D:
    """The document.

    Args:
        path: the document.
        record: of the kind that it should be.

    Raises:
        UsageError: there is none, or it is no baseline of this kind and version.
    """
    try:
        return record.model_validate(_data(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path} is no baseline: {place}: {first['msg']}", "a file that litesmith wrote",
                         _AGAIN) from error


def _data(path: Path) -> dict[str, Any]:
    """The JSON document."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "a baseline file", _AGAIN) from error
    except ValueError as error:
        raise UsageError(f"{path} is no JSON document: {error}", "a baseline file", _AGAIN) from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != SCHEMA_VERSION:
        raise UsageError(f"{path} has the schema version {version}", f"schema_version {SCHEMA_VERSION}", _AGAIN)
    found: dict[str, Any] = data
    return found


def kept_content(path: Path, name: str, model: KeptFile) -> bytes | None:
    """The kept tflite model; None where none was kept, or it is no longer there.

    Args:
        path: the baseline's document.
        name: of the model.
        model: what the baseline says of it.

    Raises:
        StoreError: a file is there, but another one.
    """
    if model.file is None or not (path.parent / model.file).is_file():
        return None
    content = (path.parent / model.file).read_bytes()
    if hashlib.sha256(content).hexdigest() != model.sha256:
        raise StoreError(f"{path.parent / model.file} is not the '{name}' that {path.name} was measured with",
                         f"sha256 {model.sha256}", "restore both files together, or write the baseline again")
    return content
