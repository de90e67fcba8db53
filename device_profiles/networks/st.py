"""The small networks of ST's model zoo, from the descriptions in github.com/STMicroelectronics/stm32ai-modelzoo.

FD-MobileNet: Qin et al. 2018, arXiv 1802.03750 (MobileNet v1 that halves the image earlier). YAMNet: the first layers
of MobileNet v1 on mel spectra. Tiny YOLO v2: Redmon and Farhadi 2016, arXiv 1612.08242.
"""

from __future__ import annotations

from device_profiles.networks.blocks import classifier
from device_profiles.networks.builder import NetworkBuilder, Node

_FD = ((2, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), (1, 512), (1, 512), (1, 512), (1, 512), (1, 1024))
_ST_FD_WIDTHS = (0.5, 0.75, 0.625, 0.5, 0.375, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25)
_YAMNET = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256))  # stride, channels
_SOUNDS = 10


def fd_mobilenet(b: NetworkBuilder, *, width: float = 0.25, size: int = 224, classes: int = 5) -> Node:
    """FD-MobileNet as ST has it: no activation between the depthwise and the 1x1 convolution."""
    return _fd(b, size, (width,) * (len(_FD) + 1), classes)


def st_fd_mobilenet(b: NetworkBuilder, *, size: int = 224, classes: int = 5) -> Node:
    """The same with a width for each layer."""
    return _fd(b, size, _ST_FD_WIDTHS, classes)


def _fd(b: NetworkBuilder, size: int, widths: tuple[float, ...], classes: int) -> Node:
    x = b.conv(b.input(size, size, 3), int(32 * widths[0]), 3, 2, activation="relu")
    for (stride, filters), width in zip(_FD, widths[1:], strict=True):
        x = b.conv(b.depthwise(x, 3, stride), int(filters * width), activation="relu")
    y = b.softmax(b.conv(b.global_average(x, keep=True), classes))
    return b.reshape(y, 1, classes)


def st_mnist(b: NetworkBuilder, *, size: int = 28, classes: int = 36) -> Node:
    """Characters."""
    x = b.depthwise(b.conv(b.input(size, size, 1), 16, 3, 2, activation="relu"), 3, activation="relu")
    x = b.depthwise(b.conv(x, 32, 3, activation="relu"), 3, 2, activation="relu")
    return classifier(b, b.conv(x, 64, activation="relu"), classes)


def st_resnet(b: NetworkBuilder, *, stacks: int = 1, height: int = 64, width: int = 50, classes: int = _SOUNDS) -> Node:
    """MiniResNet on mel spectra: stacks of two blocks of 1x1 and 3x3."""
    x = b.conv(b.pad(b.input(height, width, 1), 3, 3), 64, 7, 2, padding="valid", activation="relu")
    x = b.max_pool(b.pad(x, 1, 1), 3, 2)
    for stack in range(stacks):
        filters = 64 << stack
        for stride in (2, 1):
            around = b.conv(x, filters, 1, stride) if stride > 1 else x
            y = b.conv(b.conv(x, filters, 1, stride, activation="relu"), filters, 3, activation="relu")
            x = b.add(around, y, "relu")
    return classifier(b, x, classes)


def st_resnet_v2(b: NetworkBuilder, *, stacks: int = 1, height: int = 64, width: int = 50,
                 classes: int = _SOUNDS) -> Node:
    """MiniResNet v2: normalization first, the stride in the second block of each stack."""
    x = b.conv(b.pad(b.input(height, width, 1), 3, 3), 64, 7, 2, padding="valid")
    x = b.max_pool(b.pad(x, 1, 1), 3, 2)
    for stack in range(stacks):
        filters = 64 << stack
        begun = b.normalize(x, "relu")
        y = b.conv(b.conv(begun, filters, activation="relu"), filters, 3)
        x = b.add(b.conv(begun, filters), y)
        y = b.conv(b.normalize(x, "relu"), filters, activation="relu")
        x = b.add(b.max_pool(x, 1, 2), b.conv(b.pad(y, 1, 1), filters, 3, 2, padding="valid"))
    return classifier(b, b.normalize(x, "relu"), classes)


def yamnet_256(b: NetworkBuilder, *, classes: int = _SOUNDS) -> Node:
    """YAMNet up to its 256 channels."""
    x = b.transpose(b.input(64, 96, 1), 0, 2, 1, 3)
    x = b.conv(x, 32, 3, 2, activation="relu")
    for stride, filters in _YAMNET:
        x = b.conv(b.depthwise(x, 3, stride, activation="relu"), filters, activation="relu")
    return classifier(b, x, classes)


def activity_gmp(b: NetworkBuilder, *, window: int = 24, classes: int = 4) -> Node:
    """Human activity from acceleration: two 5x1 convolutions and the largest over all."""
    x = b.conv(b.normalize(b.input(window, 3, 1)), 16, (5, 1), padding="valid")
    x = b.conv(x, 16, (5, 1), padding="valid")
    return b.softmax(b.connected(b.global_maximum(x), classes))


def activity_ign(b: NetworkBuilder, *, window: int = 24, classes: int = 4) -> Node:
    """Human activity from acceleration: a 16x1 convolution, a max pool, two fully connected layers."""
    x = b.conv(b.input(window, 3, 1), 24, (16, 1), padding="valid", activation="relu")
    x = b.connected(b.flatten(b.max_pool(x, (3, 1), (3, 1))), 12)
    return b.softmax(b.connected(x, classes))


def hand_posture(b: NetworkBuilder, *, classes: int = 8) -> Node:
    """Hand postures from a time-of-flight sensor."""
    x = b.max_pool(b.conv(b.input(8, 8, 2), 8, 3, padding="valid", activation="relu"))
    x = b.connected(b.flatten(x), 32, "relu")
    return b.softmax(b.connected(x, classes))


def st_yolo_lc(b: NetworkBuilder, *, size: int = 192, anchors: int = 5, classes: int = 1) -> Node:
    """ST's low-cost YOLO."""
    x = b.input(size, size, 3)
    for filters in (16, 32, 64, 128):
        x = b.conv(x, filters, 3, 2, activation="relu")
    for number, filters in enumerate((256, 256, 128, 256)):
        x = b.conv(b.depthwise(x, 3), filters, activation="relu")
        x = b.max_pool(x, 2, 1, "same") if number == 1 else x
    return b.conv(x, anchors * (5 + classes))


def tiny_yolo_v2(b: NetworkBuilder, *, size: int = 416, anchors: int = 5, classes: int = 1) -> Node:
    """Tiny YOLO v2 as ST has it."""
    x = b.input(size, size, 3)
    for filters in (16, 32, 64, 128, 256, 512):
        x = b.conv(x, filters, 3, activation="leaky_relu")
        x = b.max_pool(x, 2, 1 if filters == 512 else 2, "same")
    for filters in (1024, 512):
        x = b.conv(x, filters, 3, activation="leaky_relu")
    return b.conv(x, anchors * (5 + classes))
