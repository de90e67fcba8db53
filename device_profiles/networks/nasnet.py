"""NASNet-A and PNASNet-5, each for mobile and large.

NASNet-A (4 @ 1056, 6 @ 4032): Zoph et al. 2017, arXiv 1707.07012, figure 4 and appendix A.2, in the form of
`tf_keras.applications`. PNASNet-5: Liu et al. 2017, arXiv 1712.00559, figure 1, stem and fitting as NASNet's. The same
ReLU of the same tensor is computed once, as the converter has it.
"""

from __future__ import annotations

from device_profiles.networks.blocks import classifier
from device_profiles.networks.builder import NetworkBuilder, Node

_SIZES = {False: (4, 1056, 32, 224), True: (6, 4032, 96, 331)}  # cells a stage, last filters, stem, input
_FILTERS_OF_LAST = 24
_PROGRESSIVE = {False: (3, 54, 32, 224), True: (4, 216, 96, 331)}  # cells a stage, first filters, stem, input


def nasnet(b: NetworkBuilder, *, large: bool = False, size: int = 0, classes: int = 1000) -> Node:
    """NASNet-A; `size` 0: the published."""
    cells, last, stem, published = _SIZES[large]
    filters, side = last // _FILTERS_OF_LAST, size or published
    made = _Cells(b)
    before, x = None, b.conv(b.input(side, side, 3), stem, 3, 2, padding="valid")
    for part in (4, 2):
        before, x = x, made.reduction(x, before, filters // part)
    for stage in (1, 2, 4):
        if stage > 1:
            before, x = x, made.reduction(x, before, filters * stage)
        for _ in range(cells):
            before, x = x, made.normal(x, before, filters * stage)
    return classifier(b, made.relu(x), classes)


def pnasnet(b: NetworkBuilder, *, large: bool = False, size: int = 0, classes: int = 1000) -> Node:
    """PNASNet-5: one kind of cell, whose stride is 2 where a stage begins; `size` 0: the published."""
    cells, filters, stem, published = _PROGRESSIVE[large]
    side = size or published
    made = _Cells(b)
    before, x = None, b.conv(b.input(side, side, 3), stem, 3, 2, padding="valid")
    for part in (4, 2):
        before, x = x, made.progressive(x, before, filters // part, 2)
    for stage in (1, 2, 4):
        for number in range(cells):
            before, x = x, made.progressive(x, before, filters * stage, 2 if stage > 1 and number == 0 else 1)
    return classifier(b, made.relu(x), classes)


class _Cells:
    """The cells. `x` is the last cell's output, `before` that of the one before it."""

    def __init__(self, b: NetworkBuilder) -> None:
        self.b = b
        self._relu: dict[Node, Node] = {}

    def relu(self, x: Node) -> Node:
        """The ReLU of a tensor, once."""
        if x not in self._relu:
            self._relu[x] = self.b.activate(x, "relu")
        return self._relu[x]

    def normal(self, x: Node, before: Node | None, filters: int) -> Node:
        """The cell that keeps the size."""
        b, p = self.b, self._fitted(x, before, filters)
        h = b.conv(self.relu(x), filters)
        pooled = b.average_pool(p, 3, 1, "same")
        parts = (b.add(self._separable(h, filters, 5), self._separable(p, filters, 3)),
                 b.add(self._separable(p, filters, 5), self._separable(p, filters, 3)),
                 b.add(b.average_pool(h, 3, 1, "same"), p), b.add(pooled, pooled),
                 b.add(self._separable(h, filters, 3), h))
        return b.concat(p, *parts)

    def reduction(self, x: Node, before: Node | None, filters: int) -> Node:
        """The cell that halves the size."""
        b, p = self.b, self._fitted(x, before, filters)
        h = b.conv(self.relu(x), filters)
        side = b.size(h)[0] % 2  # the zeros of a stride of 2: one less before than after where the size is even
        padded = b.pad(h, side, 1)
        first = b.add(self._separable(h, filters, 5, 2), self._separable(p, filters, 7, 2))
        largest = b.max_pool(padded, 3, 2)
        second = b.add(largest, self._separable(p, filters, 7, 2))
        third = b.add(b.average_pool(padded, 3, 2), self._separable(p, filters, 5, 2))
        fourth = b.add(b.average_pool(first, 3, 1, "same"), second)
        fifth = b.add(self._separable(first, filters, 3), largest)
        return b.concat(second, third, fourth, fifth)

    def progressive(self, x: Node, before: Node | None, filters: int, stride: int) -> Node:
        """PNASNet-5's only cell."""
        b, p = self.b, self._fitted(x, before, filters)
        h = b.conv(self.relu(x), filters)
        pooled = b.max_pool(h, 3, stride, "same")
        first = b.add(self._separable(p, filters, 5, stride), self._narrowed(b.max_pool(p, 3, stride, "same"), filters))
        second = b.add(self._separable(h, filters, 7, stride), pooled)
        third = b.add(self._separable(h, filters, 5, stride), self._separable(h, filters, 3, stride))
        fourth = b.add(self._separable(third, filters, 3), pooled)
        same = h if stride == 1 else b.conv(self.relu(h), filters, 1, stride)
        return b.concat(first, second, third, fourth, b.add(self._separable(p, filters, 3, stride), same))

    def _narrowed(self, x: Node, filters: int) -> Node:
        """A 1x1 convolution where the channels are not the cell's."""
        return x if self.b.channels(x) == filters else self.b.conv(x, filters)

    def _separable(self, x: Node, filters: int, kernel: int, stride: int = 1) -> Node:
        """Twice ReLU, depthwise, 1x1; the stride in the first."""
        b = self.b
        y = b.conv(b.depthwise(self.relu(x), kernel, stride, bias=False), filters, activation="relu")
        return b.conv(b.depthwise(y, kernel, bias=False), filters)

    def _fitted(self, x: Node, before: Node | None, filters: int) -> Node:
        """The output before the last in the size of the last, with `filters` channels."""
        b = self.b
        if before is None:
            return x
        if b.size(before) != b.size(x):
            return self._halved(before, filters)
        return b.conv(self.relu(before), filters) if b.channels(before) != filters else before

    def _halved(self, before: Node, filters: int) -> Node:
        """Every second position, from the first and from the second, with half the filters each."""
        b, begun = self.b, self.relu(before)
        moved = b.crop(b.pad(begun, 0, 1), *b.shape(begun))
        halves = [b.conv(b.average_pool(part, 1, 2), filters // 2, bias=False) for part in (begun, moved)]
        return b.normalize(b.concat(*halves))
