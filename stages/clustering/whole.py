"""Values that are shared over a whole kernel: TFMOT's cluster wrappers put on and taken off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.clustering.values import has_kernel, reason_to_skip


def wrap_clustering(model: Any, counts: Mapping[str, int], preserve_sparsity: bool,
                    skip: frozenset[str]) -> tuple[Any, dict[str, str]]:
    """A model whose kernels are drawn from a few values each.

    Args:
        model: a float `tf_keras.Model`; its layers are used again.
        counts: values by layer, the zero included where zeros are preserved.
        preserve_sparsity: keep zeros where they are.
        skip: layers to leave alone.

    Returns:
        The wrapped model, and the layers that were left alone with the reason.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    api = tfmot.clustering.keras
    skipped = {layer.name: reason for layer in model.layers if (reason := reason_to_skip(layer, counts, skip))}

    def wrap(layer: Any) -> Any:
        """The layer in a cluster wrapper, or as it is."""
        if layer.name in skipped or not has_kernel(layer):
            return layer
        return api.cluster_weights(layer, number_of_clusters=counts[layer.name],
                                   preserve_sparsity=preserve_sparsity,
                                   cluster_centroids_init=api.CentroidInitialization.KMEANS_PLUS_PLUS)

    return keras.models.clone_model(model, clone_function=wrap), skipped


def strip_clustering(model: Any) -> Any:
    """The plain model with the clustered kernels."""
    import tensorflow_model_optimization as tfmot

    return tfmot.clustering.keras.strip_clustering(model)
