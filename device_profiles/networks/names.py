"""From the names in tables of published measurements to networks that can be rebuilt.

`resolve` takes the words as they were published and gives a key of `catalog`, a number format and the family, or the
reason why the network cannot be rebuilt. A rule is a pattern over "model | variant" and what to make of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from device_profiles.networks.builder import BuildFormat
from device_profiles.networks.catalog import network_key, parse_key
from device_profiles.networks.edgemark import FULLY_CONNECTED

FORMATS: Mapping[str, BuildFormat] = MappingProxyType({
    "float32": "float32", "int8": "int8", "uint8": "int8", "int16 act / int8 weights": "int16x8",
})
"""Published number formats -> formats of a rebuilt network. uint8 kernels do the work of int8 ones."""

FAMILIES: Mapping[str, str] = MappingProxyType({
    "mobilenet_v3_large": "mobilenet_v3", "mobilenet_v3_small": "mobilenet_v3", "visual_wake_words": "mobilenet_v1",
    "resnet_cifar": "resnet", "resnet_v2": "resnet",
})
"""Network -> the family that is left out together; a network that is not listed is its own."""

_CLASSES = 1001  # TF-Slim's checkpoints have a class for "background"
_CIFAR = 10


@dataclass(frozen=True)
class Resolved:
    """A network that can be rebuilt: `network_workload(network, number_format)`."""

    network: str
    number_format: BuildFormat
    family: str


@dataclass(frozen=True)
class Unresolved:
    """Why a published name has no network."""

    reason: str


@dataclass(frozen=True)
class _Named:
    """A row's words, with the groups of the rule's pattern."""

    match: re.Match[str]
    shape: tuple[int, ...]

    def number(self, name: str, default: float = 1.0) -> float:
        """A group as a number."""
        text = self.match.groupdict().get(name)
        return float(text) if text else default

    def size(self, default: int = 0) -> int:
        """Height of the input; by the shape, else the default."""
        return self.shape[0] if len(self.shape) > 1 else default

    def channels(self) -> int:
        """Channels of the input: 3 where the shape does not say."""
        return self.shape[2] if len(self.shape) > 2 else 3


_Rule = Callable[[_Named], str]


def resolve(model: str, variant: str, input_shape: str, dtype: str) -> Resolved | Unresolved:
    """The network behind a published name.

    Args:
        model, variant: as published: "MobileNetV1", "alpha=0.25,res=128".
        input_shape: "128x128x3", "640", or words.
        dtype: "float32", "uint8", ...
    """
    number_format = FORMATS.get(dtype)
    if number_format is None:
        return Unresolved(f"number format '{dtype}'" if dtype else "no number format stated")
    words, shape = f"{model} | {variant}", _shape(input_shape)
    for pattern, rule in _RULES:
        match = pattern.search(words)
        if match:
            network = rule(_Named(match, shape))
            family = parse_key(network)[0]
            return Resolved(network, number_format, FAMILIES.get(family, family))
    return Unresolved(f"network '{model}'")


def _shape(text: str) -> tuple[int, ...]:
    """Height, width, channels; () where the text has no shape."""
    found = re.search(r"\d+(?:\s*[x,]\s*\d+)*", text.strip("([]) "))
    numbers = tuple(int(word) for word in re.findall(r"\d+", found.group())) if found else ()
    return numbers[1:] if len(numbers) > 3 and numbers[0] == 1 else numbers


def _slim_v1(row: _Named) -> str:
    return network_key("mobilenet_v1", width=row.number("width"), size=row.size(224), classes=_CLASSES, slim=True)


def _slim_v2(row: _Named) -> str:
    return network_key("mobilenet_v2", width=row.number("width"), size=row.size(224), classes=_CLASSES, slim=True)


def _slim_v3(row: _Named) -> str:
    groups = row.match.groupdict()
    return network_key(f"mobilenet_v3_{groups['which']}", width=row.number("width"), size=row.size(224), slim=True,
                       classes=_CLASSES, minimalistic=bool(groups["minimalistic"]))


def _mnasnet(row: _Named) -> str:
    return network_key("mnasnet_a1", width=row.number("width"), size=row.size(224), classes=_CLASSES)


def _fixed(network: str) -> _Rule:
    return lambda row: network


def _lite(row: _Named) -> str:
    return network_key("efficientnet_lite", number=int(row.number("number")), classes=1000)


def _edgemark_cnn(row: _Named) -> str:
    return network_key("edgemark_cnn", number=int(row.number("number")))


def _edgemark_fc(row: _Named) -> str:
    return network_key("mlp", layers=FULLY_CONNECTED[int(row.number("number"))])


def _arduino_mlp(row: _Named) -> str:
    """TinyML-Benchmark's networks: "FC 10+50" has two hidden layers, "1 x 10" one, "10 x 10" ten."""
    groups = row.match.groupdict()
    hidden = {"10+50": "10-50", "1 x 10": "10", "10 x 10": "-".join(["10"] * 10)}[groups["hidden"]]
    return network_key("mlp", layers=f"{groups['features']}-{hidden}-{groups['classes']}", softmax=True)


def _rules(rules: Mapping[str, _Rule]) -> Iterable[tuple[re.Pattern[str], _Rule]]:
    return tuple((re.compile(pattern), rule) for pattern, rule in rules.items())


_ALPHA = r"alpha=(?P<width>[\d.]+),res="
_RULES = _rules({
    rf"^MobileNetV1 \| {_ALPHA}": _slim_v1,
    rf"^MobileNetV2 \| {_ALPHA}": _slim_v2,
    rf"^MobileNetV3-(?P<which>large|small)(?P<minimalistic>-minimalistic)? \| {_ALPHA}": _slim_v3,
    rf"^MnasNet-A1 \| {_ALPHA}": _mnasnet,
    r"^EfficientNet-Lite(?P<number>\d) \| res=": _lite,
    r"^ResNet-50 \(MLPerf resnet50_v1": _fixed("resnet classes=1001 late=yes"),
    r"\(MLPerf Tiny AD\)|^EdgeMark TinyMLPerf_AE|^deep-autoencoder": _fixed("autoencoder"),
    r"MLPerf Tiny KWS|^EdgeMark TinyMLPerf_DS_CNN|^keyword-spotting_DSCNN": _fixed("ds_cnn"),
    r"MLPerf Tiny IC\)|^EdgeMark TinyMLPerf_ResNet|^tiny-resnet": _fixed("resnet_cifar blocks=1"),
    r"MLPerf Tiny VWW\)|^EdgeMark TinyMLPerf_MBNet|^visual-wake-word": _fixed("visual_wake_words"),
    r"^EdgeMark CNN_(?P<number>\d)": _edgemark_cnn,
    r"^EdgeMark FC_(?P<number>\d+)": _edgemark_fc,
    r"^FC (?P<hidden>10\+50|1 x 10|10 x 10) MLP \|.*: (?P<features>\d+) features, (?P<classes>\d+) classes": _arduino_mlp,
    r"^TFLM hello_world": _fixed("mlp"),
})
