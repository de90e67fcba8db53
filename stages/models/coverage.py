"""What of a model TFMOT's 8-bit scheme covers: asked layer by layer, before anything is built, so it takes no time.

TFMOT itself says no at the first layer that it does not know, after it has copied the model several times. Here its
registry and its lists of activations are asked about every layer at once. Two kinds need more than yes or no:

- Layers that combine or scale tensors and have no weights (`RANGE_ONLY`) are not in the registry. All that they need is
  the range of their output, and TFLite has int8 kernels for them, so they get TFMOT's own output quantizer.
- Batch normalization is covered where a convolution right before it takes it in; `folding` rewrites the rest.

Functions of TensorFlow in the graph (`TFOpLambda`) stay in float, and some cannot even be copied by TFMOT 0.8.1, which
hands those that take one tensor a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.models.folding import fused_by_tfmot

RANGE_ONLY = ("Multiply", "Subtract", "Maximum", "Minimum", "Rescaling")
"""Layers of one operator without weights, whose output alone needs a range. `Average` is two operators."""
_SPLIT_BY_TFMOT = ("SeparableConv1D", "SeparableConv2D")
_NORMS = ("BatchNormalization", "SyncBatchNormalization")
_FUNCTIONS = ("TFOpLambda", "SlicingOpLambda", "Lambda", "ClassMethod", "InstanceMethod", "InstanceProperty")
_ACTIVATION_LAYER = ("relu", "swish", "gelu", "relu6", "linear", "softmax", "sigmoid", "tanh")
"""What `Default8BitActivationQuantizeConfig` takes as a layer of its own."""
_ACTIVATION_INSIDE = ("linear", "relu", "swish", "gelu", "softmax", "sigmoid", "tanh", "NoOpActivation")
"""What `QuantizeAwareActivation` takes inside a layer with a kernel."""
_SHOWN = 8


def not_covered(model: Any, registry: Any) -> dict[str, str]:
    """Layers that the scheme cannot quantize, with the reason.

    Args:
        model: a flat `tf_keras.Model`.
        registry: TFMOT's registry of the scheme.
    """
    fused = fused_by_tfmot(model)
    reasons = {layer.name: _reason(layer, registry, fused) for layer in model.layers}
    for name in fused:  # what the scheme does not quantize, it does not fuse either
        before = model.get_layer(name).inbound_nodes[0].inbound_layers
        if reasons.get(before.name):
            reasons[name] = f"the layer before it, '{before.name}', stays in float"
    return {name: reason for name, reason in reasons.items() if reason}


def range_only_config(layer: Any) -> Any:
    """The configuration that gives a layer of `RANGE_ONLY` the range of its output; None for other layers."""
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_configs as configs,
    )

    return configs.Default8BitOutputQuantizeConfig() if type(layer).__name__ in RANGE_ONLY else None


def functions_in(model: Any) -> list[str]:
    """Names of the layers that call a function of TensorFlow."""
    return [layer.name for layer in model.layers if type(layer).__name__ in _FUNCTIONS]


def listed(model: Any, reasons: Mapping[str, str]) -> str:
    """The layers by class and reason, for a message: `'a' and 'b' (ELU: not in TFMOT's 8-bit scheme)`."""
    groups: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        kind = type(model.get_layer(name)).__name__
        groups.setdefault(f"{kind}: {reason.removeprefix(f'{kind} is ')}", []).append(name)
    return "; ".join(f"{_names(names)} ({what})" for what, names in groups.items())


def _names(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _reason(layer: Any, registry: Any, fused: frozenset[str]) -> str:
    """Why the scheme cannot quantize a layer, or an empty string."""
    kind = type(layer).__name__
    if kind == "InputLayer" or kind in RANGE_ONLY or kind in _SPLIT_BY_TFMOT:
        return ""
    if kind in _NORMS:
        return "" if layer.name in fused else f"{kind} is not in TFMOT's 8-bit scheme here"
    if not registry.supports(layer):
        return f"{kind} is not in TFMOT's 8-bit scheme"
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    known = _ACTIVATION_LAYER if kind == "Activation" else _ACTIVATION_INSIDE
    return "" if activation in known else f"its activation {activation} is not in TFMOT's 8-bit scheme"
