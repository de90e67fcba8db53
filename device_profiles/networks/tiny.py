"""MLPerf Tiny's other three reference networks, and small ones of the same kind.

Banbury et al. 2021, "MLPerf Tiny Benchmark", arXiv 2106.07597, section 4; the shapes are those of the reference tflite
models. The fourth, ResNet-8, is `resnet_cifar` with one block a stage.
"""

from __future__ import annotations

from device_profiles.networks.builder import NetworkBuilder, Node

_ENCODER = (128, 128, 128, 128)


def autoencoder(b: NetworkBuilder, *, size: int = 640, bottleneck: int = 8) -> Node:
    """Anomaly detection: four layers of 128, the bottleneck, four layers of 128, the input again."""
    x = b.input(size)
    for units in (*_ENCODER, bottleneck, *_ENCODER):
        x = b.connected(x, units, "relu")
    return b.connected(x, size)


def ds_cnn(b: NetworkBuilder, *, height: int = 49, width: int = 10, classes: int = 12, filters: int = 64,
           blocks: int = 4) -> Node:
    """Keyword spotting: a 10x4 convolution and depthwise separable blocks."""
    x = b.conv(b.input(height, width, 1), filters, (10, 4), 2, activation="relu")
    for _ in range(blocks):
        x = b.conv(b.depthwise(x, 3, activation="relu"), filters, activation="relu")
    window = b.size(x)
    return b.softmax(b.connected(b.flatten(b.average_pool(x, window, window)), classes))


def visual_wake_words(b: NetworkBuilder, *, width: float = 0.25, size: int = 96, channels: int = 3,
                      classes: int = 2) -> Node:
    """Person or none: MobileNet v1 in "same" padding, an average pool and a fully connected layer."""
    x = b.conv(b.input(size, size, channels), int(32 * width), 3, 2, activation="relu")
    for stride, filters in ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024),
                            (1, 1024)):
        x = b.conv(b.depthwise(x, 3, stride, activation="relu"), int(filters * width), activation="relu")
    window = b.size(x)
    return b.softmax(b.connected(b.flatten(b.average_pool(x, window, window)), classes))


def mlp(b: NetworkBuilder, *, layers: str = "1-16-16-1", activation: str = "relu", softmax: bool = False) -> Node:
    """Fully connected layers: `layers` are the input's size and each layer's units; the last one has no activation."""
    first, *units = [int(word) for word in layers.split("-")]
    x = b.input(first)
    for number in units[:-1]:
        x = b.connected(x, number, activation)
    y = b.connected(x, units[-1])
    return b.softmax(y) if softmax else y
