"""Digests follow contents; the cache saves reading and never lies."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from device_profiles.errors import DataError
from stages.datasets import digests

OLD_NS = time.time_ns() - 3600 * 10**9


def write(path: Path, content: bytes, mtime_ns: int = OLD_NS) -> Path:
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    read: list[Path] = []
    digest = digests._digest
    monkeypatch.setattr(digests, "_digest", lambda path: read.append(path) or digest(path))
    return read


def test_a_digest_is_the_sha256_of_the_content(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b"abc")
    assert digests.file_digest(path) == hashlib.sha256(b"abc").hexdigest()


def test_a_second_call_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, cache = [write(tmp_path / name, name.encode()) for name in "ab"], tmp_path / "cache" / "digests.json"
    first = digests.file_digests(paths, cache)
    read = count_reads(monkeypatch)
    assert digests.file_digests(paths, cache) == first
    assert read == []


@pytest.mark.parametrize(("content", "mtime_ns"), [(b"xyz", OLD_NS + 1), (b"abcd", OLD_NS)], ids=["time", "size"])
def test_another_time_or_size_makes_the_file_read_again(tmp_path: Path, content: bytes, mtime_ns: int) -> None:
    path, cache = write(tmp_path / "a", b"abc"), tmp_path / "digests.json"
    digests.file_digest(path, cache)
    write(path, content, mtime_ns)
    assert digests.file_digest(path, cache) == hashlib.sha256(content).hexdigest()


def test_a_touched_file_keeps_its_digest(tmp_path: Path) -> None:
    path, cache = write(tmp_path / "a", b"abc"), tmp_path / "digests.json"
    before = digests.file_digest(path, cache)
    os.utime(path)
    assert digests.file_digest(path, cache) == before


def test_a_file_that_was_just_written_is_not_cached(tmp_path: Path) -> None:
    path, cache = write(tmp_path / "a", b"abc", time.time_ns()), tmp_path / "digests.json"
    digests.file_digest(path, cache)
    state = path.stat()
    path.write_bytes(b"xyz")  # within the tick: same size, and the time is put back
    os.utime(path, ns=(state.st_mtime_ns, state.st_mtime_ns))
    assert digests.file_digest(path, cache) == hashlib.sha256(b"xyz").hexdigest()


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": [1, 2]}', "\x00"])
def test_a_damaged_cache_is_replaced(tmp_path: Path, content: str) -> None:
    path, cache = write(tmp_path / "a", b"abc"), tmp_path / "digests.json"
    cache.write_text(content)
    assert digests.file_digest(path, cache) == hashlib.sha256(b"abc").hexdigest()
    assert json.loads(cache.read_text())[str(path)][2] == hashlib.sha256(b"abc").hexdigest()


def test_entries_of_other_folders_stay_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, cache = write(tmp_path / "a", b"1"), write(tmp_path / "b", b"2"), tmp_path / "digests.json"
    digests.file_digest(one, cache)
    digests.file_digest(other, cache)
    read = count_reads(monkeypatch)
    digests.file_digests([one, other], cache)
    assert read == []


def test_a_cache_that_cannot_be_written_does_not_matter(tmp_path: Path) -> None:
    path, blocker = write(tmp_path / "a", b"abc"), write(tmp_path / "file", b"")
    assert digests.file_digest(path, blocker / "digests.json") == hashlib.sha256(b"abc").hexdigest()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere cannot be read: No such file"):
        digests.file_digest(tmp_path / "nowhere")


def test_texts_are_told_apart_from_their_joint() -> None:
    assert digests.text_digest("a", "b") != digests.text_digest("ab") != digests.text_digest("ab", "")
