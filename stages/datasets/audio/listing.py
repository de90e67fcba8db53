"""Which recordings a folder has, and what their paths say of them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from device_profiles.errors import DataError
from stages.datasets.records import SPLITS
from stages.records import SkippedSample

_SUFFIXES = (".wav", ".wave")


@dataclass(frozen=True)
class Recording:
    """One file.

    Attributes:
        path: of the file.
        name: the path below the folder, with forward slashes.
        size: of the file, in bytes.
        label: its class, or None where a pattern says nothing of it.
        group: a speaker, a machine; or "".
        split: "train", "validation", "test", or "" where a split is to be drawn.
    """

    path: Path
    name: str
    size: int
    label: str | None
    group: str = ""
    split: str = ""


def list_recordings(folder: Path, pattern: str | None) -> tuple[list[Recording], list[SkippedSample]]:
    """Every WAV file below a folder in the order of its path, and those that the pattern does not match.

    Names that begin with a dot are passed over.

    Raises:
        DataError: no such folder, no WAV file, a class folder without one, a path that says nothing of a class.
    """
    files = _wav_files(folder)
    if not files:
        raise DataError(f"the audio folder {folder} has no WAV file", "files called *.wav, a class per directory",
                        "check data.source.path in the run file")
    if pattern is None:
        _refuse_empty_folders(folder)
        return [_by_directory(folder, name, size) for name, size in files], []
    return _by_pattern(folder, files, pattern)


def walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Directory, its folders and files, without hidden ones, sorted.

    Raises:
        DataError: the folder, or one below it, cannot be listed.
    """
    def fail(error: OSError) -> None:
        raise DataError(f"the audio folder {error.filename} cannot be read: {error.strerror}", "a folder of WAV files",
                        "check data.source.path in the run file") from error

    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(place), folders, sorted(name for name in names if not name.startswith("."))


def _wav_files(folder: Path) -> list[tuple[str, int]]:
    """(path below the folder, bytes) of every WAV file, sorted by path."""
    found = [place / name for place, _, names in walk(folder) for name in names if name.lower().endswith(_SUFFIXES)]
    return sorted((path.relative_to(folder).as_posix(), path.stat().st_size) for path in found if path.is_file())


def _refuse_empty_folders(folder: Path) -> None:
    """A class folder in which there is no WAV file, however deep."""
    full: set[Path] = set()
    places = list(walk(folder))
    for place, folders, names in reversed(places):  # what lies deeper comes later
        if any(name.lower().endswith(_SUFFIXES) for name in names) or any(place / name in full for name in folders):
            full.add(place)
        else:
            shown = place.relative_to(folder).as_posix()
            raise DataError(f"the class folder '{shown}' of {folder} has no WAV file", "at least one in each folder",
                            "remove the folder, or put its recordings there")


def _by_directory(folder: Path, name: str, size: int) -> Recording:
    """`<class>/...` or `<split>/<class>/...`."""
    parts = name.split("/")[:-1]
    split = parts.pop(0) if parts and parts[0] in SPLITS else ""
    if not parts:
        where = f"in '{split}', not in a class folder" if split else "at the top, not in a class folder"
        raise DataError(f"{name} of {folder} lies {where}", "<class>/*.wav or <split>/<class>/*.wav",
                        "move it, or set data.source.pattern")
    return Recording(folder / name, name, size, parts[0], split=split)


def _by_pattern(folder: Path, files: list[tuple[str, int]],
                pattern: str) -> tuple[list[Recording], list[SkippedSample]]:
    """Recordings as the named parts say; files that do not match are skipped."""
    expression = re.compile(pattern)
    found: list[Recording] = []
    skipped: list[SkippedSample] = []
    for name, size in files:
        match = expression.fullmatch(name)
        if match is None:
            skipped.append(SkippedSample(name=name, reason="its path does not match data.source.pattern"))
            continue
        parts = match.groupdict()
        split = parts.get("split") or ""
        if split not in ("", *SPLITS):
            raise DataError(f"the pattern finds the split '{split}' in {name}", ", ".join(SPLITS),
                            "use data.splits in the run file for other names")
        found.append(Recording(folder / name, name, size, _label(parts, name), parts.get("group") or "", split))
    if not found:
        raise DataError(f"data.source.pattern matches none of the {len(files):,} files, such as '{files[0][0]}'",
                        "an expression for the whole path below the folder", f"try it: re.fullmatch({pattern!r}, PATH)")
    return found, skipped


def _label(parts: dict[str, str | None], name: str) -> str | None:
    """The class that a pattern found; None where it has no part for one."""
    if "label" not in parts:
        return None
    if not parts["label"]:
        raise DataError(f"the pattern finds no label in {name}", "a class for each file that matches")
    return parts["label"]


def folder_digest(folder: Path, cache: Path | None = None) -> str:  # noqa: ARG001 - every folder's digest is called alike
    """SHA-256 over path and content of every WAV file below a folder.

    Raises:
        DataError: the folder cannot be read.
    """
    total = hashlib.sha256()
    for name, _ in _wav_files(folder):
        with (folder / name).open("rb") as file:
            total.update(f"{name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return f"sha256:{total.hexdigest()}"
