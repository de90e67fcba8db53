"""Activation functions. Keras 2 has the older ones; the others are written with layers and TensorFlow functions.

Formulas are those of `keras.ops.nn` (TensorFlow backend, Keras 3.15). Layers are preferred, for TFMOT can copy them:
`ReLU(6.0)` rather than a function, `Multiply` and `Rescaling` rather than `*` and `+`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from device_profiles.errors import ModelError
from stages.models.bridge.builder import Builder
from stages.models.bridge.records import refusal

Write = Callable[..., Any]
"""`write(builder, x, name, **options)`: the activation of a `tf_keras` tensor."""

SAME = {"linear": "linear", "relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh", "softmax": "softmax",
        "softplus": "softplus", "softsign": "softsign", "selu": "selu", "elu": "elu", "exponential": "exponential",
        "gelu": "gelu", "silu": "swish", "mish": "mish"}
"""Keras 3's name -> Keras 2's, where both compute the same. `hard_sigmoid` is not here: Keras 2's has another slope."""

FUSED = ("linear", "relu", "sigmoid", "tanh", "softmax", "silu", "gelu")
"""What stays inside a layer with a kernel: TFMOT refuses a layer whose activation it does not know."""


def activation_of(layer: Any, attribute: str, name: str) -> Any:
    """An activation's name in Keras 3, or the layer that is used as one.

    Raises:
        ModelError: a function that is not Keras' own.
    """
    import keras

    function = getattr(layer, attribute)
    if function is None:
        return "linear"
    if isinstance(function, keras.Layer):
        return function
    known = getattr(function, "__name__", "")
    if known in WRITTEN | SAME.keys() and getattr(keras.activations, known, None) is function:
        return known
    if known != "gelu" and known in WRITTEN | SAME.keys() and getattr(keras.ops, known, None) is function:
        return known
    raise refusal(layer, name, f"has the {attribute} '{known or function}', which is not one of Keras' own",
                  "use a built-in activation")


def apply_activation(builder: Builder, x: Any, activation: Any, name: str, owner: str) -> Any:
    """An activation as layers of its own.

    Args:
        builder: makes the layers.
        x: a `tf_keras` tensor.
        activation: from `activation_of`.
        name: for the layer, or the first part of the names of several.
        owner: the Keras 3 layer's name, for the note.
    """
    if not isinstance(activation, str):
        return builder.twin(activation, builder.fresh(f"{name}_{activation.name}"))(x)
    if activation in SAME:
        return x if activation == "linear" else builder.add_layer("Activation", name, activation=SAME[activation])(x)
    if activation in WORDS:
        builder.note(owner, f"{activation} written as {WORDS[activation]}")
    return WRITE[activation](builder, x, name)


def relu6(b: Builder, x: Any, name: str) -> Any:
    """`min(max(x, 0), 6)`."""
    return b.add_layer("ReLU", name, max_value=6.0)(x)


def leaky_relu(b: Builder, x: Any, name: str, negative_slope: float = 0.2) -> Any:
    """`x` above 0, `negative_slope * x` below."""
    return b.add_layer("LeakyReLU", name, alpha=negative_slope)(x)


def hard_sigmoid(b: Builder, x: Any, name: str) -> Any:
    """`relu6(x + 3) / 6`."""
    x = b.add_layer("ReLU", f"{name}_relu6", max_value=6.0)(b.scaled(x, f"{name}_plus3", offset=3.0))
    return b.scaled(x, f"{name}_sixth", 1.0 / 6.0)


def hard_silu(b: Builder, x: Any, name: str) -> Any:
    """`x * relu6(x + 3) / 6`; the converter makes one HARD_SWISH of it."""
    return b.add_layer("Multiply", name)([x, hard_sigmoid(b, x, f"{name}_gate")])


def gelu(b: Builder, x: Any, name: str, approximate: bool = False) -> Any:
    """`x * Phi(x)`, or its approximation by tanh."""
    import tensorflow as tf

    if not approximate:
        return b.add_layer("Activation", name, activation="gelu")(x)
    return b.op(tf.nn.gelu, name, x, approximate=True)


