"""scikit-learn's diabetes data: ten measurements of 442 patients, and how far the disease went on in the year after."""

from __future__ import annotations

from typing import Any

import numpy as np


def load() -> tuple[Any, Any]:
    """Samples x (442, 10) float32, as scikit-learn scales it; y (442,) float32, 25 to 346."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes()
    return bunch.data.astype(np.float32), bunch.target.astype(np.float32)
