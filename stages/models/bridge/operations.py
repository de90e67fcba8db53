"""`keras.ops` operations in a functional graph, by class name: arithmetic, comparisons, activations, reductions.

A layer of Keras 2 is preferred (`Add`, `ReLU`, `GlobalAveragePooling2D`): pruning and quantization know layers. Else it
is the TensorFlow function as a layer. Types follow Keras 3, which promotes `int32 + float` to float32; every float is
float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stages.models.bridge import activations
from stages.models.bridge.builder import Builder, RunOperation, narrow
from stages.models.bridge.contraction import einsum, matmul
from stages.models.bridge.graph import Step
from stages.models.bridge.records import refusal
from stages.models.bridge.shapes import SHAPES
from stages.models.bridge.values import arguments, constant, is_tensor, tensor_first, typed

_MERGE = {"Add": "add", "Subtract": "subtract", "Multiply": "multiply", "Maximum": "maximum", "Minimum": "minimum"}
_BINARY = _MERGE | {"Divide": "divide", "TrueDivide": "divide", "Power": "pow", "FloorDivide": "floordiv",
                    "Mod": "floormod", "Arctan2": "atan2", "Fmax": "maximum", "Fmin": "minimum"}
_COMPARE = {"Equal": "equal", "NotEqual": "not_equal", "Greater": "greater", "GreaterEqual": "greater_equal",
            "Less": "less", "LessEqual": "less_equal"}
_LOGICAL = {"LogicalAnd": "logical_and", "LogicalOr": "logical_or", "LogicalXor": "logical_xor"}
_SWAPPED = {"Greater": "Less", "Less": "Greater", "GreaterEqual": "LessEqual", "LessEqual": "GreaterEqual"}
_UNARY = {"Absolute": "abs", "Fabs": "abs", "Square": "square", "Sqrt": "sqrt", "Rsqrt": "rsqrt", "Exp": "exp",
          "Log": "log", "Log1p": "log1p", "Expm1": "expm1", "Negative": "negative", "Sin": "sin", "Cos": "cos",
          "Tan": "tan", "Sinh": "sinh", "Cosh": "cosh", "Floor": "floor", "Ceil": "ceil", "Sign": "sign",
          "Reciprocal": "reciprocal", "Erf": "erf", "Arctan": "atan", "Arcsin": "asin", "Arccos": "acos"}
_REDUCE = {"Mean": "reduce_mean", "Sum": "reduce_sum", "Max": "reduce_max", "Amax": "reduce_max",
           "Min": "reduce_min", "Amin": "reduce_min", "Prod": "reduce_prod", "Any": "reduce_any", "All": "reduce_all",
           "Std": "reduce_std", "Var": "reduce_variance", "Logsumexp": "reduce_logsumexp"}
_GLOBAL_POOLING = {"Mean": "GlobalAveragePooling", "Max": "GlobalMaxPooling", "Amax": "GlobalMaxPooling"}
_SAME_ACTIVATION = {"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus",
                    "Softsign": "softsign", "Silu": "silu", "Selu": "selu"}


def binary(builder: Builder, step: Step) -> Any:
    """Two operands: a merging layer where both are tensors of one rank, else the TensorFlow function."""
    import tensorflow as tf

    kind = type(step.operation).__name__
    dtype = narrow(step.outputs[0].dtype)
    first, second = (typed(builder, step, value, dtype) for value in arguments(step).values())
    if is_tensor(first) and is_tensor(second) and _can_merge(kind, first, second):
        return builder.add_layer_as(kind, step.name)([first, second])
    if dtype == "float32" and is_tensor(first) != is_tensor(second):
        linear = _as_rescaling(kind, first, second)
        if linear:
            return builder.scaled(first if is_tensor(first) else second, builder.rename(step.name), *linear)
    if not is_tensor(first):
        return _constant_first(builder, step, kind, first, second)
    other = {"x" if kind == "Arctan2" else "y": second}
    return builder.op_as(getattr(tf.math, _BINARY[kind]), step.name, first, **other)


def _can_merge(kind: str, first: Any, second: Any) -> bool:
    """Whether a merging layer computes it: they broadcast as numpy does only between equal ranks of two or more."""
    return kind in _MERGE and len(first.shape) == len(second.shape) > 1 and first.dtype.name == "float32" \
        and first.shape[0] == second.shape[0] and first is not second


def _as_rescaling(kind: str, first: Any, second: Any) -> tuple[Any, Any] | None:
    """(scale, offset) where a float tensor and a constant give `x * scale + offset`, else None."""
    value, constant_first = (second, False) if is_tensor(first) else (first, True)
    array = np.asarray(value, np.float64)
    if kind in ("Divide", "TrueDivide"):
        return None if constant_first or not array.all() else ((1.0 / array).tolist(), 0.0)
    table = {"Add": (1.0, value), "Multiply": (value, 0.0),
             "Subtract": (-1.0, value) if constant_first else (1.0, (-array).tolist())}
    return table.get(kind)


def _constant_first(builder: Builder, step: Step, kind: str, value: Any, x: Any) -> Any:
    """`constant operation tensor`, written with the tensor first: TFMOT cannot copy the other order."""
    import tensorflow as tf

    if kind in ("Add", "Multiply", "Maximum", "Minimum", "Fmax", "Fmin"):
        return builder.op_as(getattr(tf.math, _BINARY[kind]), step.name, x, y=value)
    if kind == "Subtract":
        return builder.op_as(tf.math.add, step.name, builder.op(tf.negative, f"{step.name}_minus", x), y=value)
    if kind in ("Divide", "TrueDivide"):
        x = builder.op(tf.math.reciprocal, f"{step.name}_reciprocal", x)
        return builder.scaled(x, builder.rename(step.name), value)
    if kind == "Power" and np.all(np.asarray(value) > 0):
        builder.note(step.name, "written as exp(x * log(base))")
        x = builder.scaled(x, f"{step.name}_log", np.log(np.asarray(value, np.float64)).tolist())
        return builder.add_layer_as("Activation", step.name, activation="exponential")(x)
    base = builder.op(tf.ones_like, f"{step.name}_ones", x)
    base = builder.op(tf.math.multiply, f"{step.name}_constant", base, y=value)
    return builder.op_as(getattr(tf.math, _BINARY[kind]), step.name, base, **{"x" if kind == "Arctan2" else "y": x})


def compare(builder: Builder, step: Step) -> Any:
    """A comparison; a constant on the left is moved to the right."""
    import keras
    import tensorflow as tf

    kind = type(step.operation).__name__
    given = list(arguments(step).values())
    known = [tensor.dtype for tensor in step.inputs]
    known += [type(value) for value in given if isinstance(value, int | float)]
    dtype = narrow(keras.backend.result_type(*known)) if len(known) == 2 else narrow(step.inputs[0].dtype)
    first, second = (typed(builder, step, value, dtype) for value in given)
    if not is_tensor(first):
        kind, first, second = _SWAPPED.get(kind, kind), second, first
    return builder.op_as(getattr(tf.math, _COMPARE[kind]), step.name, first, y=second)


def logical(builder: Builder, step: Step) -> Any:
    """A logical operation of two tensors, or of one and a constant."""
    import tensorflow as tf

    first, second = tensor_first(typed(builder, step, value, "bool") for value in arguments(step).values())
    return builder.op_as(getattr(tf.math, _LOGICAL[type(step.operation).__name__]), step.name, first, y=second)


def logical_not(builder: Builder, step: Step) -> Any:
    """`not x`."""
    import tensorflow as tf

    return builder.op_as(tf.math.logical_not, step.name, typed(builder, step, step.args[0], "bool"))


def unary(builder: Builder, step: Step) -> Any:
    """A function of one tensor."""
    import tensorflow as tf

    dtype = narrow(step.outputs[0].dtype)
    x = typed(builder, step, _only(step), dtype)
    kind = type(step.operation).__name__
    if dtype == "float32" and kind in ("Negative", "Square", "Exp"):
        return _as_layer(builder, kind, x, builder.rename(step.name))
    return builder.op_as(getattr(tf.math, _UNARY[kind]), step.name, x)


def _as_layer(builder: Builder, kind: str, x: Any, name: str) -> Any:
    """A function of one tensor that a layer computes."""
    if kind == "Negative":
        return builder.scaled(x, name, -1.0)
    if kind == "Square":
        return builder.add_layer("Multiply", name)([x, x])
    return builder.add_layer("Activation", name, activation="exponential")(x)


def reduce(builder: Builder, step: Step) -> Any:
    """A reduction; a mean or maximum over all positions is global pooling."""
    import tensorflow as tf

    kind, operation = type(step.operation).__name__, step.operation
    if getattr(operation, "initial", None) is not None or getattr(operation, "dtype", None) is not None:
        raise refusal(operation, step.name, "reduces with 'initial' or 'dtype'", "leave them out")
    x = _only(step)
    x = typed(builder, step, x, "bool" if kind in ("Any", "All") else narrow(step.outputs[0].dtype))
    rank, axes = len(x.shape), operation.axis
    axes = list(range(rank)) if axes is None else sorted(a % rank for a in ([axes] if isinstance(axes, int) else axes))
    keep = bool(operation.keepdims)
    if kind in _GLOBAL_POOLING and 3 <= rank <= 5 and axes == list(range(1, rank - 1)) and x.dtype.name == "float32":
        return builder.add_layer_as(f"{_GLOBAL_POOLING[kind]}{rank - 2}D", step.name, keepdims=keep)(x)
    return builder.op_as(getattr(tf.math, _REDUCE[kind]), step.name, x, axis=axes, keepdims=keep)


def arg_extreme(builder: Builder, step: Step) -> Any:
    """Index of the largest or smallest value, int32 as in Keras 3."""
    import tensorflow as tf

    operation, x = step.operation, _only(step)
    if operation.axis is None:
        raise refusal(operation, step.name, "goes over all axes at once", "name an axis")
    function = tf.math.argmax if type(operation).__name__ == "Argmax" else tf.math.argmin
    if not operation.keepdims:
        return builder.op_as(function, step.name, x, axis=operation.axis, output_type=tf.int32)
    found = builder.op(function, f"{step.name}_index", x, axis=operation.axis, output_type=tf.int32)
    return builder.op_as(tf.expand_dims, step.name, found, axis=operation.axis)


def clip(builder: Builder, step: Step) -> Any:
    """`x` kept within two bounds; from 0 up it is a ReLU."""
    import tensorflow as tf

    low, high = constant(step.operation.x_min), constant(step.operation.x_max)
    x = typed(builder, step, _only(step), narrow(step.outputs[0].dtype))
    if low == 0 and isinstance(high, int | float) and x.dtype.name == "float32":
        return builder.add_layer_as("ReLU", step.name, max_value=float(high))(x)
    if low is None or high is None:
        function, bound = (tf.math.minimum, high) if low is None else (tf.math.maximum, low)
        return builder.op_as(function, step.name, x, y=bound)
    return builder.op_as(tf.clip_by_value, step.name, x, clip_value_min=low, clip_value_max=high)


def where(builder: Builder, step: Step) -> Any:
    """`x1` where the condition holds, else `x2`."""
    import tensorflow as tf

    given = arguments(step)
    if given.get("x1") is None:
        raise refusal(step.operation, step.name, "gives indices", "use where with three arguments")
    condition = typed(builder, step, given["condition"], "bool")
    x1, x2 = (typed(builder, step, given[key], narrow(step.outputs[0].dtype)) for key in ("x1", "x2"))
    if not is_tensor(condition):
        raise refusal(step.operation, step.name, "has a constant condition", "compute the condition in the model")
    return builder.op_as(tf.where, step.name, condition, x=x1, y=x2)


def cast(builder: Builder, step: Step) -> Any:
    """Another type; every float is float32."""
    import tensorflow as tf

    wanted = step.outputs[0].dtype
    if "float" in wanted and wanted != "float32":
        builder.note(step.name, f"cast to float32 instead of {wanted}")
    return builder.op_as(tf.cast, step.name, _only(step), dtype=narrow(wanted))


def hand_through(_: Builder, step: Step) -> Any:
    """An operation that changes no value."""
    return _only(step)


def stop_gradient(builder: Builder, step: Step) -> Any:
    """The value, through which training does not reach back."""
    import tensorflow as tf

    return builder.op_as(tf.stop_gradient, step.name, _only(step))


def same_activation(builder: Builder, step: Step) -> Any:
    """An activation that Keras 2 has."""
    name = _SAME_ACTIVATION[type(step.operation).__name__]
    if name == "relu":
        return builder.add_layer_as("ReLU", step.name)(_only(step))
    return builder.add_layer_as("Activation", step.name, activation=activations.SAME[name])(_only(step))


def softmax(builder: Builder, step: Step) -> Any:
    """Over one axis."""
    if not isinstance(step.operation.axis, int):
        raise refusal(step.operation, step.name, f"goes over the axes {step.operation.axis}", "name one axis")
    return builder.add_layer_as("Softmax", step.name, axis=step.operation.axis)(_only(step))


def written(write: Callable[..., Any], **options: str) -> RunOperation:
    """An activation that is written out.

    Args:
        write: from `activations`.
        options: its arguments' names -> attributes of the operation.
    """
    def run(builder: Builder, step: Step) -> Any:
        """As the operation."""
        given = {key: getattr(step.operation, attribute) for key, attribute in options.items()}
        return write(builder, _only(step), builder.rename(step.name), **given)
    return run


def _only(step: Step) -> Any:
    """The one tensor that an operation is given."""
    return next(iter(arguments(step).values()))


_WRITTEN: Mapping[str, RunOperation] = {
    "Relu6": written(activations.relu6), "HardSigmoid": written(activations.hard_sigmoid),
    "HardSilu": written(activations.hard_silu), "LogSigmoid": written(activations.log_sigmoid),
    "TanhShrink": written(activations.tanh_shrink), "HardTanh": written(activations.hard_tanh),
    "SparsePlus": written(activations.sparse_plus), "SparseSigmoid": written(activations.sparse_sigmoid),
    "LeakyRelu": written(activations.leaky_relu, negative_slope="negative_slope"),
    "Elu": written(activations.elu, alpha="alpha"), "Celu": written(activations.celu, alpha="alpha"),
    "Gelu": written(activations.gelu, approximate="approximate"), "Glu": written(activations.glu, axis="axis"),
    "LogSoftmax": written(activations.log_softmax, axis="axis"),
    "Sparsemax": written(activations.sparsemax, axis="axis"),
    "HardShrink": written(activations.hard_shrink, threshold="threshold"),
    "SoftShrink": written(activations.soft_shrink, threshold="threshold"),
    "Threshold": written(activations.threshold_at, threshold="threshold", default_value="default_value"),
    "Squareplus": written(activations.squareplus, constant="b"),
}
OPERATIONS: Mapping[str, RunOperation] = {
    **dict.fromkeys(_BINARY, binary), **dict.fromkeys(_COMPARE, compare), **dict.fromkeys(_LOGICAL, logical),
    **dict.fromkeys(_UNARY, unary), **dict.fromkeys(_REDUCE, reduce),
    **dict.fromkeys(_SAME_ACTIVATION, same_activation), **_WRITTEN, **SHAPES,
    "LogicalNot": logical_not, "Argmax": arg_extreme, "Argmin": arg_extreme, "Matmul": matmul, "Einsum": einsum,
    "Clip": clip, "Where": where, "Cast": cast, "Copy": hand_through, "ConvertToTensor": hand_through,
    "StopGradient": stop_gradient, "Softmax": softmax,
}
