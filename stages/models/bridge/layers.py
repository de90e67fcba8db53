"""The layers that have a twin in Keras 2, by class name, and how it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stages.models.bridge.activations import FUSED, SAME, activation_of, apply_activation
from stages.models.bridge.applications import APPLICATIONS
from stages.models.bridge.builder import Builder, MakeTwin, Twin
from stages.models.bridge.configs import translate
from stages.models.bridge.preprocessing import PREPROCESSING
from stages.models.bridge.records import refusal
from stages.models.bridge.wrappers import WRAPPERS

_PLAIN = (
    "ActivityRegularization", "Add", "AlphaDropout", "Average", "AveragePooling1D", "AveragePooling2D",
    "AveragePooling3D", "BatchNormalization", "Concatenate", "Cropping1D", "Cropping2D", "Cropping3D", "Dot",
    "Dropout", "ELU", "Embedding", "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D",
    "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
    "GlobalMaxPooling3D", "GroupNormalization", "LayerNormalization", "LeakyReLU", "Masking", "MaxPooling1D",
    "MaxPooling2D", "MaxPooling3D", "Maximum", "Minimum", "MultiHeadAttention", "Multiply", "PReLU", "Permute",
    "ReLU", "RepeatVector", "Reshape", "Softmax", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "Subtract", "UnitNormalization", "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D",
    "ZeroPadding2D", "ZeroPadding3D", "Attention", "AdditiveAttention",
)
_WITH_KERNEL = (
    "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "Dense",
    "DepthwiseConv1D", "DepthwiseConv2D", "EinsumDense", "SeparableConv1D", "SeparableConv2D",
)


def plain(builder: Builder, layer: Any, name: str) -> Twin:
    """The layer of the same name with the same arguments."""
    kind = getattr(builder.kl, type(layer).__name__)
    twin: Twin = kind(name=name, **translate(builder, layer, name, kind))
    builder.pairs.append((layer, twin))
    return twin


def with_kernel(builder: Builder, layer: Any, name: str) -> Twin:
    """A layer with a kernel; an activation that Keras 2 or TFMOT does not know becomes a layer after it."""
    kind = getattr(builder.kl, type(layer).__name__)
    activation = activation_of(layer, "activation", name)
    fused = isinstance(activation, str) and activation in FUSED
    config = translate(builder, layer, name, kind, skip=("activation",))
    twin: Twin = kind(name=name, activation=SAME[activation] if fused else "linear", **config)
    builder.pairs.append((layer, twin))
    if getattr(layer, "lora_enabled", False):
        builder.note(name, "low-rank (LoRA) update added into the kernel")
    if fused:
        return twin
    label = activation if isinstance(activation, str) else "activation"
    return lambda x: apply_activation(builder, twin(x), activation, f"{name}_{label}", name)


def activation_layer(builder: Builder, layer: Any, name: str) -> Twin:
    """`Activation`: of the same name where Keras 2 has it, else written out."""
    activation = activation_of(layer, "activation", name)
    if isinstance(activation, str) and activation in SAME:
        twin: Twin = builder.kl.Activation(SAME[activation], name=name)
        return twin
    return lambda x: apply_activation(builder, x, activation, builder.rename(name), name)


def identity(builder: Builder, _: Any, name: str) -> Twin:
    """`Identity`: nothing."""
    twin: Twin = builder.kl.Activation("linear", name=name)
    return twin


def rms_normalization(builder: Builder, layer: Any, name: str) -> Twin:
    """`x / sqrt(mean(x^2) + epsilon) * scale`; the scale becomes a constant."""
    import tensorflow as tf

    axis = layer.axis if isinstance(layer.axis, int) else list(layer.axis)
    scale = np.asarray(layer.scale, np.float32)
    builder.note(name, "written as x * rsqrt(mean(x^2) + epsilon) * scale; the scale is a constant from here on")

    def normalize(x: Any) -> Any:
        """As the layer."""
        if axis not in (-1, [-1], len(x.shape) - 1, [len(x.shape) - 1]):
            raise refusal(layer, name, f"normalizes axis {axis}", "normalize the last axis", "axis=-1")
        square = builder.add_layer("Multiply", f"{name}_square")([x, x])
        power = builder.op(tf.reduce_mean, f"{name}_power", square, axis=-1, keepdims=True)
        root = builder.op(tf.math.rsqrt, f"{name}_rsqrt", builder.scaled(power, f"{name}_add",
                                                                         offset=float(layer.epsilon)))
        x = builder.add_layer("Multiply", f"{name}_unit")([x, root])
        return builder.scaled(x, builder.rename(name), scale.tolist())

    return normalize


def adaptive_pooling(builder: Builder, layer: Any, name: str) -> Twin:
    """Adaptive pooling as plain pooling, where the input's size is a multiple of the output's."""
    kind = type(layer).__name__.removeprefix("Adaptive")
    wanted = layer.output_size if isinstance(layer.output_size, tuple | list) else (layer.output_size,)

    def pool(x: Any) -> Any:
        """As the layer."""
        sizes = x.shape[1:-1]
        if layer.data_format != "channels_last" or any(
                size is None or size % want for size, want in zip(sizes, wanted, strict=True)):
            raise refusal(layer, name, f"pools {tuple(sizes)} to {tuple(wanted)}", "use plain pooling",
                          "an input size that is a multiple of the output size, channels last")
        window = tuple(size // want for size, want in zip(sizes, wanted, strict=True))
        builder.note(name, f"written as {kind} with window {window}")
        return builder.add_layer_as(kind, name, pool_size=window, strides=window)(x)

    return pool


def spectral_normalization(builder: Builder, layer: Any, name: str) -> Twin:
    """The layer inside: inference leaves its kernel as training left it."""
    builder.note(name, "left out: it acts in training alone")
    return builder.twin(layer.layer, builder.fresh(f"{name}_{layer.layer.name}"))


def lambda_layer(builder: Builder, layer: Any, name: str) -> Twin:
    """A Lambda's function, run only if the model is trusted; what it computes becomes layers.

    Functions of `keras.ops` are traced in Keras 3, functions of TensorFlow on the Keras 2 tensors.
    """
    if not builder.trust:
        raise refusal(layer, name, "carries Python code of its own, which the bridge does not run",
                      "replace it with layers or keras.ops, or use --trust-model if you know where the model is from")
    builder.note(name, "its function was run, and what it computes written as layers")
    return lambda x: _traced(builder, layer, name, x)


def _traced(builder: Builder, layer: Any, name: str, x: Any) -> Any:
    """What a Lambda's function computes, as layers."""
    import keras

    from stages.models.bridge.graph import Walk, names_of

    start = keras.Input(batch_shape=x.shape, dtype=x.dtype.name)
    try:
        graph = keras.Model(start, layer.function(start, **layer.arguments))
    except (TypeError, ValueError):  # a function of TensorFlow refuses a symbolic tensor of Keras 3
        return layer.function(x, **layer.arguments)
    names = {key: builder.fresh(f"{name}_{inner}") for key, inner in names_of(graph).items()}
    outputs = Walk(names, builder.run, builder.cast).outputs(graph, [x])
    return outputs[0] if len(outputs) == 1 else outputs


LAYERS: Mapping[str, MakeTwin] = {
    **dict.fromkeys(_PLAIN, plain), **dict.fromkeys(_WITH_KERNEL, with_kernel), **WRAPPERS, **PREPROCESSING,
    **APPLICATIONS, "Activation": activation_layer, "Identity": identity, "RMSNormalization": rms_normalization,
    "SpectralNormalization": spectral_normalization, "Lambda": lambda_layer,
    **{f"Adaptive{kind}Pooling{rank}D": adaptive_pooling for kind in ("Average", "Max") for rank in (1, 2, 3)},
}
