"""scikit-learn's digits as an anomaly task: a model that has only seen zeros to seven is shown eights and nines."""

from __future__ import annotations

from typing import Any

import numpy as np


def load() -> tuple[Any, Any]:
    """Samples x (1797, 64) float32, grey levels 0 to 16; y (1797,) int64, the digit."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.data.astype(np.float32), bunch.target.astype(np.int64)
