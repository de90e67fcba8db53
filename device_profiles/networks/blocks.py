"""What several families share: rounding of channels, squeeze and excite, the inverted residual, the classifier."""

from __future__ import annotations

from dataclasses import dataclass

from device_profiles.networks.builder import NetworkBuilder, Node

IMAGENET = 1000


def rounded(channels: float, multiple: int = 8, least: int = 0) -> int:
    """Channels to the nearest multiple, not below 90 % (the rule of MobileNet v2 and its followers)."""
    found = max(least or multiple, int(channels + multiple / 2) // multiple * multiple)
    return found + multiple if found < 0.9 * channels else found


@dataclass(frozen=True)
class Excite:
    """Squeeze and excite (Hu et al. 2018).

    Attributes:
        units: channels of the squeezed layer.
        gate: "sigmoid", "hard_sigmoid" or "clipped_sigmoid".
        inner: activation of the squeezed layer.
    """

    units: int
    gate: str = "sigmoid"
    inner: str = "relu"


def excite(b: NetworkBuilder, x: Node, how: Excite) -> Node:
    """Scale each channel by a gate that all of them decide."""
    y = b.conv(b.global_average(x, keep=True), how.units, activation=how.inner)
    if how.gate == "hard_sigmoid":  # relu6(x + 3) / 6; the converter folds the 3 into the bias
        y = b.multiply(b.conv(y, b.channels(x), activation="relu6"), b.values())
    else:
        y = b.conv(y, b.channels(x), activation=how.gate)
    return b.multiply(x, y)


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
