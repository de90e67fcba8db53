"""A training's state after a whole epoch, in one file that is either there whole or not there.

The state of every random number of an epoch follows from (seed, epoch), so variables and a few numbers are all there is
to keep. The file is a SHA-256 digest and an `.npz` archive; it is written aside and renamed, and one whose digest is
wrong counts as none.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHECKPOINT_FILE = "checkpoint.bin"
_DIGEST_BYTES = 32
Arrays = list[NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """What a training goes on from.

    Attributes:
        fingerprint: of the settings and the model's structure; a checkpoint of another training is not taken.
        state: numbers that are not variables (curves, best epoch).
        model: every variable of the model, wrappers included.
        optimizer: every variable of the optimizer.
        best: the model's variables after the best epoch; empty while there is none.
    """

    fingerprint: str
    state: dict[str, Any]
    model: Arrays
    optimizer: Arrays
    best: Arrays


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the folder's checkpoint in one step."""
    head = json.dumps({"fingerprint": checkpoint.fingerprint, "state": checkpoint.state})
    arrays: dict[str, NDArray[Any]] = {"head": np.frombuffer(head.encode(), np.uint8)}
    for role in ("model", "optimizer", "best"):
        arrays |= {f"{role}{i:05}": value for i, value in enumerate(getattr(checkpoint, role))}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type, unused-ignore]
    content = buffer.getvalue()
    aside = folder / f"{CHECKPOINT_FILE}.part"
    aside.write_bytes(hashlib.sha256(content).digest() + content)
    aside.replace(folder / CHECKPOINT_FILE)


def read_checkpoint(folder: Path, fingerprint: str) -> Checkpoint | None:
    """The folder's checkpoint, or None where there is none, it is damaged, or it belongs to another training."""
    try:
        whole = (folder / CHECKPOINT_FILE).read_bytes()
    except OSError:
        return None
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    head = json.loads(arrays.pop("head").tobytes())
    if head["fingerprint"] != fingerprint:
        return None
    roles = {role: [arrays[name] for name in sorted(arrays) if name.startswith(role)]
             for role in ("model", "optimizer", "best")}
    return Checkpoint(fingerprint=fingerprint, state=head["state"], **roles)
