"""The store: artifacts by the key of what made them.

    <store>/artifacts/<first two of key>/<key>/   files, result.json, artifact.json (digest of every file)
    <store>/scratch/<key>/                        what an unfinished call may go on from
    <store>/unfinished/<key>.<pid>/               being written
    <store>/locks/<key>.lock                      one writer a key; two runs share a store

An artifact is written aside, synced and renamed: a key that exists is whole. Every read checks the digests, and a
damaged artifact is taken away so that it is made again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_profiles.errors import StoreError

MANIFEST = "artifact.json"
RESULT = "result.json"


@dataclass(frozen=True)
class Artifact:
    """A whole artifact.

    Attributes:
        key: what made it.
        folder: where its files are.
        digests: sha256 in hexadecimal by file name, relative to `folder`.
        provisional: what went wrong in passing when it was made; the call is to be made again.
    """

    key: str
    folder: Path
    digests: dict[str, str]
    provisional: tuple[str, ...] = ()

    def result(self) -> dict[str, Any]:
        """The stage's result as it was written."""
        loaded: dict[str, Any] = json.loads((self.folder / RESULT).read_text(encoding="utf-8"))
        return loaded


class Store:
    """Artifacts in a folder.

    Args:
        root: the folder; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._verified: dict[str, Artifact] = {}
        self.damaged: list[str] = []

    def find(self, key: str) -> Artifact | None:
        """The artifact of a key, digests checked; None where there is none or where it was damaged (and taken away)."""
        if key in self._verified:
            return self._verified[key]
        folder = self._folder(key)
        if not folder.is_dir():
            return None
        artifact = _read(key, folder)
        if artifact is None:
            self._discard(key, folder)
            return None
        self._verified[key] = artifact
        return artifact

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold the key's lock; waits for another run that is making the same artifact."""
        from filelock import FileLock

        path = self.root / "locks" / f"{key}.lock"
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            held = FileLock(path)
            held.acquire()
        try:
            yield
        finally:
            held.release()

    def scratch(self, key: str) -> Path:
        """A folder that outlives a killed process, for the same call to go on from."""
        return self._made(self.root / "scratch" / key)

    def begin(self, key: str) -> Path:
        """An empty folder to write the artifact into; what a killed run left of it is removed. Needs the key's lock."""
        for left in (self.root / "unfinished").glob(f"{key}.*"):
            shutil.rmtree(left, ignore_errors=True)
        return self._made(self.root / "unfinished" / f"{key}.{os.getpid()}")

    def keep(self, key: str, written: Path, result: str, provisional: tuple[str, ...] = ()) -> Artifact:
        """Make what `begin` gave and a stage filled an artifact, in one step that cannot be half done.

        Args:
            key: the call's key.
            written: the folder from `begin`.
            result: the stage's result as JSON text.
            provisional: see `Artifact`.

        Raises:
            StoreError: disk full, no permission, no such file system.
        """
        folder = self._folder(key)
        with explained(folder):
            (written / RESULT).write_text(result, encoding="utf-8")
            digests = {str(p.relative_to(written)): file_digest(p) for p in sorted(written.rglob("*")) if p.is_file()}
            record = {"key": key, "files": digests, "provisional": list(provisional)}
            (written / MANIFEST).write_text(json.dumps(record, indent=1), encoding="utf-8")
            _sync_tree(written)
            folder.parent.mkdir(parents=True, exist_ok=True)
            if folder.exists():
                shutil.rmtree(folder)
            written.rename(folder)
            _sync(folder.parent)
            shutil.rmtree(self.root / "scratch" / key, ignore_errors=True)
        self._verified[key] = Artifact(key, folder, digests, provisional)
        return self._verified[key]

    def _folder(self, key: str) -> Path:
        return self.root / "artifacts" / key[:2] / key

    def _made(self, folder: Path) -> Path:
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _discard(self, key: str, folder: Path) -> None:
        """Take a damaged artifact out of the way: renamed first, so that nobody reads half of it."""
        with explained(folder):
            aside = self._made(self.root / "unfinished") / f"{key}.damaged.{os.getpid()}"
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        self.damaged.append(key)


def file_digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError on `path` into a StoreError that says what a user can do.

    Raises:
        StoreError: in place of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(*explain(error, path)) from error


def explain(error: OSError, path: Path) -> tuple[str, str, str]:
    """Found, allowed and next step for an OSError on `path`."""
    where = error.filename or path
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (f"no space left on the disk that holds {where}", "",
                "free some space and run the same command again: what is done is kept")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (f"{where} cannot be written: {error.strerror}", "",
                "mend its permissions, or give another --store or --runs")
    return (f"{where}: {error.strerror or error}", "",
            "mend that or give another --store or --runs, and run again: what is done is kept")


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is either the old one or the new one, whole.

    Raises:
        StoreError: it cannot be written.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)


def copy_file(source: Path, target: Path, digest: str) -> bool:
    """Put a copy of an artifact's file at `target` unless the same bytes are there; whether it was written.

    Raises:
        StoreError: it cannot be written.
    """
    with explained(target):
        if target.is_file() and file_digest(target) == digest:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copyfile(source, aside)
        aside.replace(target)
    return True


def _read(key: str, folder: Path) -> Artifact | None:
    """The artifact in a folder, or None where a file is missing, added or changed."""
    try:
        record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = {str(name): str(digest) for name, digest in record["files"].items()}
        whole = all(file_digest(folder / name) == digest for name, digest in files.items())
        provisional = tuple(str(text) for text in record["provisional"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Artifact(key, folder, files, provisional) if whole and RESULT in files else None


def _sync_tree(folder: Path) -> None:
    """Have the disk hold every file of a folder, and the folder."""
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
