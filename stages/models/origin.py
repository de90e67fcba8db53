"""What `model:` in a run file or `--model` names, told from the text and the file's first bytes alone.

    small_cnn                    builder      a name that the project knows
    applications/MobileNetV2     application  an architecture of Keras
    package.module:function      function     the user's own builder
    model.keras                  keras3, keras2   by the version in its metadata
    model.h5                     h5           HDF5, whichever Keras wrote it
    folder/                      saved_model  holds a saved_model.pb
    model.tflite                 tflite       a finished tflite model

Cheap, and safe on any file: nothing is loaded, no framework is imported, at most a megabyte is read.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal

from device_profiles.errors import ModelError, with_near_miss
from device_profiles.records import Record
from device_profiles.tflite import IDENTIFIER
from stages.imports import find_source

Kind = Literal["builder", "application", "function", "keras3", "keras2", "h5", "saved_model", "tflite"]

KINDS = ("a .keras or .h5 file, a SavedModel folder, a .tflite file, package.module:function, "
         "applications/<Name>, or a model by name")
APPLICATIONS = "applications/"
SAVED_MODEL_FILE = "saved_model.pb"
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_SUFFIXES = (".keras", ".h5", ".hdf5", ".tflite", ".pb")
_HEAD_BYTES = 64
_METADATA_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 20
# What people give by mistake, by the first bytes of the file.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer: the model itself was not fetched (git lfs pull)"),
    (b"\x80", "a Python pickle, which runs code when it is read"), (b"\x1f\x8b", "a gzip archive"),
    (b"<!DOCTYPE", "an HTML page"), (b"<html", "an HTML page"), (b"\x7fELF", "a program"), (b"{", "JSON text"),
    (b"\x08", "a protobuf (an ONNX model, or a saved_model.pb out of its folder?)"),
)


class Origin(Record):
    """Where a model comes from.

    Attributes:
        text: what the user wrote.
        kind: what that is.
        path: the file or folder; None for a builder, an application and a function.
        version: of the Keras that wrote a `.keras` file; empty for every other kind.
    """

    text: str
    kind: Kind
    path: Path | None = None
    version: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is a file or folder on disk."""
        return self.path is not None

    @property
    def is_trained(self) -> bool:
        """Whether it brings weights: a file does, what is built here does not."""
        return self.is_file

    @property
    def is_keras(self) -> bool:
        """Whether a Keras model comes of it, which can be trained, pruned and clustered."""
        return self.kind not in ("saved_model", "tflite")


def origin_of(text: str, names: Collection[str] = ()) -> Origin:
    """What a text names.

    Args:
        text: as the user wrote it; a path is relative to the working folder.
        names: the models that are known by name; where some begin with `applications/`, an application must be one.

    Raises:
        ModelError: no such file, a file of a kind that cannot be taken, or a name that nothing is called.
    """
    if text in names and not text.startswith(APPLICATIONS):
        return Origin(text=text, kind="builder")
    if text.startswith(APPLICATIONS) and not text.endswith(_SUFFIXES):
        return _application(text, names)
    if _FUNCTION.fullmatch(text):
        return Origin(text=text, kind="function")
    path = Path(text)
    if not text or not (path.exists() or path.is_symlink()):
        raise _nothing(text, path, names)
    return _folder(text, path) if path.is_dir() else _file(text, path)


def _application(text: str, names: Collection[str]) -> Origin:
    """An architecture of Keras, held against the known ones where those are given."""
    known = [name for name in names if name.startswith(APPLICATIONS)]
    name = text.removeprefix(APPLICATIONS)
    if not name.isidentifier() or (known and text not in known):
        raise ModelError(with_near_miss(f"no application is called '{name}'", text, known),
                         ", ".join(sorted(known)) or "applications/<Name>", "set model in the run file")
    return Origin(text=text, kind="application")


def _nothing(text: str, path: Path, names: Iterable[str]) -> ModelError:
    """The error for a text that is no known name and no file that is there."""
    if path.suffix in _SUFFIXES or "/" in text:
        beside = sorted(each.name for each in path.parent.iterdir()) if path.parent.is_dir() else []
        return ModelError(with_near_miss(f"there is no model file {text}", path.name, beside), KINDS,
                          "check the path: it is relative to the working folder")
    short = sorted(name for name in names if not name.startswith(APPLICATIONS))
    return ModelError(with_near_miss(f"no model is called '{text}'", text, names), ", ".join([*short, KINDS]),
                      "set model in the run file")


