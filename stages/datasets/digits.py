"""scikit-learn's digits: 1,797 real 8x8 scans of handwritten digits, shipped inside the package, so no download.

Source: the test part of the UCI set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998), as
`sklearn.datasets.load_digits` returns it: 16 grey levels counted per 4x4 block, 0 to 16.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np

from device_profiles.records import Record
from stages.datasets.arrays import ArraysReader, Part
from stages.datasets.records import LabelKind, Reader

LIBRARIES = ("scikit-learn",)


class Settings(Record):
    """The digits have nothing to set."""

    kind: Literal["digits"] = "digits"

    def slice_columns(self) -> tuple[str, ...]:
        """Columns whose values are slices: none here."""
        return ()


def open_reader(settings: Settings, labels: LabelKind) -> Reader:  # noqa: ARG001 - every source is called alike
    """All samples in scikit-learn's order.  # x (1797, 8, 8, 1) float32, values 0 to 16."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = np.ascontiguousarray(bunch.images[..., None], np.float32)  # (1797, 8, 8, 1)
    y = bunch.target.astype(np.int64)
    names = tuple(str(name) for name in bunch.target_names)
    return ArraysReader(class_names=names if labels == "classes" else (), labels=labels,
                        parts=[Part({"": x}, {"": y}, where="digits")])


def source_digest(settings: Settings, cache: Path | None = None) -> str:  # noqa: ARG001 - every source is called alike
    """The samples ship inside scikit-learn: its version stands for them."""
    return f"{settings.kind}:scikit-learn {version('scikit-learn')}"