def celu(b: Builder, x: Any, name: str, alpha: float = 1.0) -> Any:
    """`max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))` = `alpha * elu(x / alpha)`."""
    if alpha == 1.0:
        return b.add_layer("ELU", name)(x)
    x = b.add_layer("ELU", f"{name}_elu")(b.scaled(x, f"{name}_divided", 1.0 / alpha))
    return b.scaled(x, name, float(alpha))


def elu(b: Builder, x: Any, name: str, alpha: float = 1.0) -> Any:
    """`x` above 0, `alpha * (exp(x) - 1)` below."""
    return b.add_layer("ELU", name, alpha=alpha)(x)


def glu(b: Builder, x: Any, name: str, axis: int = -1) -> Any:
    """`first half * sigmoid(second half)`."""
    import tensorflow as tf

    value, gate = b.op(tf.split, f"{name}_halves", x, num_or_size_splits=2, axis=axis)
    gate = b.add_layer("Activation", f"{name}_gate", activation="sigmoid")(gate)
    return b.add_layer("Multiply", name)([value, gate])


def log_softmax(b: Builder, x: Any, name: str, axis: int = -1) -> Any:
    """`x - log(sum(exp(x)))`."""
    import tensorflow as tf

    return b.op(tf.nn.log_softmax, name, x, axis=axis)


def log_sigmoid(b: Builder, x: Any, name: str) -> Any:
    """`-softplus(-x)`."""
    x = b.add_layer("Activation", f"{name}_softplus", activation="softplus")(b.scaled(x, f"{name}_minus", -1.0))
    return b.scaled(x, name, -1.0)


def hard_tanh(b: Builder, x: Any, name: str) -> Any:
    """`x` kept within -1 and 1; = `min(relu(x + 1), 2) - 1`."""
    x = b.add_layer("ReLU", f"{name}_relu2", max_value=2.0)(b.scaled(x, f"{name}_plus1", offset=1.0))
    return b.scaled(x, name, offset=-1.0)


def hard_shrink(b: Builder, x: Any, name: str, threshold: float = 0.5) -> Any:
    """`x` where `|x| > threshold`, else 0."""
    import tensorflow as tf

    outside = b.op(tf.math.greater, f"{name}_outside", b.op(tf.abs, f"{name}_abs", x), y=threshold)
    outside = b.op(tf.cast, f"{name}_mask", outside, dtype="float32")
    return b.add_layer("Multiply", name)([x, outside])


def soft_shrink(b: Builder, x: Any, name: str, threshold: float = 0.5) -> Any:
    """`x - threshold` above it, `x + threshold` below its negative, else 0; = `relu(x - t) - relu(-x - t)`."""
    above = b.add_layer("ReLU", f"{name}_above")(b.scaled(x, f"{name}_down", offset=-threshold))
    below = b.add_layer("ReLU", f"{name}_below")(b.scaled(x, f"{name}_mirrored", -1.0, -threshold))
    return b.add_layer("Subtract", name)([above, below])


def tanh_shrink(b: Builder, x: Any, name: str) -> Any:
    """`x - tanh(x)`."""
    return b.add_layer("Subtract", name)([x, b.add_layer("Activation", f"{name}_tanh", activation="tanh")(x)])


def threshold_at(b: Builder, x: Any, name: str, threshold: float, default_value: float) -> Any:
    """`x` above the threshold, else `default_value`."""
    import tensorflow as tf

    above = b.op(tf.math.greater, f"{name}_above", x, y=threshold)
    return b.op(tf.where, name, above, x=x, y=float(default_value))


def sparse_plus(b: Builder, x: Any, name: str) -> Any:
    """0 below -1, `(x + 1)^2 / 4` to 1, then `x`; = `min(relu(x + 1), 2)^2 / 4 + relu(x - 1)`."""
    middle = b.add_layer("ReLU", f"{name}_relu2", max_value=2.0)(b.scaled(x, f"{name}_plus1", offset=1.0))
    middle = b.scaled(b.add_layer("Multiply", f"{name}_square")([middle, middle]), f"{name}_quarter", 0.25)
    above = b.add_layer("ReLU", f"{name}_above")(b.scaled(x, f"{name}_minus1", offset=-1.0))
    return b.add_layer("Add", name)([middle, above])


