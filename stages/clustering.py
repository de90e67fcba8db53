"""Weights that share few values: TFMOT's cluster wrappers put on, taken off, and what they left counted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_profiles.errors import StageError

CLUSTERED_LAYERS = ("Conv2D", "Dense")
"""Layers whose kernels are clustered: those whose shared values quantization-aware training can preserve as well."""


def wrap_clustering(model: Any, clusters: int, preserve_sparsity: bool,
                    skip: frozenset[str]) -> tuple[Any, dict[str, str]]:
    """A model whose kernels are drawn from `clusters` values each.

    Args:
        model: a float `tf_keras.Model`; its layers are used again.
        clusters: values per kernel, the zero included where zeros are preserved.
        preserve_sparsity: keep zeros where they are.
        skip: layers to leave alone.

    Returns:
        The wrapped model, and the layers that were left alone with the reason.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    api = tfmot.clustering.keras
    skipped = {layer.name: reason for layer in model.layers if (reason := _reason_to_skip(layer, clusters, skip))}

    def wrap(layer: Any) -> Any:
        """The layer in a cluster wrapper, or as it is."""
        if layer.name in skipped or not _has_kernel(layer):
            return layer
        return api.cluster_weights(layer, number_of_clusters=clusters, preserve_sparsity=preserve_sparsity,
                                   cluster_centroids_init=api.CentroidInitialization.KMEANS_PLUS_PLUS)

    return keras.models.clone_model(model, clone_function=wrap), skipped


def strip_clustering(model: Any) -> Any:
    """The plain model with the clustered kernels."""
    import tensorflow_model_optimization as tfmot

    return tfmot.clustering.keras.strip_clustering(model)


def count_shared_values(kernels: dict[str, NDArray[np.float32]], clusters: int) -> dict[str, int]:
    """Distinct values by layer, verified.

    Args:
        kernels: clustered kernels by layer.
        clusters: how many values each may hold.

    Raises:
        StageError: a kernel holds more.
    """
    counts = {name: len(np.unique(kernel)) for name, kernel in kernels.items()}
    for name, count in counts.items():
        if count > clusters:
            raise StageError(f"the kernel of '{name}' holds {count} distinct values", f"at most {clusters}",
                             "name it under skip_layers, or ask for more shared values")
    return counts


def _has_kernel(layer: Any) -> bool:
    return type(layer).__name__ in CLUSTERED_LAYERS


def _reason_to_skip(layer: Any, clusters: int, skip: frozenset[str]) -> str:
    """Why a layer with weights is left alone, or an empty string."""
    if layer.name in skip:
        return "named in skip_layers"
    if not _has_kernel(layer):
        return f"{type(layer).__name__} has no kernel that is clustered" if layer.weights else ""
    size = int(np.prod(layer.kernel.shape))
    return f"{size} weights are too few for {clusters} shared values" if size <= clusters else ""
