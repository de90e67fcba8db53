"""MCUNet's five networks for ImageNet: Lin et al. 2020, arXiv 2007.10319, found for microcontrollers of several sizes.

The layers are those of the configuration files that github.com/mit-han-lab/mcunet names: inverted residuals, the mean
and one fully connected layer.
"""

from __future__ import annotations

from types import MappingProxyType

from device_profiles.networks.blocks import classifier
from device_profiles.networks.builder import NetworkBuilder, Node
from device_profiles.networks.mobilenet import inverted_residual

_NETWORKS = MappingProxyType({
    0: (48, 24, "1-3-16 4-5-16/ 3-3-16 4-3-16 5-7-24/ 4-5-24 5-5-24 5-7-48/ 4-5-48 5-3-56 4-5-56 5-3-56 6-3-112/ "
                "4-5-112 6-3-192"),
    1: (96, 16, "1-3-8 4-3-16/ 3-3-16 3-7-24/ 5-3-24 5-3-40/ 4-7-40 4-5-48 3-3-48 4-3-48 5-7-96/ 4-5-96 4-5-96 "
                "6-3-160"),
    2: (160, 16, "1-3-8 3-5-16/ 6-7-16 5-3-16 5-5-16 5-3-24/ 6-7-24 6-5-24 4-7-40/ 5-5-40 5-3-48 5-5-48 4-3-48 6-5-96/ "
                 "4-5-96 3-5-96 4-3-96 5-5-160"),
    3: (176, 16, "1-3-8 3-7-16/ 5-3-16 5-7-16 4-5-16 5-5-24/ 5-5-24 5-5-24 5-3-40/ 6-7-40 4-5-40 5-5-48 5-7-48 5-3-48 "
                 "6-3-96/ 5-7-96 4-3-96 5-7-160"),
    4: (160, 32, "1-3-16 3-7-24/ 5-3-24 4-5-24 5-7-40/ 4-3-40 4-7-40 3-7-80/ 3-3-80 3-7-80 4-3-96 3-5-96 3-5-96 "
                 "4-7-192/ 3-7-192 3-5-192 4-5-320"),
})
"""Number -> (size, channels of the stem, blocks): expansion, kernel, channels; "/" is a stride of 2."""


def mcunet(b: NetworkBuilder, *, number: int = 0, size: int = 0, classes: int = 1000) -> Node:
    """mcunet-in0 to in4; `size` 0: the published."""
    published, stem, blocks = _NETWORKS[number]
    side = size or published
    x = b.conv(b.input(side, side, 3), stem, 3, 2, activation="relu6")
    for block in blocks.split():
        expansion, kernel, filters = (int(word) for word in block.rstrip("/").split("-"))
        expanded = b.channels(x) * expansion if expansion > 1 else 0
        x = inverted_residual(b, x, kernel, 2 if block.endswith("/") else 1, expanded, filters)
    return classifier(b, x, classes, softmax=False)