def sparse_sigmoid(b: Builder, x: Any, name: str) -> Any:
    """`(x + 1) / 2` kept within 0 and 1."""
    return b.add_layer("ReLU", name, max_value=1.0)(b.scaled(x, f"{name}_half", 0.5, 0.5))


def squareplus(b: Builder, x: Any, name: str, constant: float = 4.0) -> Any:
    """`(x + sqrt(x^2 + b)) / 2`."""
    import tensorflow as tf

    square = b.scaled(b.add_layer("Multiply", f"{name}_square")([x, x]), f"{name}_plus", offset=float(constant))
    root = b.op(tf.sqrt, f"{name}_sqrt", square)
    return b.scaled(b.add_layer("Add", f"{name}_sum")([x, root]), name, 0.5)


def sparsemax(b: Builder, x: Any, name: str, axis: int = -1) -> Any:
    """`max(x - tau, 0)` over the last axis, with tau as Keras 3.15 computes it on TensorFlow.

    With z sorted from the largest and s_r = z_1 + ... + z_r: k = how many r have `1 + r * z_r > s_r`, and
    tau = (s_1 + ... + s_k - 1) / k. (Martins and Astudillo 2016 have s_k alone there; the two are equal for k = 1.)
    """
    import tensorflow as tf

    size = x.shape[-1]
    if axis not in (-1, len(x.shape) - 1) or size is None:
        raise ModelError(f"'{name}' is a sparsemax over the axis {axis} of {tuple(x.shape)}",
                         "the last axis, of a fixed size", "move the axis to the end first")
    z, _ = b.op(tf.math.top_k, f"{name}_sorted", x, k=size)
    sums = b.op(tf.cumsum, f"{name}_cumsum", z, axis=-1)
    ranked = b.scaled(z, f"{name}_ranked", [float(r) for r in range(1, size + 1)], 1.0)
    inside = b.op(tf.math.greater, f"{name}_inside", ranked, y=sums)
    inside = b.op(tf.cast, f"{name}_support", inside, dtype="float32")
    count = b.op(tf.reduce_sum, f"{name}_count", inside, axis=-1, keepdims=True)
    kept = b.add_layer("Multiply", f"{name}_kept")([sums, inside])
    total = b.op(tf.reduce_sum, f"{name}_total", kept, axis=-1, keepdims=True)
    tau = b.op(tf.math.divide, f"{name}_tau", b.scaled(total, f"{name}_minus1", offset=-1.0), y=count)
    return b.add_layer("ReLU", name)(b.add_layer("Subtract", f"{name}_shifted")([x, tau]))


WRITE: Mapping[str, Write] = {
    "relu6": relu6, "leaky_relu": leaky_relu, "hard_sigmoid": hard_sigmoid, "hard_silu": hard_silu, "celu": celu,
    "glu": glu, "log_softmax": log_softmax, "log_sigmoid": log_sigmoid, "hard_tanh": hard_tanh,
    "hard_shrink": hard_shrink, "soft_shrink": soft_shrink, "tanh_shrink": tanh_shrink, "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid, "squareplus": squareplus, "sparsemax": sparsemax,
}
WRITTEN = frozenset(WRITE)
WORDS: Mapping[str, str] = {
    "relu6": "ReLU(6.0)", "leaky_relu": "LeakyReLU(0.2)", "hard_sigmoid": "relu6(x + 3) / 6",
    "hard_silu": "x * relu6(x + 3) / 6", "celu": "elu(x)", "glu": "first half * sigmoid(second half)",
    "log_sigmoid": "-softplus(-x)", "hard_tanh": "min(relu(x + 1), 2) - 1", "hard_shrink": "x * (|x| > 0.5)",
    "log_softmax": "tf.nn.log_softmax", "soft_shrink": "relu(x - 0.5) - relu(-x - 0.5)", "tanh_shrink": "x - tanh(x)",
    "sparse_plus": "min(relu(x + 1), 2)^2 / 4 + relu(x - 1)", "sparse_sigmoid": "min(relu((x + 1) / 2), 1)",
    "squareplus": "(x + sqrt(x^2 + 4)) / 2", "sparsemax": "relu(x - tau), tau from the sorted values",
}
