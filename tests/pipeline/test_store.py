from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from device_profiles.errors import StoreError
from pipeline.store import Store, copy_file, explained, file_digest, write_text

KEY = "ab" + "0" * 30


def keep(store: Store, key: str = KEY, text: str = "weights", provisional: tuple[str, ...] = ()) -> Path:
    with store.lock(key):
        folder = store.begin(key)
        (folder / "sub").mkdir()
        (folder / "sub" / "model.bin").write_text(text)
        return store.keep(key, folder, '{"summary": "ok"}', provisional).folder


def test_a_kept_artifact_is_found_again_by_another_process_s_store(tmp_path):
    keep(Store(tmp_path))
    found = Store(tmp_path).find(KEY)
    assert found is not None
    assert found.result() == {"summary": "ok"}
    assert set(found.digests) == {"result.json", "sub/model.bin"}
    assert (found.folder / "sub" / "model.bin").read_text() == "weights"


def test_an_unknown_key_has_no_artifact(tmp_path):
    assert Store(tmp_path).find(KEY) is None


def test_a_flipped_byte_is_detected_and_the_artifact_taken_away(tmp_path):
    file = keep(Store(tmp_path)) / "sub" / "model.bin"
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)
    store = Store(tmp_path)
    assert store.find(KEY) is None
    assert store.damaged == [KEY]
    assert not file.exists()


@pytest.mark.parametrize("damage", ["missing file", "no manifest", "manifest is no JSON", "manifest is a list"])
def test_a_damaged_artifact_is_never_given_out(tmp_path, damage):
    folder = keep(Store(tmp_path))
    if damage == "missing file":
        (folder / "sub" / "model.bin").unlink()
    elif damage == "no manifest":
        (folder / "artifact.json").unlink()
    else:
        (folder / "artifact.json").write_text("{" if damage == "manifest is no JSON" else "[]")
    assert Store(tmp_path).find(KEY) is None


def test_a_provisional_artifact_is_found_with_its_reason_and_can_be_replaced(tmp_path):
    keep(Store(tmp_path), provisional=("tflm crashed",))
    again = Store(tmp_path)
    assert again.find(KEY).provisional == ("tflm crashed",)
    keep(again, text="better")
    assert Store(tmp_path).find(KEY).provisional == ()


def test_scratch_outlives_the_store_object_and_goes_when_the_artifact_is_kept(tmp_path):
    (Store(tmp_path).scratch(KEY) / "epoch").write_text("3")
    assert (Store(tmp_path).scratch(KEY) / "epoch").read_text() == "3"
    keep(Store(tmp_path))
    assert not (tmp_path / "scratch" / KEY).exists()


def test_begin_removes_what_a_killed_run_left(tmp_path):
    store = Store(tmp_path)
    left = store.root / "unfinished" / f"{KEY}.1"
    left.mkdir(parents=True)
    with store.lock(KEY):
        store.begin(KEY)
    assert not left.exists()


def _killed_while_writing(root: str, ready: str) -> None:
    store = Store(Path(root))
    with store.lock(KEY):
        folder = store.begin(KEY)
        (folder / "half").write_text("half")
        Path(ready).touch()
        time.sleep(60)


def test_a_writer_killed_in_the_middle_leaves_no_artifact_and_no_lock(tmp_path):
    ready = tmp_path / "ready"
    process = multiprocessing.get_context("spawn").Process(
        target=_killed_while_writing, args=(str(tmp_path / "store"), str(ready)))
    process.start()
    while not ready.exists():
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    store = Store(tmp_path / "store")
    assert store.find(KEY) is None
    keep(store)
    assert sorted(p.name for p in (tmp_path / "store" / "unfinished").iterdir()) == []


def test_a_full_disk_is_a_store_error_that_says_what_to_do(tmp_path, monkeypatch):
    store = Store(tmp_path)
    with store.lock(KEY):
        folder = store.begin(KEY)
        (folder / "model.bin").write_text("x")

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="no space left on the disk") as caught:
            store.keep(KEY, folder, "{}")
    assert "run the same command again" in caught.value.next_step
    monkeypatch.undo()
    assert Store(tmp_path).find(KEY) is None


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "store").write_text("a file is in the way")
    with pytest.raises(StoreError, match="store"):
        Store(tmp_path / "store").scratch(KEY)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_no_permission_points_at_the_options(tmp_path, code):
    with pytest.raises(StoreError) as caught, explained(tmp_path):
        raise OSError(code, os.strerror(code), str(tmp_path / "x"))
    assert "cannot be written" in caught.value.found
    assert "--store" in caught.value.next_step


def test_write_text_leaves_the_old_file_when_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    target = tmp_path / "manifest.json"
    write_text(target, "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError):
        write_text(target, "new")
    assert target.read_text() == "old"


def test_copy_file_leaves_equal_bytes_alone_and_mends_changed_ones(tmp_path):
    source, target = tmp_path / "a", tmp_path / "deep" / "b"
    source.write_text("bytes")
    digest = file_digest(source)
    assert copy_file(source, target, digest) is True
    assert copy_file(source, target, digest) is False
    target.write_text("changed by hand")
    assert copy_file(source, target, digest) is True
    assert target.read_text() == "bytes"


def test_the_manifest_lists_a_digest_for_every_file(tmp_path):
    folder = keep(Store(tmp_path))
    record = json.loads((folder / "artifact.json").read_text())
    # from `printf weights | sha256sum`
    assert record["files"]["sub/model.bin"] == "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
