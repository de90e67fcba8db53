"""EfficientNet, EfficientNet-Lite and MnasNet-A1: inverted residuals found by search, and their scaling.

EfficientNet: Tan and Le 2019, arXiv 1905.11946, table 1 and section 4. Lite: the README of
tensorflow/tpu models/official/efficientnet/lite (no squeeze and excite, ReLU6, stem, head, first and last stage not
scaled). MnasNet-A1: Tan et al. 2019, arXiv 1807.11626, figure 7. ST's: STMicroelectronics/stm32ai-modelzoo.
"""

from __future__ import annotations

import math

from device_profiles.networks.blocks import Excite, classifier, rounded
from device_profiles.networks.builder import NetworkBuilder, Node
from device_profiles.networks.mobilenet import inverted_residual

_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
           (1, 3, 1, 6, 320))  # repeats, kernel, stride, expansion, channels
_SCALES = ((1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 300), (1.4, 1.8, 380), (1.6, 2.2, 456),
           (1.8, 2.6, 528), (2.0, 3.1, 600))  # width, depth, size of B0 to B7
_LITE_SIZES = (224, 240, 260, 280, 300)
_MNASNET = ((1, 3, 1, 1, 16, False), (2, 3, 2, 6, 24, False), (3, 5, 2, 3, 40, True), (4, 3, 2, 6, 80, False),
            (2, 3, 1, 6, 112, True), (3, 5, 2, 6, 160, True), (1, 3, 1, 6, 320, False))  # the last: squeeze and excite
_PROXYLESS = ((32, 2, "3x5 3x3"), (40, 2, "3x7 3x3 3x5 3x5"), (80, 2, "6x7 3x5 3x5 3x5"), (96, 1, "6x5 3x5 3x5 3x5"),
              (192, 2, "6x7 6x7 3x7 3x7"), (320, 1, "6x7"))  # channels, stride, expansion and kernel of each block
_REDUCTION = 4


def efficientnet(b: NetworkBuilder, *, number: int = 0, size: int = 0, classes: int = 1000) -> Node:
    """EfficientNet B0 to B7; `size` 0: the published. The scaling of the input is folded into the first layer."""
    width, depth, published = _SCALES[number]
    side = size or published
    x = b.conv(b.input(side, side, 3), rounded(32 * width), 3, 2, activation="swish")
    for repeats, kernel, stride, expansion, filters in _STAGES:
        for repeat in range(math.ceil(repeats * depth)):
            inside = b.channels(x)
            squeeze = Excite(max(1, inside // _REDUCTION), inner="swish")
            expanded = inside * expansion if expansion > 1 else 0
            x = inverted_residual(b, x, kernel, stride if repeat == 0 else 1, expanded, rounded(filters * width),
                                  "swish", squeeze)
    return classifier(b, b.conv(x, rounded(1280 * width), activation="swish"), classes)


def efficientnet_lite(b: NetworkBuilder, *, number: int = 0, size: int = 0, classes: int = 1000) -> Node:
    """EfficientNet-Lite0 to Lite4; `size` 0: the published."""
    width, depth, _ = _SCALES[number]
    side = size or _LITE_SIZES[number]
    x = b.conv(b.input(side, side, 3), 32, 3, 2, activation="relu6")
    for stage, (repeats, kernel, stride, expansion, filters) in enumerate(_STAGES):
        scaled = stage not in (0, len(_STAGES) - 1)
        for repeat in range(math.ceil(repeats * depth) if scaled else repeats):
            expanded = b.channels(x) * expansion if expansion > 1 else 0
            x = inverted_residual(b, x, kernel, stride if repeat == 0 else 1, expanded, rounded(filters * width))
    return classifier(b, b.conv(x, 1280, activation="relu6"), classes)


def st_efficientnet_lc(b: NetworkBuilder, *, size: int = 224, classes: int = 5) -> Node:
    """ST's low-cost EfficientNet: 0.45 times as wide, expansion 3, ReLU6, the gates clipped before the sigmoid."""
    width, expansion = 0.45, 3
    x = b.conv(b.input(size, size, 3), rounded(32 * width), 3, 2, activation="relu6")
    for stage, (repeats, kernel, stride, _, filters) in enumerate(_STAGES):
        for repeat in range(repeats):
            inside = b.channels(x)
            squeeze = Excite(max(1, inside // _REDUCTION), "clipped_sigmoid", "relu6")
            x = inverted_residual(b, x, kernel, stride if repeat == 0 else 1, inside * expansion if stage else 0,
                                  rounded(filters * width), squeeze=squeeze)
    return classifier(b, b.conv(x, rounded(1280 * width), activation="relu6"), classes)


def proxyless(b: NetworkBuilder, *, width: float = 1.0, size: int = 224, classes: int = 1000) -> Node:
    """ProxylessNAS for mobile: Cai et al. 2018, arXiv 1812.00332, figure 4; its head narrows with the rest."""
    x = b.conv(b.input(size, size, 3), rounded(32 * width), 3, 2, activation="relu6")
    x = inverted_residual(b, x, 3, 1, 0, rounded(16 * width))
    for filters, stride, blocks in _PROXYLESS:
        for number, block in enumerate(blocks.split()):
            expansion, kernel = int(block[0]), int(block[2])
            x = inverted_residual(b, x, kernel, stride if number == 0 else 1, b.channels(x) * expansion,
                                  rounded(filters * width))
    return classifier(b, b.conv(x, rounded(1280 * width), activation="relu6"), classes)


def mnasnet_a1(b: NetworkBuilder, *, width: float = 1.0, size: int = 224, classes: int = 1000) -> Node:
    """MnasNet-A1; the head keeps its 1,280 channels at every width."""
    x = b.conv(b.input(size, size, 3), rounded(32 * width), 3, 2, activation="relu")
    for repeats, kernel, stride, expansion, filters, squeezed in _MNASNET:
        for repeat in range(repeats):
            inside = b.channels(x)
            squeeze = Excite(max(1, inside // _REDUCTION)) if squeezed else None
            expanded = inside * expansion if expansion > 1 else 0
            x = inverted_residual(b, x, kernel, stride if repeat == 0 else 1, expanded, rounded(filters * width),
                                  "relu", squeeze)
    return classifier(b, b.conv(x, 1280, activation="relu"), classes)
