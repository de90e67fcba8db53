"""EdgeMark's convolutional networks; its fully connected ones are `tiny.mlp`.

Source: github.com/Black3rror/EdgeMark, `target_models/*.yaml`. All classifiers end in a softmax: the operations that
EdgeMark prints for them are those of MACs, biases and averages, and five for each class besides.
"""

from __future__ import annotations

from types import MappingProxyType

from device_profiles.networks.builder import NetworkBuilder, Node

CNNS = MappingProxyType({
    1: ((28, 1), "4s2 6s2 8s2 g", "10"),
    2: ((28, 1), "6s2 8s2 8s2 10s2 f", "10"),
    3: ((28, 1), "4s1 8s2 12s2 16s2 20s2 f", "10"),
    4: ((28, 1), "8s1 8s2 16s1 16s2 32s1 g", "64 16 10"),
    5: ((32, 3), "16s1 16s1 p 32s2 32s1 g", "64 32 10"),
    6: ((32, 3), "16s1 16s1 p 32s1 32s1 p 64s1 g", "100 50 10"),
    7: ((32, 3), "16s1 16s1 p 32s1 32s1 p 64s1 64s1 p 128s1 g", "128 64 10"),
})
"""Number -> ((size, channels), layers, dense): "16s2" is a 3x3 convolution of 16 channels with stride 2, "p" a 2x2 max
pool, "g" the mean over height and width, "f" a reshape."""
FULLY_CONNECTED = ("1-1", "1-5-1", "1-10-10-1", "50-16-8-10", "50-32-16-10", "13-64-32-16-1", "13-64-64-64-1",
                   "128-64-32-16-10", "13-128-128-128-1", "784-60-32-16-10", "3072-64-32-16-10")
"""FC_0 to FC_10 as `tiny.mlp` has them; those with several outputs have its softmax."""


def edgemark_cnn(b: NetworkBuilder, *, number: int = 1) -> Node:
    """CNN_1 to CNN_7."""
    (size, channels), layers, dense = CNNS[number]
    x = b.input(size, size, channels)
    for word in layers.split():
        x = _layer(b, x, word)
    *hidden, last = map(int, dense.split())
    for units in hidden:
        x = b.connected(x, units, "relu")
    return b.softmax(b.connected(x, last))


def _layer(b: NetworkBuilder, x: Node, word: str) -> Node:
    if word == "p":
        return b.max_pool(x)
    if word == "g":
        return b.global_average(x)
    if word == "f":
        return b.flatten(x)
    filters, stride = word.split("s")
    return b.conv(x, int(filters), 3, int(stride), activation="relu")
