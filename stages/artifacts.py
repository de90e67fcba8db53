"""Read the record that an earlier stage left in its artifact."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from device_profiles.errors import StoreError

RESULT_FILE = "result.json"
TFLITE_FILE = "model.tflite"

R = TypeVar("R", bound=BaseModel)


def read_result(folder: Path, kind: type[R]) -> R:
    """The result of the stage that made the artifact.

    Args:
        folder: the artifact.
        kind: the record that is expected there.

    Raises:
        StoreError: the file is not there, or is not that record.
    """
    path = folder / RESULT_FILE
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "an artifact with its result.json",
                         "run again: what is missing is built anew") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise StoreError(f"{path} is not a {kind.__name__}: {place}: {first['msg']}", f"a {kind.__name__} as JSON",
                         "run again: what is damaged is built anew") from error
