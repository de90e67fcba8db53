"""DenseNet 121, 169, 201: Huang et al. 2016, arXiv 1608.06993, table 1; in the form of `tf_keras.applications`."""

from __future__ import annotations

from device_profiles.networks.blocks import classifier
from device_profiles.networks.builder import NetworkBuilder, Node

_BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}
_GROWTH, _BOTTLENECK = 32, 4


def densenet(b: NetworkBuilder, *, layers: int = 121, size: int = 224, classes: int = 1000) -> Node:
    """DenseNet: each layer is joined to all that came before it."""
    x = b.conv(b.pad(b.input(size, size, 3), 3, 3), 64, 7, 2, padding="valid", activation="relu")
    x = b.max_pool(b.pad(x, 1, 1), 3, 2)
    for number, repeats in enumerate(_BLOCKS[layers]):
        if number:
            x = b.average_pool(b.conv(b.normalize(x, "relu"), b.channels(x) // 2, bias=False))
        for _ in range(repeats):
            y = b.conv(b.normalize(x, "relu"), _BOTTLENECK * _GROWTH, activation="relu")
            x = b.concat(x, b.conv(y, _GROWTH, 3, bias=False))
    return classifier(b, b.normalize(x, "relu"), classes)
