"""Random models for property tests: a list of moves, each of which makes a tensor of the ones that are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

SIDE = 5
Move = tuple[str, int, int, int]
"""(what, which tensor, which other one, a small number)."""


def conv(b: Builder, n: int, m: int, k: int) -> Any:
    activation = ("linear", "relu", "softmax")[0 if k % 7 else 2] if k % 3 else "relu"
    return b.layers.Conv2D(1 + k % 5, (1, 3)[k % 2], padding="same", use_bias=k % 4 > 0,
                           activation=activation)(b.image(n))


def strided(b: Builder, n: int, m: int, k: int) -> Any:
    """To half the size and back."""
    x = b.layers.Conv2D(2 + k % 3, 3, strides=2)(b.layers.ZeroPadding2D(((1, 0), (0, 1)))(b.image(n)))  # 2 x 2
    return b.layers.ZeroPadding2D(((1, 0), (0, 1)))(b.layers.UpSampling2D(2)(x))


def depthwise(b: Builder, n: int, m: int, k: int) -> Any:
    return b.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=1 + k % 2, use_bias=k % 3 > 0)(b.image(n))


def grouped(b: Builder, n: int, m: int, k: int) -> Any:
    """Of 4 or 6 channels in 2, 3 or as many groups."""
    channels = (4, 6)[k % 2]
    x = b.layers.Conv2D(channels, 1)(b.image(n))
    groups = (2, channels // 2, channels)[k % 3]
    return b.layers.Conv2D(groups * (1 + k % 3), 3, padding="same", groups=groups)(x)


def separable(b: Builder, n: int, m: int, k: int) -> Any:
    return b.layers.SeparableConv2D(1 + k % 4, 3, padding="same", depth_multiplier=1 + k % 2)(b.image(n))


def transposed(b: Builder, n: int, m: int, k: int) -> Any:
    return b.layers.Conv2DTranspose(1 + k % 4, 3, padding="same", use_bias=k % 2 > 0)(b.image(n))


def merged(b: Builder, n: int, m: int, k: int) -> Any:
    """Two tensors of one width, brought to it where they have another."""
    one, other = b.image(n), b.image(m)
    if one.shape[-1] != other.shape[-1]:
        other = b.layers.Conv2D(one.shape[-1], 1)(other)
    kinds = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
    return getattr(b.layers, kinds[k % len(kinds)])()([one, other])


def concatenated(b: Builder, n: int, m: int, k: int) -> Any:
    return b.layers.Concatenate()([b.image(n), b.image(m), b.image(k)][:2 + k % 2])


def squeezed(b: Builder, n: int, m: int, k: int) -> Any:
    """Squeeze and excitation: with dense layers and a reshape, or with 1x1 convolutions on a kept map."""
    x = b.image(n)
    width = x.shape[-1]
    if k % 2:
        s = b.layers.GlobalAveragePooling2D(keepdims=True)(x)
        s = b.layers.Conv2D(width, 1, activation="sigmoid")(b.layers.Conv2D(1 + k % 3, 1, activation="relu")(s))
    else:
        s = b.layers.Dense(1 + k % 3, activation="relu")(b.layers.GlobalMaxPooling2D()(x))
        s = b.layers.Dense(width, activation="sigmoid")(s)
        s = b.layers.Reshape((1, 1, width) if k % 4 else (1, 1, -1))(s)
    return b.layers.Multiply()([x, s])


def attended(b: Builder, n: int, m: int, k: int) -> Any:
    """A weight for each place, one for all channels."""
    x = b.image(n)
    return b.layers.Multiply()([x, b.layers.Conv2D(1, 1, activation="sigmoid")(x)])


def normalized(b: Builder, n: int, m: int, k: int) -> Any:
    x = b.layers.BatchNormalization(scale=k % 5 > 0, center=k % 3 > 0)(b.image(n))
    return (b.layers.ReLU(), b.layers.PReLU(shared_axes=[1, 2]), b.layers.PReLU(), b.layers.Activation("tanh"),
            b.layers.LeakyReLU())[k % 5](x)


def pooled(b: Builder, n: int, m: int, k: int) -> Any:
    x = b.layers.Dropout(0.3)(b.image(n))
    return (b.layers.MaxPooling2D, b.layers.AveragePooling2D)[k % 2](3, strides=1, padding="same")(x)


def odd(b: Builder, n: int, m: int, k: int) -> Any:
    """What is not followed, or mixes channels."""
    import tensorflow as tf

    x = b.image(n)
    return (lambda: x * 0.5, lambda: tf.reverse(x, [-1]), lambda: b.layers.LayerNormalization()(x),
            lambda: b.layers.Softmax()(x), lambda: b.layers.Rescaling(2.0, 0.5)(x))[k % 5]()


def shared(b: Builder, n: int, m: int, k: int) -> Any:
    """One convolution and one normalization on two tensors of one width."""
    one, other = b.image(n), b.image(m)
    if one.shape[-1] != other.shape[-1]:
        other = b.layers.Conv2D(one.shape[-1], 1)(other)
    layer, norm = b.layers.Conv2D(1 + k % 4, 3, padding="same"), b.layers.BatchNormalization()
    pair = [norm(layer(one)), norm(layer(other))]
    return (b.layers.Add() if k % 2 else b.layers.Concatenate())(pair)


def nested(b: Builder, n: int, m: int, k: int) -> Any:
    """A model as a layer, on one tensor or on two."""
    import tf_keras as keras

    x = b.image(n)
    inputs = b.layers.Input(x.shape[1:])
    y = b.layers.ReLU()(b.layers.Conv2D(2 + k % 3, 3, padding="same")(inputs))
    inner = keras.Model(inputs, b.layers.Conv2D(x.shape[-1], 1)(y))
    return inner(inner(x)) if k % 2 else inner(x)


def reshaped(b: Builder, n: int, m: int, k: int) -> Any:
    """To a sequence and back, through a Conv1D, or with height and width exchanged."""
    x = b.image(n)
    width = x.shape[-1]
    if k % 2:
        return b.layers.Permute((2, 1, 3))(x)
    y = b.layers.Conv1D(2 + k % 3, 3, padding="causal")(b.layers.Reshape((SIDE * SIDE, width))(x))
    return b.layers.Reshape((SIDE, SIDE, y.shape[-1]))(y)


MOVES: dict[str, Callable[..., Any]] = {move.__name__: move for move in (
    conv, strided, depthwise, grouped, separable, transposed, merged, concatenated, squeezed, attended, normalized,
    pooled, odd, shared, nested, reshaped)}

moves = st.lists(st.tuples(st.sampled_from(sorted(MOVES)), st.integers(0, 9), st.integers(0, 9), st.integers(0, 20)),
                 min_size=2, max_size=9)
heads = st.tuples(st.sampled_from(("flatten", "pool", "map")), st.booleans(), st.booleans())
"""How it ends, whether with a second output, whether with a second input."""


class Builder:
    """The tensors so far, all (batch, SIDE, SIDE, channels)."""

    def __init__(self, layers: Any, inputs: list[Any]) -> None:
        self.layers, self.tensors = layers, list(inputs)

    def image(self, number: int) -> Any:
        """One of them; the later ones are the likelier."""
        return self.tensors[max(0, len(self.tensors) - 1 - number % 4)]


def build(program: Sequence[Move], head: tuple[str, bool, bool]) -> Any:
    """The model that the moves make, with random weights and batch normalization statistics."""
    import tf_keras as keras

    layers, (end, two_out, two_in) = keras.layers, head
    inputs = [layers.Input((SIDE, SIDE, 2), name=f"in{number}") for number in range(1 + two_in)]
    builder = Builder(layers, inputs)
    for name, n, m, k in program:
        builder.tensors.append(MOVES[name](builder, n, m, k))
    x = layers.Concatenate()([builder.image(0), *inputs]) if two_in else builder.image(0)
    if end == "map":
        outputs = [layers.Conv2D(2, 1, activation="softmax")(layers.Conv2D(4, 3, activation="relu")(x))]
    else:
        flat = layers.Flatten()(x) if end == "flatten" else layers.GlobalAveragePooling2D()(x)
        outputs = [layers.Dense(3)(layers.Dense(5, activation="relu")(flat))]
    if two_out:
        outputs.append(builder.image(1))
    model = keras.Model(inputs, outputs)
    rng = np.random.default_rng(len(program))
    for layer in model.layers:
        layer.set_weights([rng.uniform(0.2, 0.9, weight.shape) * rng.choice([1, 1, -1], weight.shape)
                           if "variance" not in variable.name else rng.uniform(0.5, 1.5, weight.shape)
                           for variable, weight in zip(layer.weights, layer.get_weights(), strict=True)])
    return model
