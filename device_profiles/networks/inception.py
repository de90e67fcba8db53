"""Inception v1 to v4 and Inception-ResNet v2.

v1: Szegedy et al. 2014, arXiv 1409.4842, table 1. v2 (with batch normalization): Ioffe and Szegedy 2015, arXiv
1502.03167, figure 5. v3: Szegedy et al. 2015, arXiv 1512.00567. v4 and Inception-ResNet v2: Szegedy et al. 2016, arXiv
1602.07261, figures 3 to 9 and 15 to 19. v3 and Inception-ResNet v2 have the form of `tf_keras.applications`.

A branch is written as layers from the first to the last: "64" is a 1x1 convolution, "96:3" a 3x3 one, "128:1x7" one of
height 1 and width 7, "/" behind it a stride of 2 in valid padding, "avg" a 3x3 average pool, "max" a 3x3 max pool with
stride 2, "same" one with stride 1. A bar splits a layer's output: "384 256:1x3|256:3x1".
"""

from __future__ import annotations

from collections.abc import Iterable

from device_profiles.networks.blocks import classifier
from device_profiles.networks.builder import NetworkBuilder, Node, Padding

_RELU = "relu"


def inception_v1(b: NetworkBuilder, *, size: int = 224, classes: int = 1000) -> Node:
    """GoogLeNet, with batch normalization and without the side outputs."""
    x = _pool(b, b.conv(b.input(size, size, 3), 64, 7, 2, activation=_RELU))
    x = _pool(b, b.conv(b.conv(x, 64, activation=_RELU), 192, 3, activation=_RELU))
    for row in _V1:
        x = _pool(b, x, row[0]) if len(row) == 1 else _module(
            b, x, (f"{row[0]}", f"{row[1]} {row[2]}:3", f"{row[3]} {row[4]}:3", f"same {row[5]}"))
    return classifier(b, x, classes)


_V1 = ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), (3,), (192, 96, 208, 16, 48, 64),
       (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64),
       (256, 160, 320, 32, 128, 128), (2,), (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128))
_V2 = (("64", "64 64:3", "64 96:3 96:3", "avg 32"), ("64", "64 96:3", "64 96:3 96:3", "avg 64"),
       ("128 160:3=", "64 96:3 96:3=", "max="),
       ("224", "64 96:3", "96 128:3 128:3", "avg 128"), ("192", "96 128:3", "96 128:3 128:3", "avg 128"),
       ("160", "128 160:3", "128 160:3 160:3", "avg 96"), ("96", "128 192:3", "160 192:3 192:3", "avg 96"),
       ("128 192:3=", "192 256:3 256:3=", "max="),
       ("352", "192 320:3", "160 224:3 224:3", "avg 128"), ("352", "192 320:3", "192 224:3 224:3", "same 128"))


def inception_v2(b: NetworkBuilder, *, size: int = 224, classes: int = 1000) -> Node:
    """Inception with batch normalization; its first layer is a depthwise and a 1x1 convolution, as in TF-Slim."""
    x = b.depthwise(b.input(size, size, 3), 7, 2, multiplier=8, bias=False)
    x = _pool(b, b.conv(x, 64, activation=_RELU))
    x = _pool(b, b.conv(b.conv(x, 64, activation=_RELU), 192, 3, activation=_RELU))
    return classifier(b, _modules(b, x, _V2), classes)


def inception_v3(b: NetworkBuilder, *, size: int = 299, classes: int = 1000) -> Node:
    """Inception v3."""
    x = _stem(b, size)
    x = _modules(b, x, [("64", "48 64:5", "64 96:3 96:3", f"avg {pooled}") for pooled in (32, 64, 64)])
    x = _module(b, x, ("384:3/", "64 96:3 96:3/", "max"))
    x = _modules(b, x, [("192", f"{n} {n}:1x7 192:7x1", f"{n} {n}:7x1 {n}:1x7 {n}:7x1 192:1x7", "avg 192")
                        for n in (128, 160, 160, 192)])
    x = _module(b, x, ("192 320:3/", "192 192:1x7 192:7x1 192:3/", "max"))
    x = _modules(b, x, [("320", "384 384:1x3|384:3x1", "448 384:3 384:1x3|384:3x1", "avg 192")] * 2)
    return classifier(b, x, classes)


