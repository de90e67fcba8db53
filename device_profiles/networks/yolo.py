"""YOLOv4-tiny, YOLOv5 (release 6) and YOLOv8 for detection.

YOLOv4-tiny: Wang et al. 2020, arXiv 2011.08036, section 3.3. The others as github.com/ultralytics describes them: the
widths and depths of n, s, m, l and x scale the layers of the largest; SiLU is a LOGISTIC and a MUL. YOLOv8's head gives
boxes as distributions over 16 distances, whose means are taken in the network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType

from device_profiles.errors import UsageError
from device_profiles.networks.builder import NetworkBuilder, Node, Pair

_SIZES = MappingProxyType({"n": (1 / 3, 0.25, 1024), "s": (1 / 3, 0.5, 1024), "m": (2 / 3, 0.75, 768),
                           "l": (1.0, 1.0, 512), "x": (1.0, 1.25, 512)})  # depth, width, most channels (YOLOv8's)
_DEEPEST_V5 = 4 / 3  # YOLOv5's x is deeper instead
_DISTANCES, _SIDES, _ANCHORS = 16, 4, 3
_ACTIVATION = "swish"


def yolov4_tiny(b: NetworkBuilder, *, size: int = 416, classes: int = 80) -> tuple[Node, ...]:
    """YOLOv4-tiny: in each of three blocks half of the channels go on, joined with what passes by."""

    def conv(x: Node, channels: int, kernel: int = 3, stride: int = 1) -> Node:
        """A convolution with leaky ReLU."""
        return b.conv(x, channels, kernel, stride, activation="leaky_relu")

    x = conv(conv(b.input(size, size, 3), 32, 3, 2), 64, 3, 2)
    finer = x
    for channels in (64, 128, 256):
        x = conv(x, channels)
        first = conv(b.crop(x, *b.shape(x)[:-1], channels // 2), channels // 2)
        finer = conv(b.concat(conv(first, channels // 2), first), channels, 1)
        x = b.max_pool(b.concat(x, finer))
    x = conv(conv(x, 512), 256, 1)
    enlarged = b.resize(conv(x, 128, 1), *b.size(finer), method="RESIZE_BILINEAR")
    outputs = _ANCHORS * (classes + 5)
    return b.conv(conv(b.concat(enlarged, finer), 256), outputs), b.conv(conv(x, 512), outputs)


def yolov5(b: NetworkBuilder, *, variant: str = "n", size: int = 640, classes: int = 80,
           decoupled: bool = False) -> tuple[Node, ...]:
    """YOLOv5: three 1x1 convolutions as its head, one a grid; `decoupled`: with YOLOv8's head, as YOLOBench has it."""
    net = _Yolo(b, variant, _DEEPEST_V5 if variant == "x" else None, most=1024)
    x = net.conv(net.conv(b.input(size, size, 3), 64, 6, 2), 128, 3, 2)
    x = net.conv(net.three(x, 128, 3), 256, 3, 2)
    fine = net.three(x, 256, 6)
    middle = net.three(net.conv(fine, 512, 3, 2), 512, 9)
    x = net.pyramid(net.three(net.conv(middle, 1024, 3, 2), 1024, 3))
    coarse = net.conv(x, 512)
    y = net.conv(net.three(net.joined_up(coarse, middle), 512, 3, shortcut=False), 256)
    first = net.three(net.joined_up(y, fine), 256, 3, shortcut=False)
    second = net.three(b.concat(net.conv(first, 256, 3, 2), y), 512, 3, shortcut=False)
    third = net.three(b.concat(net.conv(second, 512, 3, 2), coarse), 1024, 3, shortcut=False)
    if decoupled:
        return (_decoupled_head(b, (first, second, third), classes),)
    return tuple(b.conv(grid, _ANCHORS * (classes + 5)) for grid in (first, second, third))


def yolov8(b: NetworkBuilder, *, variant: str = "n", size: int = 640, classes: int = 80) -> Node:
    """YOLOv8: boxes and scores of all positions in one output, (1, positions, 4 + classes)."""
    net = _Yolo(b, variant)
    x = net.conv(net.conv(b.input(size, size, 3), 64, 3, 2), 128, 3, 2)
    x = net.conv(net.faster(x, 128, 3, shortcut=True), 256, 3, 2)
    fine = net.faster(x, 256, 6, shortcut=True)
    middle = net.faster(net.conv(fine, 512, 3, 2), 512, 6, shortcut=True)
    coarse = net.pyramid(net.faster(net.conv(middle, 1024, 3, 2), 1024, 3, shortcut=True))
    y = net.faster(net.joined_up(coarse, middle), 512, 3)
    first = net.faster(net.joined_up(y, fine), 256, 3)
    second = net.faster(b.concat(net.conv(first, 256, 3, 2), y), 512, 3)
    third = net.faster(b.concat(net.conv(second, 512, 3, 2), coarse), 1024, 3)
    return _decoupled_head(b, (first, second, third), classes)


