"""What several families share: rounding of channels, squeeze and excite, the inverted residual, the classifier."""

from __future__ import annotations

from dataclasses import dataclass

from device_profiles.networks.builder import NetworkBuilder, Node, Pair

IMAGENET = 1000


def rounded(channels: float, multiple: int = 8, least: int = 0) -> int:
    """Channels to the nearest multiple, not below 90 % (Sandler et al., "MobileNetV2", 2018, slim's `_make_divisible`)."""
    found = max(least or multiple, int(channels + multiple / 2) // multiple * multiple)
    return found + multiple if found < 0.9 * channels else found


@dataclass(frozen=True)
class Excite:
    """Squeeze and excite (Hu et al. 2018).

    Attributes:
        units: channels of the squeezed layer.
        gate: "sigmoid" or "hard_sigmoid".
        inner: activation of the squeezed layer.
        pooled: whether the mean keeps its height and width of itself; else a RESHAPE puts them back.
    """

    units: int
    gate: str = "sigmoid"
    inner: str = "relu"
    pooled: bool = True


def excite(b: NetworkBuilder, x: Node, how: Excite) -> Node:
    """Scale each channel by a gate that all of them decide."""
    y = b.global_average(x, keep=how.pooled)
    if not how.pooled:
        y = b.reshape(y, 1, 1, 1, b.channels(x))
    y = b.conv(y, how.units, activation=how.inner)
    if how.gate == "hard_sigmoid":
        y = hard_sigmoid(b, b.conv(y, b.channels(x)))
    else:
        y = b.conv(y, b.channels(x), activation=how.gate)
    return b.multiply(x, y)


def hard_sigmoid(b: NetworkBuilder, x: Node) -> Node:
    """relu6(x + 3) / 6."""
    return b.multiply(b.add(x, b.values(), "relu6"), b.values())


def padded_depthwise(b: NetworkBuilder, x: Node, kernel: int, stride: int, activation: str, explicit: bool) -> Node:
    """A depthwise convolution; with `explicit` a stride of 2 stands behind a PAD (tf_keras), else it is "same"."""
    if stride == 1 or not explicit:
        return b.depthwise(x, kernel, stride, activation=activation)
    return b.depthwise(keras_pad(b, x, kernel), kernel, stride, padding="valid", activation=activation)


def keras_pad(b: NetworkBuilder, x: Node, kernel: int) -> Node:
    """The zeros that tf_keras puts before a stride of 2: one less before than after where the size is even."""
    half = kernel // 2
    before: Pair = (half - (1 - b.size(x)[0] % 2), half - (1 - b.size(x)[1] % 2))
    return b.pad(x, before, half)


def classifier(b: NetworkBuilder, x: Node, classes: int, slim: bool = False, softmax: bool = True) -> Node:
    """Mean over height and width, a fully connected layer, softmax.

    Args:
        b: the builder.
        x: features.
        classes: number of classes.
        slim: as TF-Slim's networks have it: average pool and a 1x1 convolution, then a reshape.
        softmax: whether the scores are made to sum to 1.
    """
    if slim:
        y = b.reshape(b.conv(b.average_pool(x, b.size(x), b.size(x)), classes), 1, classes)
    else:
        y = b.connected(b.global_average(x), classes)
    return b.softmax(y) if softmax else y