def _folder(text: str, path: Path) -> Origin:
    """A folder is a SavedModel or nothing."""
    if not (path / SAVED_MODEL_FILE).is_file():
        raise ModelError(f"{text} is a folder without {SAVED_MODEL_FILE}", KINDS,
                         "name the model file itself, or the folder that tf.saved_model.save wrote")
    return Origin(text=text, kind="saved_model", path=path)


def _file(text: str, path: Path) -> Origin:
    """A file, by its first bytes; the suffix is asked for a tflite model alone."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise ModelError(f"{text} cannot be read: {error.strerror}", KINDS) from error
    if head[4:8] == IDENTIFIER:
        return Origin(text=text, kind="tflite", path=path)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return Origin(text=text, kind="h5", path=path)
    if head.startswith(b"PK"):
        return _archive(text, path)
    raise _unknown(text, path, head)


def _archive(text: str, path: Path) -> Origin:
    """A zip archive that holds the metadata of a `.keras` file."""
    try:
        with zipfile.ZipFile(path) as archive:
            if "metadata.json" not in archive.namelist():
                raise _other_archive(text, archive.namelist())
            with archive.open("metadata.json") as member:
                metadata = json.loads(member.read(_METADATA_BYTES))
        version = str(metadata["keras_version"])
    except (OSError, zipfile.BadZipFile, ValueError, TypeError, KeyError, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"{text} is no whole .keras file: {error}", "a .keras file that Keras 2 or 3 wrote",
                         "copy or save it again") from error
    if not version.startswith(("2.", "3.")):
        raise ModelError(f"{text} was written by Keras {version}", "Keras 2 or 3")
    return Origin(text=text, kind="keras3" if version.startswith("3.") else "keras2", path=path, version=version)


def _other_archive(text: str, members: list[str]) -> ModelError:
    """The error for a zip archive that is no `.keras` file."""
    if any(name.endswith("data.pkl") for name in members):
        return ModelError(f"{text} is a PyTorch file", KINDS, "export it to a SavedModel or a tflite model first")
    if any(name.endswith(SAVED_MODEL_FILE) for name in members):
        return ModelError(f"{text} is a zip archive of a SavedModel", KINDS, "unpack it and name the folder")
    return ModelError(f"{text} is a zip archive without metadata.json, so no .keras file", KINDS)


def _unknown(text: str, path: Path, head: bytes) -> ModelError:
    """The error for a file of no kind that can be taken, saying what it looks like."""
    if not head:
        return ModelError(f"{text} is empty", KINDS, "copy or save it again")
    looks = next((what for start, what in _OTHERS if head.startswith(start)), "")
    if not looks and path.suffix == ".tflite":
        looks = f"no tflite model: bytes 4 to 8 are {head[4:8]!r}, not {IDENTIFIER!r}"
    return ModelError(f"{text} is {looks or f'of no known kind; it begins with {head[:8]!r}'}", KINDS)


def digest_of(origin: Origin) -> str:
    """SHA-256, in hexadecimal, of what the model will be made from; for the key of a plan's call.

    A file: its bytes. A folder: names and bytes of its files, in the order of their names. A function: the source file
    of its module, which is found without importing it; what that module imports in turn is not followed. A name: the
    name.

    Raises:
        ModelError: a file went away, or the function's module cannot be found.
    """
    if origin.kind == "function":
        source = find_source(origin.text.partition(":")[0])
        return _digest([(origin.text, source)] if source else [(origin.text, None)])
    if origin.path is None:
        return _digest([(origin.text, None)])
    if not origin.path.is_dir():
        return _digest([("", origin.path)])
    files = sorted(path for path in origin.path.rglob("*") if path.is_file() and not path.is_symlink())
    return _digest([(path.relative_to(origin.path).as_posix(), path) for path in files])


def _digest(parts: Iterable[tuple[str, Path | None]]) -> str:
    """SHA-256 over names and contents, each preceded by its length so that none runs into the next."""
    total = hashlib.sha256()
    for name, path in parts:
        encoded = name.encode()
        total.update(len(encoded).to_bytes(8, "little") + encoded)
        if path is None:
            continue
        try:
            total.update(path.stat().st_size.to_bytes(8, "little"))
            with path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    total.update(block)
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    return total.hexdigest()
