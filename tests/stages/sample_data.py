"""Prepare artifacts made by hand, and data with faults planted in it, for tests of what looks at data."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stages.datasets.prepared import Preprocessing, write_about, write_preprocessing
from stages.records import TensorSpec

Split = tuple[np.ndarray, np.ndarray]


def write_artifact(folder: Path, splits: Mapping[str, Split], *, task: str = "classification",
                   class_names: Sequence[str] = (), targets: Mapping[str, TensorSpec] | None = None,
                   names: Mapping[str, Sequence[str]] | None = None,
                   groups: Mapping[str, Sequence[str]] | None = None,
                   clips: Mapping[str, Sequence[int]] | None = None) -> Path:
    """Splits as `prepare` leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (x, y) in splits.items():
        np.save(folder / f"x_{name}.npy", x)
        np.save(folder / f"y_{name}.npy", y)
        each = np.array(clips[name]) if clips else None
        write_about(folder, name, tuple((names or {}).get(name, ())), tuple((groups or {}).get(name, ())), each)
    x = splits["train"][0]
    fields = {name: (x.dtype[name].shape, str(x.dtype[name].base)) for name in x.dtype.names or ()}
    inputs = {name: TensorSpec(shape=shape, dtype=dtype)
              for name, (shape, dtype) in (fields or {"input": (x.shape[1:], str(x.dtype))}).items()}
    write_preprocessing(folder, Preprocessing(task=task, inputs=inputs, class_names=tuple(class_names),
                                              targets=dict(targets or {})))
    return folder


def three_splits(x: np.ndarray, y: np.ndarray, seed: int = 0) -> dict[str, Split]:
    """65 % train, 15 % validation, 20 % test, drawn by seed."""
    order = np.random.default_rng(seed).permutation(len(x))
    ends = [0, len(x) * 65 // 100, len(x) * 80 // 100, len(x)]
    return {name: (x[order[start:end]], y[order[start:end]])
            for name, start, end in zip(("train", "validation", "test"), ends[:-1], ends[1:], strict=True)}


def digits() -> Split:
    """The 1,797 digits that ship with scikit-learn.  # (1797, 8, 8, 1) uint8, 0 to 16"""
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.images[..., None].astype(np.uint8), found.target.astype(np.int64)


def scenes(count: int, side: int = 32, seed: int = 0) -> Split:
    """Smooth random pictures in colour on which a bright disc lies high, in the middle or low: the label.

    Returns:
        (count, side, side, 3) uint8, and (count,) labels 0 to 2.
    """
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(count, side // 4, side // 4, 3))
    x = np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2)
    for axis in (1, 2):
        x = (x + np.roll(x, 1, axis) + np.roll(x, -1, axis) + np.roll(x, 2, axis)) / 4
    y = np.arange(count) % 3
    rows, columns = np.mgrid[:side, :side]
    for picture, label in zip(x, y, strict=True):
        row, column = side * (1 + 2 * label) / 6 + rng.normal(), rng.uniform(side * 0.3, side * 0.7)
        picture[(rows - row)**2 + (columns - column)**2 < (side / 8)**2] += 2.5
    return np.clip(110 + 45 * x + rng.normal(0, 6, x.shape), 0, 255).astype(np.uint8), y.astype(np.int64)


def shifted(x: np.ndarray) -> np.ndarray:
    """One pixel down and to the left, the edge repeated."""
    return np.pad(x, [(0, 0), (1, 0), (0, 1), (0, 0)], mode="edge")[:, :-1, 1:]


def brighter(x: np.ndarray) -> np.ndarray:
    """3 % brighter, clipped."""
    return np.clip(np.rint(x * 1.03), 0, 255).astype(x.dtype)


def recompressed(x: np.ndarray) -> np.ndarray:
    """Through JPEG at quality 85."""
    from PIL import Image

    found = []
    for picture in x:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=85)
        found.append(np.asarray(Image.open(buffer)))
    return np.stack(found)
