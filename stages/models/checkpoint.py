"""A training's state after a whole epoch, in one file that is either there whole or not there.

The state of every random number of an epoch follows from (seed, epoch), so variables and a few numbers are all there is
to keep. The file is written aside and renamed; one that cannot be read counts as none.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHECKPOINT_FILE = "checkpoint.npz"
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
    aside = folder / f"{CHECKPOINT_FILE}.part"
    with aside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type, unused-ignore]
    aside.replace(folder / CHECKPOINT_FILE)


def read_checkpoint(folder: Path, fingerprint: str) -> Checkpoint | None:
    """The folder's checkpoint, or None where there is none, it is damaged, or it belongs to another training."""
    try:
        with np.load(folder / CHECKPOINT_FILE, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}  # zip checks every member's CRC
        head = json.loads(arrays.pop("head").tobytes())
        found = str(head["fingerprint"])
        state = dict(head["state"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError):
        return None
    if found != fingerprint:
        return None
    roles = {role: [arrays[name] for name in sorted(arrays) if name.startswith(role)]
             for role in ("model", "optimizer", "best")}
    return Checkpoint(fingerprint=found, state=state, **roles)
