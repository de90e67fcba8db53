"""ResNet for ImageNet (18, 50, 101, 152; v1, v1.5, v2) and for CIFAR (v1, 6 n + 2 layers; MLPerf Tiny's ResNet-8).

v1: He et al. 2015, arXiv 1512.03385, table 1 and section 4.2. v2: He et al. 2016, arXiv 1603.05027. v1.5 takes the
stride in the 3x3 convolution. The forms are those of `tf_keras.applications`, where it has them.
"""

from __future__ import annotations

from device_profiles.networks.blocks import classifier
from device_profiles.networks.builder import NetworkBuilder, Node

_REPEATS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_WIDTHS = (64, 128, 256, 512)
_WIDENING = 4
_BASIC = (18, 34)


def resnet(b: NetworkBuilder, *, layers: int = 50, size: int = 224, classes: int = 1000, late: bool = False) -> Node:
    """ResNet v1; `late`: v1.5, the stride in the 3x3 convolution."""
    x = _stem(b, size, "relu")
    for stage, (repeats, width) in enumerate(zip(_REPEATS[layers], _WIDTHS, strict=True)):
        for repeat in range(repeats):
            stride = 2 if repeat == 0 and stage > 0 else 1
            x = _basic(b, x, width, stride) if layers in _BASIC else _bottleneck(b, x, width, stride, late)
    return classifier(b, x, classes)


def resnet_v2(b: NetworkBuilder, *, layers: int = 50, size: int = 224, classes: int = 1000) -> Node:
    """ResNet v2: normalization and activation before the convolutions, the stride at each stage's end (tf_keras)."""
    x = _stem(b, size, "none")
    for stage, (repeats, width) in enumerate(zip(_REPEATS[layers], _WIDTHS, strict=True)):
        for repeat in range(repeats):
            stride = 2 if repeat == repeats - 1 and stage < len(_WIDTHS) - 1 else 1
            x = _preactivated(b, x, width, stride, widen=repeat == 0)
    return classifier(b, b.normalize(x, "relu"), classes)


def resnet_cifar(b: NetworkBuilder, *, blocks: int = 3, size: int = 32, channels: int = 3, classes: int = 10,
                 stages: int = 3, width: int = 16, pool: int = 0) -> Node:
    """ResNet for small images: `blocks` of two 3x3 convolutions in each stage; 1 block: MLPerf Tiny's ResNet-8.

    `pool` is the window of the average pool before the classifier, 0 for all that is left.
    """
    x = b.conv(b.input(size, size, channels), width, 3, activation="relu")
    for stage in range(stages):
        for repeat in range(blocks):
            stride = 2 if repeat == 0 and stage > 0 else 1
            x = _basic(b, x, width << stage, stride)
    window = pool or b.size(x)[0]
    y = b.flatten(b.average_pool(x, window, window))
    return b.softmax(b.connected(y, classes))


def _stem(b: NetworkBuilder, size: int, activation: str) -> Node:
    """7x7 with stride 2 and a 3x3 max pool with stride 2, both behind a PAD."""
    x = b.conv(b.pad(b.input(size, size, 3), 3, 3), 64, 7, 2, padding="valid", activation=activation)
    return b.max_pool(b.pad(x, 1, 1), 3, 2)


def _basic(b: NetworkBuilder, x: Node, width: int, stride: int) -> Node:
    """Two 3x3 convolutions; a 1x1 one on the way around them where the shape changes."""
    y = b.conv(x, width, 3, stride, activation="relu")
    y = b.conv(y, width, 3)
    around = b.conv(x, width, 1, stride) if stride > 1 or b.channels(x) != width else x
    return b.add(around, y, "relu")


def _bottleneck(b: NetworkBuilder, x: Node, width: int, stride: int, late: bool) -> Node:
    """1x1, 3x3, 1x1 with four times the width."""
    around = x
    if stride > 1 or b.channels(x) != width * _WIDENING:
        around = b.conv(x, width * _WIDENING, 1, stride)
    y = b.conv(x, width, 1, 1 if late else stride, activation="relu")
    y = b.conv(y, width, 3, stride if late else 1, activation="relu")
    return b.add(around, b.conv(y, width * _WIDENING), "relu")


def _preactivated(b: NetworkBuilder, x: Node, width: int, stride: int, widen: bool) -> Node:
    """Normalization and ReLU, then 1x1, 3x3, 1x1; around it a convolution, a pool of 1, or nothing."""
    begun = b.normalize(x, "relu")
    y = b.conv(begun, width, activation="relu")
    if stride > 1:  # zeros on all sides, which "same" would not put there
        y = b.conv(b.pad(y, 1, 1), width, 3, stride, padding="valid", activation="relu")
    else:
        y = b.conv(y, width, 3, activation="relu")
    around = x
    if widen:
        around = b.conv(begun, width * _WIDENING, 1, stride)
    elif stride > 1:
        around = b.max_pool(x, 1, stride)
    return b.add(around, b.conv(y, width * _WIDENING))
