"""SqueezeNet and VGG, plain stacks of convolutions.

SqueezeNet 1.0: Iandola et al. 2016, arXiv 1602.07360, table 1; 1.1: github.com/forresti/SqueezeNet. VGG 16 and 19:
Simonyan and Zisserman 2014, arXiv 1409.1556, table 1.
"""

from __future__ import annotations

from device_profiles.networks.builder import NetworkBuilder, Node

_FIRES = (16, 16, 32, 32, 48, 48, 64, 64)
_EXPANSION = 4
_POOLS = {"1.0": (2, 6), "1.1": (1, 3)}  # fire modules after which there is a pool
_VGG = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def squeezenet(b: NetworkBuilder, *, version: str = "1.1", size: int = 224, classes: int = 1000) -> Node:
    """SqueezeNet: 1x1 convolutions that narrow, 1x1 and 3x3 ones side by side that widen."""
    filters, kernel = (96, 7) if version == "1.0" else (64, 3)
    x = b.conv(b.input(size, size, 3), filters, kernel, 2, padding="valid", activation="relu")
    x = b.max_pool(x, 3, 2)
    for number, squeezed in enumerate(_FIRES):
        y = b.conv(x, squeezed, activation="relu")
        wide = squeezed * _EXPANSION
        x = b.concat(b.conv(y, wide, activation="relu"), b.conv(y, wide, 3, activation="relu"))
        x = b.max_pool(x, 3, 2) if number in _POOLS[version] else x
    return b.softmax(b.global_average(b.conv(x, classes, activation="relu")))


def vgg(b: NetworkBuilder, *, layers: int = 16, size: int = 224, classes: int = 1000) -> Node:
    """VGG: 3x3 convolutions and two layers of 4,096."""
    x = b.input(size, size, 3)
    for stage, repeats in enumerate(_VGG[layers]):
        for _ in range(repeats):
            x = b.conv(x, min(64 << stage, 512), 3, activation="relu")
        x = b.max_pool(x)
    x = b.connected(b.connected(b.flatten(x), 4096, "relu"), 4096, "relu")
    return b.softmax(b.connected(x, classes))
