"""`.keras` files with the same bytes for the same model, and clean errors when one cannot be read.

A `.keras` file is a zip of `metadata.json`, `config.json` and `model.weights.h5`. Keras writes the time into the zip's
directory and into the metadata; here both are fixed, and the members are stored in a fixed order.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from device_profiles.errors import ModelError
from device_profiles.records import Record
from stages.datasets.prepared import PREPROCESSING_FILE
from stages.imports import load_function, working_folder_importable

MODEL_FILE = "model.keras"
TRUST_FILE = "trust.json"
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_DATE_SAVED = "1980-01-01@00:00:00"


class Trust(Record):
    """What a user has said of a model file: it goes with every model that is made of it.

    Attributes:
        code: Python code in the file may run.
        custom_objects: the user's own classes and functions, as package.module:Class.
    """

    code: bool = False
    custom_objects: tuple[str, ...] = ()


def write_trust(folder: Path, trust: Trust) -> None:
    """Write `trust.json` where there is anything to say."""
    if trust != Trust():
        (folder / TRUST_FILE).write_text(trust.model_dump_json(indent=2) + "\n", "utf-8")


def read_trust(folder: Path) -> Trust:
    """What `trust.json` of an artifact says; no trust where there is none.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        return Trust.model_validate_json((folder / TRUST_FILE).read_bytes())
    except FileNotFoundError:
        return Trust()
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / TRUST_FILE} cannot be read: {error}", "", "litesmith model") from error


def copy_companions(source: Path, target: Path) -> None:
    """Copy what goes with every model from one artifact to the next: `preprocessing.json`, `trust.json`."""
    shutil.copyfile(source / PREPROCESSING_FILE, target / PREPROCESSING_FILE)
    if (source / TRUST_FILE).exists():
        shutil.copyfile(source / TRUST_FILE, target / TRUST_FILE)


def save_model(model: Any, folder: Path) -> Path:
    """Write `model.keras` with fixed bytes.

    Args:
        model: a `tf_keras.Model`.
        folder: where to write.

    Returns:
        The file.
    """
    path, raw = folder / MODEL_FILE, folder / f"raw-{MODEL_FILE}"
    model.save(raw)
    path.write_bytes(fix_dates(raw.read_bytes()))
    raw.unlink()
    return path


def fix_dates(archive: bytes) -> bytes:
    """The same `.keras` archive without the time it was written at."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as fixed:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == "metadata.json":
                metadata = json.loads(content) | {"date_saved": _DATE_SAVED}
                content = json.dumps(metadata, sort_keys=True).encode()
            fixed.writestr(zipfile.ZipInfo(name, _DATE), content)
    return target.getvalue()


def load_model(folder: Path) -> Any:
    """Read `model.keras` of an artifact; uncompiled; code that the file carries runs only if it is trusted.

    Args:
        folder: a train, prune or quantize artifact.

    Returns:
        A `tf_keras.Model`.

    Raises:
        ModelError: the file is missing, damaged, of Keras 3, or holds layers that Keras does not know.
    """
    import tf_keras as keras

    path = folder / MODEL_FILE
    _check_archive(path)
    trust = read_trust(folder)
    own = {name.rpartition(":")[2].rpartition(".")[2]: load_function(name) for name in trust.custom_objects}
    try:
        with working_folder_importable():
            return keras.models.load_model(path, compile=False, safe_mode=not trust.code, custom_objects=own or None)
    except (ValueError, TypeError, KeyError, OSError, ImportError, AttributeError) as error:
        raise ModelError(f"{path} cannot be loaded: {_reason(error)}",
                         "a .keras file that tf_keras wrote, without own code or with what model.custom_objects names",
                         "write own code as layers of Keras, or as a class that model.custom_objects names") from error


def _reason(error: Exception) -> str:
    """The first line of an error; where that only says which layer was called, the line after it too."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[:2]) if lines[0].startswith("Exception encountered when calling") else lines[0]


def _check_archive(path: Path) -> None:
    """Refuse what is not a whole `.keras` archive of Keras 2."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            version = str(json.loads(archive.read("metadata.json"))["keras_version"])
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path} is no whole .keras file: {error}", "a .keras file that tf_keras wrote",
                         "litesmith train") from error
    if broken:
        raise ModelError(f"{path} is damaged: the checksum of {broken} is wrong", "", "litesmith train")
    if not version.startswith("2."):
        raise ModelError(f"{path} was written by Keras {version}", "a .keras file of Keras 2 (tf_keras)")
