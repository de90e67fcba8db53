"""Weights that share few values, over a whole kernel (TFMOT) or scaled by channel: put on, taken off, kept, counted."""

from stages.clustering.values import (
    CLUSTERED_LAYERS,
    MOST_VALUES,
    check_zeros_kept,
    count_shared_values,
    enough_values,
    nearest_values,
)
from stages.clustering.whole import strip_clustering, wrap_clustering

__all__ = ["CLUSTERED_LAYERS", "MOST_VALUES", "check_zeros_kept", "count_shared_values", "enough_values",
           "nearest_values", "strip_clustering", "wrap_clustering"]
