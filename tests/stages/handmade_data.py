"""Artifacts written by hand: a test split, and a tflite model, without the stages that make them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stages.datasets.prepared import Preprocessing, write_about, write_preprocessing
from stages.records import ConvertResult, TensorSpec


def write_data(folder: Path, x: np.ndarray, y: np.ndarray, preprocessing: Preprocessing,
               groups: tuple[str, ...] = (), clips: np.ndarray | None = None) -> Path:
    """A prepare artifact with nothing but a test split."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "x_test.npy", x)
    np.save(folder / "y_test.npy", y)
    write_about(folder, "test", (), groups, clips)
    write_preprocessing(folder, preprocessing)
    return folder


def write_tflite(folder: Path, content: bytes, *, folded: bool = False) -> Path:
    """A convert artifact."""
    folder.mkdir(exist_ok=True)
    (folder / "model.tflite").write_bytes(content)
    result = ConvertResult(summary="", format="x", converter="x", tflite_bytes=len(content), sha256="", folded=folded)
    (folder / "result.json").write_text(result.model_dump_json())
    return folder


def classes(shape: tuple[int, ...], count: int) -> Preprocessing:
    """One input of that shape, as it is, and so many classes."""
    return Preprocessing(inputs={"input": TensorSpec(shape=shape, dtype="float32")},
                         class_names=tuple(str(label) for label in range(count)))
