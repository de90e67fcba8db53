"""The networks by name, and the keys that name one of them with its options.

A key is a family and its options, sorted, with a space between them and no option that has its default:
"mobilenet_v2", "mobilenet_v2 size=96 width=0.35", "resnet layers=101".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType

from device_profiles.errors import UsageError
from device_profiles.networks import (
    densenet,
    edgemark,
    efficientnet,
    inception,
    layers,
    mcunet,
    mobilenet,
    nasnet,
    resnet,
    squeezenet,
    st,
    tiny,
    yolo,
)
from device_profiles.networks.builder import BuildFormat, NetworkBuilder, Node
from device_profiles.tflite import Model
from device_profiles.workload import Workload, workload_of

Option = int | float | str | bool
Maker = Callable[..., Node | tuple[Node, ...]]

NETWORKS: Mapping[str, Maker] = MappingProxyType({make.__name__: make for make in (
    mobilenet.mobilenet_v1, mobilenet.mobilenet_v2, mobilenet.mobilenet_v3_large, mobilenet.mobilenet_v3_small,
    mobilenet.person_detection, mobilenet.posenet,
    efficientnet.efficientnet, efficientnet.efficientnet_lite, efficientnet.mnasnet_a1, efficientnet.proxyless,
    efficientnet.st_efficientnet_lc, st.fd_mobilenet, st.st_fd_mobilenet, st.st_mnist, st.st_resnet, st.st_resnet_v2,
    st.yamnet_256, st.activity_gmp, st.activity_ign, st.hand_posture, st.st_yolo_lc, st.tiny_yolo_v2,
    resnet.resnet, resnet.resnet_v2, resnet.resnet_cifar,
    layers.layer_conv, layers.layer_depthwise, layers.layer_elementwise,
    tiny.autoencoder, tiny.ds_cnn, tiny.visual_wake_words, tiny.mlp, edgemark.edgemark_cnn,
    densenet.densenet, squeezenet.squeezenet, squeezenet.vgg, inception.inception_v1, inception.inception_v2,
    inception.inception_v3, inception.inception_v4, inception.inception_resnet_v2, nasnet.nasnet,
    nasnet.pnasnet, mcunet.mcunet, yolo.yolov4_tiny, yolo.yolov5, yolo.yolov8,
)})

_CACHED = 256


def network_model(key: str, number_format: BuildFormat = "float32", ends: str = "") -> Model:
    """A rebuilt network as a tflite model whose constants have a size and no values: see `network_workload`.

    Raises:
        UsageError: no such family, option or value.
    """
    family, options = parse_key(key)
    builder = NetworkBuilder(number_format, ends)
    made = NETWORKS[family](builder, **options)
    return builder.finish(*(made if isinstance(made, tuple) else (made,)))


@lru_cache(maxsize=_CACHED)
def network_workload(key: str, number_format: BuildFormat = "float32", ends: str = "") -> Workload:
    """The workload of a rebuilt network.

    Args:
        key: family and options: "mobilenet_v1 size=96 width=0.25".
        number_format: of its tflite model.
        ends: dtype of inputs and outputs where it is not that of the activations ("float32" for an int8 model with
            QUANTIZE and DEQUANTIZE at its ends).

    Raises:
        UsageError: no such family, option or value.
    """
    return workload_of(network_model(key, number_format, ends))


def network_key(family: str, **options: Option) -> str:
    """The key of a network; an option with its default is left out, so that a network has one key.

    Raises:
        UsageError: no such family or option.
    """
    defaults = _defaults(family)
    for name in options:
        _refuse_unknown(name, defaults, f"option of the network '{family}'")
    words = [f"{name}={_text(value)}" for name, value in sorted(options.items()) if value != defaults[name]]
    return " ".join([family, *words])


def parse_key(key: str) -> tuple[str, dict[str, Option]]:
    """(family, options) of a key.

    Raises:
        UsageError: no such family, option or value.
    """
    family, *words = key.split(" ")
    defaults = _defaults(family)
    options: dict[str, Option] = {}
    for word in words:
        name, _, text = word.partition("=")
        _refuse_unknown(name, defaults, f"option of the network '{family}'")
        options[name] = _value(text, defaults[name], word)
    return family, options


def _defaults(family: str) -> dict[str, Option]:
    """Options of a family, with their defaults."""
    _refuse_unknown(family, NETWORKS, "network")
    parameters = inspect.signature(NETWORKS[family]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def _refuse_unknown(name: str, known: Mapping[str, object], what: str) -> None:
    if name not in known:
        near = get_close_matches(name, known, 1)
        raise UsageError(f"'{name}' is no {what}", ", ".join(known), f"did you mean '{near[0]}'?" if near else "")


def _value(text: str, default: Option, word: str) -> Option:
    """An option's value in its default's type."""
    if isinstance(default, bool):
        if text in ("yes", "no"):
            return text == "yes"
        raise UsageError(f"'{word}' is neither yes nor no", "yes, no")
    try:
        return type(default)(text)
    except ValueError as error:
        raise UsageError(f"'{word}' has no {type(default).__name__}", type(default).__name__) from error


def _text(value: Option) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
