"""A Keras 3 layer's arguments as its Keras 2 twin takes them. Nothing that matters is dropped in silence."""

from __future__ import annotations

import inspect
from typing import Any

from stages.models.bridge.records import refusal

_IMMATERIAL = frozenset({
    "name", "trainable", "dtype", "build_config", "autocast",  # set anew; everything is computed in float32
    "use_cudnn", "flash_attention",  # which kernel computes it
    "lora_rank", "lora_alpha",  # added into the kernel
    "quantization_config", "gptq_unpacked_column_size",  # a quantized layer is refused before
    "bounding_box_format", "factor",  # for labels and augmentation
    "seed",  # of dropout; training is seeded as a whole
})
_RENAMED = {("LeakyReLU", "negative_slope"): "alpha"}
_UNDECLARED = {"rms_scaling": False, "zero_output_for_mask": False}  # taken through **kwargs


def translate(builder: Any, layer: Any, name: str, target: type, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """The arguments of a `tf_keras` layer that make it compute what a Keras 3 layer computes.

    Initializers are dropped: the weights are copied. Regularizers and constraints, which matter for fine-tuning, are
    carried over where Keras 2 has them.

    Args:
        builder: takes notes.
        layer: of Keras 3.
        name: of the layer.
        target: the `tf_keras` class.
        skip: arguments that the caller sets itself.

    Raises:
        ModelError: an argument that Keras 2 does not have, with a value that is not the default.
    """
    refuse_unfit(layer, name)
    accepted, defaults = parameters(target), parameters(type(layer))
    result: dict[str, Any] = {"trainable": layer.trainable}
    for key, value in layer.get_config().items():
        if key in _IMMATERIAL or key in skip or key.endswith("_initializer"):
            continue
        key = _RENAMED.get((type(layer).__name__, key), key)
        if key.endswith(("_regularizer", "_constraint")):
            result |= _carried_over(builder, name, key, value) if key in accepted else {}
        elif key in accepted or (key == "zero_output_for_mask" and value):
            result[key] = value
        elif not _is_default(value, defaults.get(key, _UNDECLARED.get(key))):
            raise refusal(layer, name, f"has {key}={value!r}, which Keras 2 does not know",
                          f"leave {key} at its default")
    return result


def refuse_unfit(layer: Any, name: str) -> None:
    """Refuse a layer that is quantized or keeps a state between calls."""
    if getattr(layer, "quantization_mode", None) is not None:
        raise refusal(layer, name, f"holds weights quantized to {layer.quantization_mode}",
                      "bridge the model as it was before model.quantize()", "float weights")
    if getattr(layer, "stateful", False):
        raise refusal(layer, name, "keeps its state from one batch to the next", "build it with stateful=False",
                      "layers without a state between calls")


def parameters(kind: type) -> dict[str, Any]:
    """Names and defaults of what a layer class can be made with, `**kwargs` followed to its bases."""
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        if "__init__" not in base.__dict__ or base is object:
            continue
        given = list(inspect.signature(base.__init__).parameters.values())[1:]  # type: ignore[misc]
        for parameter in given:
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                found.setdefault(parameter.name, parameter.default)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in given):
            break
    return found


def _is_default(value: Any, default: Any) -> bool:
    """Whether an argument says nothing: it is the default, or the data format that everything here has."""
    return value is None or value == default or value == "channels_last"


def _carried_over(builder: Any, name: str, key: str, value: Any) -> dict[str, Any]:
    """A regularizer or constraint as Keras 2's, by argument; none, with a note, where Keras 2 has none of that name."""
    import tf_keras

    if value is None:
        return {}
    home = tf_keras.regularizers if key.endswith("_regularizer") else tf_keras.constraints
    kind = value.get("class_name", "") if isinstance(value, dict) else ""
    made = getattr(home, kind, None)
    if not isinstance(made, type) or value.get("module") not in ("keras.regularizers", "keras.constraints"):
        builder.note(name, f"{key} left out: it acts in training alone and Keras 2 has none called '{kind}'")
        return {}
    return {key: made(**value.get("config", {}))}