class _Yolo:
    """The blocks; channels and repeats are those of the largest network."""

    def __init__(self, b: NetworkBuilder, variant: str, depth: float | None = None, most: int = 0) -> None:
        if variant not in _SIZES:
            raise UsageError(f"'{variant}' is no size of YOLO", ", ".join(_SIZES))
        self.b = b
        deep, self.width, widest = _SIZES[variant]
        self.depth, self.most = depth or deep, most or widest

    def conv(self, x: Node, channels: int, kernel: Pair = 1, stride: int = 1) -> Node:
        """A convolution with SiLU, its channels scaled."""
        return self.b.conv(x, self._wide(channels), kernel, stride, activation=_ACTIVATION)

    def _wide(self, channels: int) -> int:
        """Scaled, up to the next multiple of 8."""
        return math.ceil(min(channels, self.most) * self.width / 8) * 8

    def _deep(self, repeats: int) -> int:
        return max(round(repeats * self.depth), 1)

    def _plain(self, x: Node, channels: int, kernel: int = 1) -> Node:
        """A convolution whose channels are not scaled any more."""
        return self.b.conv(x, channels, kernel, activation=_ACTIVATION)

    def three(self, x: Node, channels: int, repeats: int, shortcut: bool = True) -> Node:
        """YOLOv5's C3: bottlenecks beside a 1x1 convolution, joined by a third."""
        wide = self._wide(channels)
        y, around = self._plain(x, wide // 2), self._plain(x, wide // 2)
        for _ in range(self._deep(repeats)):
            y = self._bottleneck(y, 1, shortcut)
        return self._plain(self.b.concat(y, around), wide)

    def faster(self, x: Node, channels: int, repeats: int, shortcut: bool = False) -> Node:
        """YOLOv8's C2f: half of the channels through bottlenecks, all that they make joined."""
        wide = self._wide(channels)
        x = self._plain(x, wide)
        half = (*self.b.shape(x)[:-1], wide // 2)
        parts = [self.b.crop(x, *half), self.b.crop(x, *half)]
        for _ in range(self._deep(repeats)):
            parts.append(self._bottleneck(parts[-1], 3, shortcut))
        return self._plain(self.b.concat(*parts), wide)

    def _bottleneck(self, x: Node, kernel: int, shortcut: bool) -> Node:
        channels = self.b.channels(x)
        y = self._plain(self._plain(x, channels, kernel), channels, 3)
        return self.b.add(x, y) if shortcut else y

    def pyramid(self, x: Node) -> Node:
        """SPPF: 5x5 max pools behind each other, all joined."""
        channels = self.b.channels(x)
        parts = [self._plain(x, channels // 2)]
        for _ in range(3):
            parts.append(self.b.max_pool(parts[-1], 5, 1, "same"))
        return self._plain(self.b.concat(*parts), channels)

    def joined_up(self, x: Node, finer: Node) -> Node:
        """Enlarged to the size of a finer grid and joined with it."""
        return self.b.concat(self.b.resize(x, *self.b.size(finer)), finer)


def _decoupled_head(b: NetworkBuilder, grids: Sequence[Node], classes: int) -> Node:
    """YOLOv8's head: two convolutions and a 1x1 one for boxes and for scores each, then the boxes' corners."""
    narrow = b.channels(grids[0])
    boxes, scores = max(16, narrow // 4, _DISTANCES * _SIDES), max(narrow, min(classes, 100))
    rows = []
    for grid in grids:
        parts = [b.conv(b.conv(b.conv(grid, wide, 3, activation=_ACTIVATION), wide, 3, activation=_ACTIVATION), last)
                 for wide, last in ((boxes, _DISTANCES * _SIDES), (scores, classes))]
        rows.append(b.reshape(b.concat(*parts), 1, math.prod(b.size(grid)), _DISTANCES * _SIDES + classes))
    made = b.concat(*rows, axis=1)
    count = b.shape(made)[1]
    spread = b.reshape(b.crop(made, 1, count, _DISTANCES * _SIDES), 1, count, _SIDES, _DISTANCES)
    distances = b.reshape(b.conv(b.softmax(spread), 1, bias=False), 1, count, _SIDES)
    near = b.subtract(b.values(1, count, 2), b.crop(distances, 1, count, 2))
    far = b.add(b.values(1, count, 2), b.crop(distances, 1, count, 2))
    middle = b.multiply(b.add(near, far), b.values())
    corners = b.multiply(b.concat(middle, b.subtract(far, near)), b.values(1, count, 1))
    return b.concat(corners, b.activate(b.crop(made, 1, count, classes), "sigmoid"))
