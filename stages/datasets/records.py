"""What a source hands over. Imports no sibling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True)
class RawData:
    """Samples as the source has them, before any normalization.

    Attributes:
        x: (samples, height, width, channels) float32; any finite range.
        y: (samples,) int64; label `i` means `class_names[i]`.
        class_names: in label order.
        given_splits: by split name, the indices that the source itself puts there. A split that is not named is drawn
            by seed from the samples that no given split holds.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    class_names: tuple[str, ...]
    given_splits: dict[str, NDArray[np.int64]]
