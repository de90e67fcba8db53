"""MobileNet v1, v2 and v3.

v1: Howard et al. 2017, arXiv 1704.04861, table 1. v2: Sandler et al. 2018, arXiv 1801.04381, table 2. v3: Howard et al.
2019, arXiv 1905.02244, tables 1 and 2. `slim` is the published checkpoints' form (average pool and 1x1 convolution);
without it the network is that of `tf_keras.applications`, whose PAD before a stride of 2 the converter makes "same".
"""

from __future__ import annotations

from device_profiles.networks.blocks import Excite, classifier, excite, rounded
from device_profiles.networks.builder import NetworkBuilder, Node

_V1 = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), (1, 512), (1, 512), (1, 512), (1, 512), (1, 512),
       (2, 1024), (1, 1024))  # stride, channels
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
# expansion, channels, repeats, stride

_Row = tuple[int, int, int, bool, str, int]  # of v3: kernel, expanded, channels, squeeze and excite, activation, stride
_V3_LARGE: tuple[_Row, ...] = (
    (3, 16, 16, False, "relu", 1), (3, 64, 24, False, "relu", 2), (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2), (5, 120, 40, True, "relu", 1), (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard_swish", 2), (3, 200, 80, False, "hard_swish", 1), (3, 184, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1), (3, 480, 112, True, "hard_swish", 1), (3, 672, 112, True, "hard_swish", 1),
    (5, 672, 160, True, "hard_swish", 2), (5, 960, 160, True, "hard_swish", 1), (5, 960, 160, True, "hard_swish", 1),
)
_V3_SMALL: tuple[_Row, ...] = (
    (3, 16, 16, True, "relu", 2), (3, 72, 24, False, "relu", 2), (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hard_swish", 2), (5, 240, 40, True, "hard_swish", 1), (5, 240, 40, True, "hard_swish", 1),
    (5, 120, 48, True, "hard_swish", 1), (5, 144, 48, True, "hard_swish", 1), (5, 288, 96, True, "hard_swish", 2),
    (5, 576, 96, True, "hard_swish", 1), (5, 576, 96, True, "hard_swish", 1),
)


def mobilenet_v1(b: NetworkBuilder, *, width: float = 1.0, size: int = 224, channels: int = 3, classes: int = 1000,
                 slim: bool = False) -> Node:
    """MobileNet v1."""
    x = b.conv(b.input(size, size, channels), int(32 * width), 3, 2, activation="relu6")
    x = _separable(b, x, width)
    if slim:
        return classifier(b, x, classes, slim=True)
    y = b.conv(b.global_average(x, keep=True), classes)
    return b.softmax(b.reshape(y, 1, classes))


def person_detection(b: NetworkBuilder, *, width: float = 0.25, size: int = 96, classes: int = 2) -> Node:
    """TFLM's person detection: MobileNet v1 on grey images, whose first convolution TOCO made a depthwise one."""
    x = b.depthwise(b.input(size, size, 1), 3, 2, multiplier=int(32 * width), activation="relu6")
    return classifier(b, _separable(b, x, width), classes, slim=True)


def posenet(b: NetworkBuilder, *, width: float = 1.0, size: int = 257, keypoints: int = 17) -> tuple[Node, ...]:
    """PoseNet on MobileNet v1 with stride 32: heatmaps, offsets, displacements to the next and to the last keypoint."""
    x = _separable(b, b.conv(b.input(size, size, 3), int(32 * width), 3, 2, activation="relu6"), width)
    return tuple(b.conv(x, filters) for filters in (keypoints, 2 * keypoints, 2 * (keypoints - 1), 2 * (keypoints - 1)))


def _separable(b: NetworkBuilder, x: Node, width: float) -> Node:
    """The depthwise separable layers of v1."""
    for stride, filters in _V1:
        x = b.conv(b.depthwise(x, 3, stride, activation="relu6"), int(filters * width), activation="relu6")
    return x


def mobilenet_v2(b: NetworkBuilder, *, width: float = 1.0, size: int = 224, channels: int = 3, classes: int = 1000,
                 slim: bool = False, narrow: bool = False) -> Node:
    """MobileNet v2; the last layer is not below 1,280 channels unless it is `narrow`ed with the others."""
    x = b.conv(b.input(size, size, channels), rounded(32 * width), 3, 2, activation="relu6")
    for expansion, filters, repeats, stride in _V2:
        for repeat in range(repeats):
            expanded = b.channels(x) * expansion if expansion > 1 else 0
            x = inverted_residual(b, x, 3, stride if repeat == 0 else 1, expanded, rounded(filters * width))
    x = b.conv(x, rounded(1280 * width) if width > 1 or narrow else 1280, activation="relu6")
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
                      activation: str = "relu6", squeeze: Excite | None = None) -> Node:
    """Expand (where `expanded`), depthwise, squeeze and excite, project; added to its input where shapes agree."""
    y = b.conv(x, expanded, activation=activation) if expanded else x
    y = b.depthwise(y, kernel, stride, activation=activation)
    y = excite(b, y, squeeze) if squeeze else y
    y = b.conv(y, filters)
    return b.add(x, y) if stride == 1 and b.channels(x) == filters else y


def _v3(b: NetworkBuilder, rows: tuple[_Row, ...], last: int, width: float, size: int, classes: int, minimalistic: bool,
        slim: bool) -> Node:
    """Both sizes of v3; minimalistic: 3x3 kernels, ReLU, no squeeze and excite."""
    swish = "relu" if minimalistic else "hard_swish"
    x = b.input(size, size, 3)
    if not slim:  # tf_keras scales the input in the network
        x = b.add(b.multiply(x, b.values()), b.values())
    x = b.conv(x, 16, 3, 2, activation=swish)
    for row, before in zip(rows, (None, *rows), strict=False):
        x = _v3_block(b, x, row, before, width, minimalistic)
    x = b.conv(x, b.channels(x) * 6, activation=swish)
    x = b.average_pool(x, b.size(x), b.size(x)) if slim else b.global_average(x, keep=True)
    x = b.conv(x, rounded(last * width) if width > 1 else last, activation=swish)
    return b.softmax(b.reshape(b.conv(x, classes), 1, classes))


def _v3_block(b: NetworkBuilder, x: Node, row: _Row, before: _Row | None, width: float, minimalistic: bool) -> Node:
    """One row; it widens its input as many times as the full network's row does. The first one does not widen."""
    kernel, expanded, filters, squeezed, activation, stride = row
    grown = rounded(b.channels(x) * expanded / before[2]) if before else b.channels(x)
    squeeze = Excite(rounded(grown / 4), "hard_sigmoid") if squeezed and not minimalistic else None
    return inverted_residual(b, x, 3 if minimalistic else kernel, stride, grown if before else 0,
                             rounded(filters * width), "relu" if minimalistic else activation, squeeze)
