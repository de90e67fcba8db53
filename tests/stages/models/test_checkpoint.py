"""Checkpoints: there whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.models.checkpoint import CHECKPOINT_FILE, Checkpoint, read_checkpoint, write_checkpoint

STATE = {"loss": [1.5, 0.5], "best_epoch": 1}


def checkpoint(fingerprint: str = "print") -> Checkpoint:
    return Checkpoint(fingerprint, STATE, model=[np.arange(3.0), np.array(7)], optimizer=[np.array([1, 2])],
                      best=[np.array(i) for i in range(12)])


def test_everything_comes_back_in_order(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, checkpoint())
    again = read_checkpoint(tmp_path, "print")
    assert again is not None
    assert again.state == STATE
    assert [value.tolist() for value in again.model] == [[0, 1, 2], 7]
    assert [value.tolist() for value in again.optimizer] == [[1, 2]]
    assert [value.tolist() for value in again.best] == list(range(12))


def test_a_checkpoint_of_another_training_is_not_taken(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, checkpoint("other"))
    assert read_checkpoint(tmp_path, "print") is None


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path, "print") is None


def test_any_truncation_or_flipped_byte_counts_as_no_checkpoint(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, checkpoint())
    path = tmp_path / CHECKPOINT_FILE
    content = path.read_bytes()
    for place in range(0, len(content), 37):
        for damaged in (content[:place], content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1:]):
            path.write_bytes(damaged)
            assert read_checkpoint(tmp_path, "print") is None


def test_a_write_that_was_broken_off_leaves_the_last_checkpoint(tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(tmp_path, checkpoint())

    def full_disk(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(tmp_path, checkpoint("newer"))
    assert read_checkpoint(tmp_path, "newer") is None
    assert read_checkpoint(tmp_path, "print") is not None