def inception_v4(b: NetworkBuilder, *, size: int = 299, classes: int = 1000) -> Node:
    """Inception v4."""
    x = _branch(b, b.input(size, size, 3), "32:3/ 32:3v 64:3")
    x = _module(b, x, ("max", "96:3/"))
    x = _module(b, x, ("64 96:3v", "64 64:7x1 64:1x7 96:3v"))
    x = _module(b, x, ("192:3/", "max"))
    x = _modules(b, x, [("96", "64 96:3", "64 96:3 96:3", "avg 96")] * 4)
    x = _module(b, x, ("384:3/", "192 224:3 256:3/", "max"))
    x = _modules(b, x, [("384", "192 224:1x7 256:7x1", "192 192:7x1 224:1x7 224:7x1 256:1x7", "avg 128")] * 7)
    x = _module(b, x, ("192 192:3/", "256 256:1x7 320:7x1 320:3/", "max"))
    x = _modules(b, x, [("256", "384 256:1x3|256:3x1", "384 448:3x1 512:1x3 256:1x3|256:3x1", "avg 256")] * 3)
    return classifier(b, x, classes)


def inception_resnet_v2(b: NetworkBuilder, *, size: int = 299, classes: int = 1000) -> Node:
    """Inception-ResNet v2; the factor on each residual is folded into its last convolution."""
    x = _module(b, _stem(b, size), ("96", "48 64:5", "64 96:3 96:3", "avg 64"))
    for _ in range(10):
        x = _residual(b, x, ("32", "32 32:3", "32 48:3 64:3"))
    x = _module(b, x, ("384:3/", "256 256:3 384:3/", "max"))
    for _ in range(20):
        x = _residual(b, x, ("192", "128 160:1x7 192:7x1"))
    x = _module(b, x, ("256 384:3/", "256 288:3/", "256 288:3 320:3/", "max"))
    for number in range(10):
        x = _residual(b, x, ("192", "192 224:1x3 256:3x1"), _RELU if number < 9 else "none")
    return classifier(b, b.conv(x, 1536, activation=_RELU), classes)


def _stem(b: NetworkBuilder, size: int) -> Node:
    """The first layers of v3 and Inception-ResNet v2."""
    return _branch(b, b.input(size, size, 3), "32:3/ 32:3v 64:3 max 80 192:3v max")


def _residual(b: NetworkBuilder, x: Node, branches: Iterable[str], activation: str = _RELU) -> Node:
    """The branches, joined and brought back to the input's channels, added to it."""
    return b.add(x, b.conv(_module(b, x, branches), b.channels(x)), activation)


def _modules(b: NetworkBuilder, x: Node, modules: Iterable[Iterable[str]]) -> Node:
    for branches in modules:
        x = _module(b, x, branches)
    return x


def _module(b: NetworkBuilder, x: Node, branches: Iterable[str]) -> Node:
    """Branches side by side, joined."""
    return b.concat(*[_branch(b, x, branch) for branch in branches])


def _branch(b: NetworkBuilder, x: Node, words: str) -> Node:
    for word in words.split():
        ends = [_layer(b, x, part) for part in word.split("|")]
        x = b.concat(*ends) if len(ends) > 1 else ends[0]
    return x


def _layer(b: NetworkBuilder, x: Node, word: str) -> Node:
    """One layer by its word; "=" behind it is a stride of 2 in same padding, "v" valid padding."""
    stride = 2 if word[-1] in "/=" else 1
    padding: Padding = "valid" if word[-1] in "/v" else "same"
    word = word.rstrip("/=v")
    if word in ("avg", "same"):
        return b.average_pool(x, 3, 1, "same") if word == "avg" else b.max_pool(x, 3, 1, "same")
    if word == "max":
        return b.max_pool(x, 3, 2, "same" if stride == 2 else "valid")
    filters, _, kernel = word.partition(":")
    height, _, width = (kernel or "1").partition("x")
    return b.conv(x, int(filters), (int(height), int(width or height)), stride, padding=padding, activation=_RELU)


def _pool(b: NetworkBuilder, x: Node, window: int = 3) -> Node:
    """Max pool with stride 2 in same padding."""
    return b.max_pool(x, window, 2, "same")
