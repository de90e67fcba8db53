"""Which layers take part in TFMOT's clustering."""

from __future__ import annotations

from typing import Any

import numpy as np

from stages import clustering


def test_wrapping_clusters_kernels_and_says_what_it_left_alone(tiny_keras: Any) -> None:
    import tf_keras as keras

    model = keras.models.clone_model(tiny_keras)
    wrapped, skipped = clustering.wrap_clustering(model, {"conv": 4, "dense": 4}, False, frozenset({"dense"}))
    assert skipped == {"depthwise": "DepthwiseConv2D has no kernel that is clustered", "dense": "named in skip_layers"}
    assert [layer.name for layer in wrapped.layers if type(layer).__name__ == "ClusterWeights"] == ["cluster_conv"]
    plain = clustering.strip_clustering(wrapped)
    assert [layer.name for layer in plain.layers] == [layer.name for layer in tiny_keras.layers]
    assert len(np.unique(plain.get_layer("conv").kernel.numpy())) <= 4
