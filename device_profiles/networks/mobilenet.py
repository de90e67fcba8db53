"""MobileNet v1, v2 and v3.

v1: Howard et al. 2017, arXiv 1704.04861, table 1. v2: Sandler et al. 2018, arXiv 1801.04381, table 2. v3: Howard et al.
2019, arXiv 1905.02244, tables 1 and 2. `slim` is the published checkpoints' form (average pool, 1x1 convolution, "same"
padding, HARD_SWISH as one operator); without it the network is that of `tf_keras.applications`.
"""

from __future__ import annotations

from device_profiles.networks.blocks import Excite, classifier, excite, keras_pad, padded_depthwise, rounded
from device_profiles.networks.builder import NetworkBuilder, Node

_V1 = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), (1, 512), (1, 512), (1, 512), (1, 512), (1, 512),
       (2, 1024), (1, 1024))  # stride, channels
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
# v2: expansion, channels, repeats, stride

# v3: kernel, expanded channels, channels, squeeze and excite, activation, stride
_V3_LARGE = ((3, 16, 16, False, "relu", 1), (3, 64, 24, False, "relu", 2), (3, 72, 24, False, "relu", 1),
             (5, 72, 40, True, "relu", 2), (5, 120, 40, True, "relu", 1), (5, 120, 40, True, "relu", 1),
             (3, 240, 80, False, "hard_swish", 2), (3, 200, 80, False, "hard_swish", 1),
             (3, 184, 80, False, "hard_swish", 1), (3, 184, 80, False, "hard_swish", 1),
             (3, 480, 112, True, "hard_swish", 1), (3, 672, 112, True, "hard_swish", 1),
             (5, 672, 160, True, "hard_swish", 2), (5, 960, 160, True, "hard_swish", 1),
             (5, 960, 160, True, "hard_swish", 1))
_V3_SMALL = ((3, 16, 16, True, "relu", 2), (3, 72, 24, False, "relu", 2), (3, 88, 24, False, "relu", 1),
             (5, 96, 40, True, "hard_swish", 2), (5, 240, 40, True, "hard_swish", 1),
             (5, 240, 40, True, "hard_swish", 1), (5, 120, 48, True, "hard_swish", 1),
             (5, 144, 48, True, "hard_swish", 1), (5, 288, 96, True, "hard_swish", 2),
             (5, 576, 96, True, "hard_swish", 1), (5, 576, 96, True, "hard_swish", 1))


def mobilenet_v1(b: NetworkBuilder, *, width: float = 1.0, size: int = 224, channels: int = 3, classes: int = 1000,
                 slim: bool = False, deepest: int = 1024) -> Node:
    """MobileNet v1; layers of more than `deepest` channels are as wide as that (before `width`)."""
    x = _stem(b, b.input(size, size, channels), int(32 * width), "relu6", not slim)
    for stride, filters in _V1:
        x = padded_depthwise(b, x, 3, stride, "relu6", not slim)
        x = b.conv(x, int(min(filters, deepest) * width), activation="relu6")
    if slim:
        return classifier(b, x, classes, slim=True)
    y = b.conv(b.global_average(x, keep=True), classes)
    return b.softmax(b.reshape(y, 1, classes))


def mobilenet_v2(b: NetworkBuilder, *, width: float = 1.0, size: int = 224, channels: int = 3, classes: int = 1000,
                 slim: bool = False) -> Node:
    """MobileNet v2; the last layer is not narrowed below 1,280 channels."""
    x = _stem(b, b.input(size, size, channels), rounded(32 * width), "relu6", not slim)
    for expansion, filters, repeats, stride in _V2:
        for repeat in range(repeats):
            expanded = b.channels(x) * expansion if expansion > 1 else 0
            x = inverted_residual(b, x, 3, stride if repeat == 0 else 1, expanded, rounded(filters * width), not slim)
    x = b.conv(x, rounded(1280 * width) if width > 1 else 1280, activation="relu6")
    return classifier(b, x, classes, slim)


def mobilenet_v3_large(b: NetworkBuilder, *, width: float = 1.0, size: int = 224, classes: int = 1000,
                       minimalistic: bool = False, slim: bool = False) -> Node:
    """MobileNet v3 large."""
    return _v3(b, _V3_LARGE, 1280, width, size, classes, minimalistic, slim)


def mobilenet_v3_small(b: NetworkBuilder, *, width: float = 1.0, size: int = 224, classes: int = 1000,
                       minimalistic: bool = False, slim: bool = False) -> Node:
    """MobileNet v3 small."""
    return _v3(b, _V3_SMALL, 1024, width, size, classes, minimalistic, slim)


def inverted_residual(b: NetworkBuilder, x: Node, kernel: int, stride: int, expanded: int, filters: int,
                      explicit: bool = False, activation: str = "relu6", squeeze: Excite | None = None) -> Node:
    """Expand (where `expanded`), depthwise, squeeze and excite, project; added to its input where shapes agree."""
    y = b.conv(x, expanded, activation=activation) if expanded else x
    y = padded_depthwise(b, y, kernel, stride, activation, explicit)
    y = excite(b, y, squeeze) if squeeze else y
    y = b.conv(y, filters)
    return b.add(x, y) if stride == 1 and b.channels(x) == filters else y


def _stem(b: NetworkBuilder, x: Node, filters: int, activation: str, explicit: bool) -> Node:
    """3x3 with stride 2."""
    if explicit:
        return b.conv(keras_pad(b, x, 3), filters, 3, 2, padding="valid", activation=activation)
    return b.conv(x, filters, 3, 2, activation=activation)


def _v3(b: NetworkBuilder, rows: tuple[tuple[int, int, int, bool, str, int], ...], last: int, width: float, size: int,
        classes: int, minimalistic: bool, slim: bool) -> Node:
    """Both sizes of v3; minimalistic: 3x3 kernels, ReLU, no squeeze and excite."""
    swish = "relu" if minimalistic else "hard_swish"
    x = b.conv(b.input(size, size, 3), 16, 3, 2, activation=swish)
    for number, (kernel, expanded, filters, squeezed, activation, stride) in enumerate(rows):
        grown = rounded(b.channels(x) * expanded / rows[number - 1][2]) if number else b.channels(x)
        squeeze = Excite(rounded(grown / 4), "hard_sigmoid") if squeezed and not minimalistic else None
        x = inverted_residual(b, x, 3 if minimalistic else kernel, stride, grown if number else 0,
                              rounded(filters * width), not slim, "relu" if minimalistic else activation, squeeze)
    x = b.conv(x, b.channels(x) * 6, activation=swish)
    x = b.average_pool(x, b.size(x), b.size(x)) if slim else b.global_average(x, keep=True)
    x = b.conv(x, rounded(last * width) if width > 1 else last, activation=swish)
    return b.softmax(b.reshape(b.conv(x, classes), 1, classes))
