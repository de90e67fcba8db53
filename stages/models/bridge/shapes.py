"""`keras.ops` operations that move values: shapes, axes, slices, joins, pooling and resizing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from stages.models.bridge.builder import Builder, RunOperation, narrow
from stages.models.bridge.graph import Step
from stages.models.bridge.records import refusal
from stages.models.bridge.values import arguments, constant, is_tensor, typed

_STACKING = {"Hstack": 1, "Vstack": 0}


def reshape(builder: Builder, step: Step) -> Any:
    """`Reshape`, `ExpandDims`, `Squeeze`, `Ravel`: the `Reshape` layer where the batch axis is left alone."""
    import tensorflow as tf

    x, shape = _first(step), step.outputs[0].shape
    if _keeps_batch(x.shape, shape):
        return builder.add_layer_as("Reshape", step.name, target_shape=tuple(shape[1:]))(x)
    if list(shape).count(None) > 1:
        raise refusal(step.operation, step.name, f"reshapes to {tuple(shape)}, with more than one unknown size",
                      "give the model inputs of a fixed size")
    return builder.op_as(tf.reshape, step.name, x, shape=[-1 if size is None else size for size in shape])


def _keeps_batch(before: Sequence[int | None], after: Sequence[int | None]) -> bool:
    """Whether a new shape rearranges the values of each sample alone."""
    if len(after) < 1 or len(before) < 1 or before[0] != after[0] or None in [*before[1:], *after[1:]]:
        return False
    return math.prod(before[1:]) == math.prod(after[1:])  # type: ignore[arg-type]


def axes_moved(builder: Builder, step: Step) -> Any:
    """`Transpose`, `Swapaxes`, `Moveaxis`: `Permute` where the batch axis stays first."""
    import tensorflow as tf

    x = _first(step)
    order = _order(step.operation, len(x.shape))
    if order[0] == 0:
        return builder.add_layer_as("Permute", step.name, dims=tuple(order[1:]))(x)
    return builder.op_as(tf.transpose, step.name, x, perm=order)


def _order(operation: Any, rank: int) -> list[int]:
    """The old axis at each new place."""
    kind = type(operation).__name__
    if kind == "Transpose":
        return [axis % rank for axis in operation.axes] if operation.axes else list(range(rank))[::-1]
    order = list(range(rank))
    if kind == "Swapaxes":
        one, other = operation.axis1 % rank, operation.axis2 % rank
        order[one], order[other] = order[other], order[one]
        return order
    sources = [axis % rank for axis in operation.source]
    order = [axis for axis in order if axis not in sources]
    places = [axis % rank for axis in operation.destination]
    for place, source in sorted(zip(places, sources, strict=True)):
        order.insert(place, source)
    return order


def concatenate(builder: Builder, step: Step) -> Any:
    """Tensors one after another along an axis."""
    import tensorflow as tf

    kind = type(step.operation).__name__
    dtype = narrow(step.outputs[0].dtype)
    values = [typed(builder, step, value, dtype) for value in _first(step)]
    axis = _STACKING.get(kind, getattr(step.operation, "axis", 0))
    rank = len(step.outputs[0].shape)
    if axis % rank and len(values) > 1 and all(is_tensor(value) for value in values):
        return builder.add_layer_as("Concatenate", step.name, axis=axis)(values)
    return builder.op_as(tf.concat, step.name, values, axis=axis)


def stack(builder: Builder, step: Step) -> Any:
    """Tensors of one shape along a new axis."""
    import tensorflow as tf

    dtype = narrow(step.outputs[0].dtype)
    values = [typed(builder, step, value, dtype) for value in _first(step)]
    return builder.op_as(tf.stack, step.name, values, axis=step.operation.axis)


def split(builder: Builder, step: Step) -> Any:
    """Parts of equal size, or cut at the given positions."""
    import tensorflow as tf

    x, axis, parts = _first(step), step.operation.axis, step.operation.indices_or_sections
    if not isinstance(parts, int):
        size = x.shape[axis]
        if size is None:
            raise refusal(step.operation, step.name, "cuts an axis of unknown size", "give the model a fixed size")
        cuts = [0, *(cut % size if cut < 0 else min(cut, size) for cut in constant(parts)), size]
        parts = [end - start for start, end in pairwise(cuts)]
    made = builder.op_as(tf.split, step.name, x, num_or_size_splits=parts, axis=axis)
    return made if isinstance(made, list | tuple) else [made]


def unstack(builder: Builder, step: Step) -> Any:
    """The slices along an axis."""
    import tensorflow as tf

    return builder.op_as(tf.unstack, step.name, _first(step), num=len(step.outputs), axis=step.operation.axis)


def pad(builder: Builder, step: Step) -> Any:
    """Values put around; zeros around images and sequences are a `ZeroPadding` layer."""
    import tensorflow as tf

    x, value = _first(step), constant(arguments(step).get("constant_values")) or 0
    widths = [list(width) for width in step.operation.pad_width]
    widths = widths * len(x.shape) if len(widths) == 1 else widths
    mode, rank = step.operation.mode, len(x.shape)
    if mode not in ("constant", "reflect", "symmetric"):
        raise refusal(step.operation, step.name, f"pads in the mode '{mode}'", "use constant, reflect or symmetric")
    if mode == "constant" and value == 0 and rank in (3, 4) and not any(widths[0] + widths[-1]):
        inner = tuple(tuple(width) for width in widths[1:-1])
        return builder.add_layer_as(f"ZeroPadding{rank - 2}D", step.name, padding=inner if rank == 4 else inner[0])(x)
    return builder.op_as(tf.pad, step.name, x, paddings=widths, mode=mode.upper(), constant_values=value)


def get_item(builder: Builder, step: Step) -> Any:
    """Slices with constant bounds, as one strided slice."""
    import tensorflow as tf

    x, key = arguments(step)["x"], arguments(step)["key"]
    keys = list(key) if isinstance(key, tuple | list) else [key]
    rank = len(x.shape)
    used = sum(part is not None and part is not Ellipsis for part in keys)
    if Ellipsis not in keys:
        keys.append(Ellipsis)
    place = keys.index(Ellipsis)
    keys[place:place + 1] = [slice(None)] * (rank - used)
    bounds = _Bounds()
    for part in keys:
        if not bounds.add(part):
            raise refusal(step.operation, step.name, "is indexed with a tensor or an array", "index with constants")
    return builder.op_as(tf.strided_slice, step.name, x, **bounds.as_arguments())


class _Bounds:
    """The arguments of `tf.strided_slice`, gathered one index at a time."""

    def __init__(self) -> None:
        self.begin: list[int] = []
        self.end: list[int] = []
        self.strides: list[int] = []
        self.masks = dict.fromkeys(("begin_mask", "end_mask", "new_axis_mask", "shrink_axis_mask"), 0)

    def add(self, part: Any) -> bool:
        """Take an integer, a slice with integer bounds or None (a new axis); False for anything else."""
        bit = 1 << len(self.begin)
        if part is None:
            return self._put(0, 1, 1, bit, "new_axis_mask")
        if isinstance(part, int) and not isinstance(part, bool):
            return self._put(part, part + 1, 1, bit, "shrink_axis_mask")
        bounds = (part.start, part.stop, part.step) if isinstance(part, slice) else (part,)
        if not {type(bound) for bound in bounds} <= {int, type(None)}:
            return False
        masks = [mask for mask, bound in (("begin_mask", part.start), ("end_mask", part.stop)) if bound is None]
        return self._put(part.start or 0, part.stop or 0, part.step or 1, bit, *masks)

    def _put(self, begin: int, end: int, stride: int, bit: int, *masks: str) -> bool:
        """One axis more."""
        self.begin.append(begin)
        self.end.append(end)
        self.strides.append(stride)
        for mask in masks:
            self.masks[mask] |= bit
        return True

    def as_arguments(self) -> dict[str, Any]:
        """Keyword arguments of `tf.strided_slice`."""
        return {"begin": self.begin, "end": self.end, "strides": self.strides, **self.masks}


def flip(builder: Builder, step: Step) -> Any:
    """The order along axes turned round."""
    import tensorflow as tf

    x, axis = _first(step), step.operation.axis
    axes = list(range(len(x.shape))) if axis is None else [axis] if isinstance(axis, int) else list(axis)
    return builder.op_as(tf.reverse, step.name, x, axis=axes)


def tile(builder: Builder, step: Step) -> Any:
    """Copies side by side."""
    import tensorflow as tf

    x, repeats = _first(step), constant(step.operation.repeats)
    repeats = [repeats] if isinstance(repeats, int) else list(repeats)
    if len(repeats) > len(x.shape):
        raise refusal(step.operation, step.name, "adds axes while tiling", "expand the dimensions first")
    return builder.op_as(tf.tile, step.name, x, multiples=[1] * (len(x.shape) - len(repeats)) + repeats)


def repeat(builder: Builder, step: Step) -> Any:
    """Each value several times, along an axis."""
    import tensorflow as tf

    repeats = constant(step.operation.repeats)
    if step.operation.axis is None or not isinstance(repeats, int):
        raise refusal(step.operation, step.name, "repeats over all axes or by different counts",
                      "name an axis and one count")
    return builder.op_as(tf.repeat, step.name, _first(step), repeats=repeats, axis=step.operation.axis)


def take(builder: Builder, step: Step) -> Any:
    """Values at given positions of an axis."""
    import tensorflow as tf

    given = arguments(step)
    x, indices = given["x"], given["indices"]
    if not is_tensor(x) or step.operation.axis is None:
        raise refusal(step.operation, step.name, "takes from a constant or from all axes", "use an Embedding layer")
    size = x.shape[step.operation.axis]
    if not is_tensor(indices):
        flat = constant(indices)
        flat = [flat] if isinstance(flat, int) else flat
        if size is None or any(not isinstance(i, int) for i in flat):
            raise refusal(step.operation, step.name, "takes from an axis of unknown size",
                          "give the model a fixed size")
        indices = [i % size for i in flat] if not isinstance(constant(given["indices"]), int) else flat[0] % size
    return builder.op_as(tf.gather, step.name, x, indices=indices, axis=step.operation.axis)


def cumulative_sum(builder: Builder, step: Step) -> Any:
    """Running sum along an axis."""
    import tensorflow as tf

    if step.operation.axis is None:
        raise refusal(step.operation, step.name, "goes over all axes at once", "name an axis")
    x = typed(builder, step, _first(step), narrow(step.outputs[0].dtype))
    return builder.op_as(tf.cumsum, step.name, x, axis=step.operation.axis)


def like(builder: Builder, step: Step) -> Any:
    """`OnesLike`, `ZerosLike`."""
    import tensorflow as tf

    function = tf.ones_like if type(step.operation).__name__ == "OnesLike" else tf.zeros_like
    return builder.op_as(function, step.name, _first(step), dtype=narrow(step.outputs[0].dtype))


def one_hot(builder: Builder, step: Step) -> Any:
    """1 at the given class, 0 elsewhere."""
    import tensorflow as tf

    operation = step.operation
    if operation.sparse:
        raise refusal(operation, step.name, "gives a sparse tensor", "use sparse=False")
    return builder.op_as(tf.one_hot, step.name, builder.cast(_first(step), "int32", f"{step.name}_cast"),
                         depth=operation.num_classes, axis=operation.axis, dtype=narrow(step.outputs[0].dtype))


def pool(builder: Builder, step: Step) -> Any:
    """Pooling as a layer."""
    operation, x = step.operation, _first(step)
    if operation.data_format not in (None, "channels_last"):
        raise refusal(operation, step.name, "pools with channels first", "use channels last")
    kind = f"{type(operation).__name__}ing{len(x.shape) - 2}D"
    strides = operation.strides if operation.strides is not None else operation.pool_size
    return builder.add_layer_as(kind, step.name, pool_size=operation.pool_size, strides=strides,
                                padding=operation.padding)(x)


def resize(builder: Builder, step: Step) -> Any:
    """Images of another size."""
    import tensorflow as tf

    operation, x = step.operation, _first(step)
    if operation.crop_to_aspect_ratio or operation.pad_to_aspect_ratio or operation.data_format != "channels_last" \
            or x.dtype.name != "float32":
        raise refusal(operation, step.name, "keeps the aspect ratio, has channels first or resizes integers",
                      "resize float images plainly")
    return builder.op_as(tf.image.resize, step.name, x, size=list(operation.size), method=operation.interpolation,
                         antialias=operation.antialias)


def rearranged_blocks(builder: Builder, step: Step) -> Any:
    """`DepthToSpace` and `SpaceToDepth`."""
    import tensorflow as tf

    operation = step.operation
    if operation.data_format != "channels_last":
        raise refusal(operation, step.name, "has channels first", "use channels last")
    function = tf.nn.depth_to_space if type(operation).__name__ == "DepthToSpace" else tf.nn.space_to_depth
    return builder.op_as(function, step.name, _first(step), block_size=operation.block_size)


def _first(step: Step) -> Any:
    """An operation's first argument."""
    return next(iter(arguments(step).values()))


SHAPES: Mapping[str, RunOperation] = {
    **dict.fromkeys(("Reshape", "ExpandDims", "Squeeze", "Ravel"), reshape),
    **dict.fromkeys(("Transpose", "Swapaxes", "Moveaxis"), axes_moved),
    **dict.fromkeys(("Concatenate", "Hstack", "Vstack"), concatenate), "Stack": stack, "Split": split,
    "Unstack": unstack, "Pad": pad, "GetItem": get_item, "Flip": flip, "Tile": tile, "Repeat": repeat, "Take": take,
    "Cumsum": cumulative_sum, "OnesLike": like, "ZerosLike": like, "OneHot": one_hot, "MaxPool": pool,
    "AveragePool": pool, "Resize": resize, "DepthToSpace": rearranged_blocks, "SpaceToDepth": rearranged_blocks,
}
