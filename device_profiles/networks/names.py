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
from device_profiles.networks.catalog import Option, network_key, parse_key
from device_profiles.networks.edgemark import FULLY_CONNECTED

FORMATS: Mapping[str, BuildFormat] = MappingProxyType({
    "float32": "float32", "int8": "int8", "uint8": "int8", "int16 act / int8 weights": "int16x8",
})
"""Published number formats -> formats of a rebuilt network. uint8 kernels do the work of int8 ones."""

FAMILIES: Mapping[str, str] = MappingProxyType({
    "mobilenet_v3_large": "mobilenet_v3", "mobilenet_v3_small": "mobilenet_v3", "visual_wake_words": "mobilenet_v1",
    "person_detection": "mobilenet_v1", "posenet": "mobilenet_v1", "fd_mobilenet": "mobilenet_v1",
    "st_fd_mobilenet": "mobilenet_v1", "yamnet_256": "mobilenet_v1", "st_efficientnet_lc": "efficientnet",
    "resnet_cifar": "resnet", "resnet_v2": "resnet", "st_resnet": "resnet", "st_resnet_v2": "resnet",
    "inception_v4": "inception", "inception_resnet_v2": "inception", "st_yolo_lc": "yolo", "tiny_yolo_v2": "yolo",
    "yolov4_tiny": "yolo", "yolov5": "yolo", "yolov8": "yolo",
    "activity_gmp": "small_cnn", "activity_ign": "small_cnn", "hand_posture": "small_cnn", "st_mnist": "small_cnn",
    "edgemark_cnn": "small_cnn", "autoencoder": "mlp", "layer_conv": "layer", "layer_depthwise": "layer",
    "layer_elementwise": "layer",
})
"""Network -> the family that is left out together; a network that is not listed is its own."""

_CLASSES = 1001  # TF-Slim's checkpoints have a class for "background"
_FIXED_SIZE = ("edgemark_cnn", "efficientnet_lite", "mcunet", "nasnet")


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

    def size(self) -> int:
        """Height of the input; 0 where the shape does not say."""
        return self.shape[0] if len(self.shape) > 1 else 0

    def channels(self) -> int:
        """Channels of the input: 3 where the shape does not say."""
        return self.shape[2] if len(self.shape) > 2 else 3


_Rule = Callable[[_Named], str]


def resolve(model: str, variant: str, input_shape: str, dtype: str) -> Resolved | Unresolved:
    """The network behind a published name.

    Args:
        model: as published: "MobileNetV1".
        variant: as published: "alpha=0.25,res=128".
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


def _network(family: str, **options: Option) -> _Rule:
    """A rule that takes width and size from the row, where the pattern and the shape give them."""

    def rule(row: _Named) -> str:
        """The key."""
        found = dict(options)
        groups = row.match.groupdict()
        if "width" in groups:
            found["width"] = row.number("width")
        if "number" in groups:
            found["number"] = int(row.number("number"))
        if row.size() and "size" not in found and family not in _FIXED_SIZE:
            found["size"] = row.size()
        return network_key(family, **found)

    return rule


def _grey(family: str, **options: Option) -> _Rule:
    """A rule that takes the channels of the input as well."""
    return lambda row: network_key(family, width=row.number("width"), size=row.size(), channels=row.channels(),
                                   **options)


def _slim_v3(row: _Named) -> str:
    groups = row.match.groupdict()
    return network_key(f"mobilenet_v3_{groups['which']}", width=row.number("width"), size=row.size(), slim=True,
                       classes=_CLASSES, minimalistic=bool(groups["minimalistic"]))


def _fixed(network: str) -> _Rule:
    return lambda _: network


def _window(family: str) -> _Rule:
    """ST's activity networks: the window's length is in the name, the shape is not always right."""
    return lambda row: network_key(family, window=int(row.number("window")))


def _stacks(family: str) -> _Rule:
    return lambda row: network_key(family, stacks=int(row.number("stacks")))


def _edgemark_cnn(row: _Named) -> str:
    return network_key("edgemark_cnn", number=int(row.number("number")))


def _edgemark_fc(row: _Named) -> str:
    layers = FULLY_CONNECTED[int(row.number("number"))]
    return network_key("mlp", layers=layers, softmax=not layers.endswith("-1"))


def _arduino_mlp(row: _Named) -> str:
    """TinyML-Benchmark's networks: "FC 10+50" has two hidden layers, "1 x 10" one, "10 x 10" ten."""
    groups = row.match.groupdict()
    hidden = {"10+50": "10-50", "1 x 10": "10", "10 x 10": "-".join(["10"] * 10)}[groups["hidden"]]
    return network_key("mlp", layers=f"{groups['features']}-{hidden}-{groups['classes']}", softmax=True)


def _yolobench(row: _Named) -> str:
    """Its networks all have YOLOv8's head and the 80 classes of COCO."""
    groups = row.match.groupdict()
    options: dict[str, Option] = {"decoupled": True} if groups["release"] == "5" else {}
    return network_key(f"yolov{groups['release']}", variant=groups["variant"], size=row.size(), **options)


def _rules(rules: Mapping[str, _Rule]) -> Iterable[tuple[re.Pattern[str], _Rule]]:
    return tuple((re.compile(pattern), rule) for pattern, rule in rules.items())


_SLIM: Mapping[str, Option] = {"classes": _CLASSES, "slim": True}
_ALPHA = r"alpha=(?P<width>[\d.]+),res=\d+( \(MLPerf.*)?$"
_FLOWERS = 5
_RULES = _rules({
    rf"^MobileNetV1 \| {_ALPHA}": _network("mobilenet_v1", **_SLIM),
    rf"^MobileNetV2 \| {_ALPHA}": _network("mobilenet_v2", **_SLIM),
    rf"^MobileNetV3-(?P<which>large|small)(?P<minimalistic>-minimalistic)? \| {_ALPHA}": _slim_v3,
    r"^MobileNetV3-small \| res=224,classes=1000": _fixed("mobilenet_v3_small"),
    rf"^MnasNet-A1 \| {_ALPHA}": _network("mnasnet_a1", classes=_CLASSES),
    r"^EfficientNet-Lite(?P<number>\d) \| res=": _network("efficientnet_lite"),
    r"^ResNet-50 \(MLPerf resnet50_v1": _fixed("resnet classes=1001 late=yes"),
    r"^ResNet_V2_101": _network("resnet_v2", layers=101, classes=_CLASSES),
    r"^InceptionV4": _network("inception_v4", classes=_CLASSES),
    r"^Inception_ResNet_V2": _network("inception_resnet_v2", classes=_CLASSES),
    r"^NASNet mobile": _network("nasnet", classes=_CLASSES),
    r"^SqueezeNet \|": _network("squeezenet", version="1.0"),
    r"^PoseNet \(MobileNetV1 1.0\)": _network("posenet"),
    r"^person_detection \(TFLM": _fixed("person_detection"),
    # MLPerf Tiny, wherever it was run
    r"\(MLPerf Tiny AD\)|^EdgeMark TinyMLPerf_AE|^deep-autoencoder": _fixed("autoencoder"),
    r"MLPerf Tiny (DS-CNN )?KWS\)|MLPerf Tiny DS-CNN KWS|^EdgeMark TinyMLPerf_DS_CNN|^keyword-spotting_DSCNN": _fixed(
        "ds_cnn"),
    r"MLPerf Tiny IC\)|^EdgeMark TinyMLPerf_ResNet|^tiny-resnet": _fixed("resnet_cifar blocks=1"),
    r"MLPerf Tiny VWW\)|^EdgeMark TinyMLPerf_MBNet|^visual-wake-word": _fixed("visual_wake_words"),
    r"^EdgeMark CNN_(?P<number>\d)": _network("edgemark_cnn"),
    r"^EdgeMark FC_(?P<number>\d+)": _edgemark_fc,
    r"^FC (?P<hidden>10\+50|1 x 10|10 x 10) MLP \|.*: (?P<features>\d+) features, (?P<classes>\d+) cl": _arduino_mlp,
    r"^TFLM hello_world": _fixed("mlp"),
    # ST's model zoo
    r"^MobileNetV1 \| alpha=(?P<width>[\d.]+) ImageNet": _network("mobilenet_v1"),
    r"^MobileNetV2 \| alpha=(?P<width>[\d.]+) (per-\w+ )?ImageNet": _network("mobilenet_v2"),
    r"^MobileNetV1 \| alpha=(?P<width>[\d.]+) (fft|tfs)": _grey("mobilenet_v1", classes=_FLOWERS),
    r"^MobileNetV2 \| alpha=(?P<width>[\d.]+) fft": _grey("mobilenet_v2", classes=_FLOWERS),
    r"^MobileNet v1 (?P<width>0\.25|0\.5)( fft| tfs)? \|": _grey("mobilenet_v1", classes=_FLOWERS),
    r"^MobileNet v2 (?P<width>0\.35)( fft)? \|": _grey("mobilenet_v2", classes=_FLOWERS),
    r"^FdMobileNet (?P<width>0\.25)": _network("fd_mobilenet"),
    r"^ST FdMobileNet v1": _network("st_fd_mobilenet"),
    r"^ST EfficientNet LC v1": _network("st_efficientnet_lc"),
    r"^ST MNIST": _fixed("st_mnist"),
    r"^ResNet v1 8": _fixed("resnet_cifar blocks=1"),
    r"^ResNet v1 32": _fixed("resnet_cifar blocks=5 classes=100"),
    r"^SqueezeNet v1\.0( tfs)? \|": _network("squeezenet", version="1.0", classes=_FLOWERS),
    r"^SqueezeNet v1\.1( tfs)? \|": _network("squeezenet", classes=_FLOWERS),
    r"^MiniResNet (?P<stacks>\d)stacks": _stacks("st_resnet"),
    r"^miniresnet v2 (?P<stacks>\d)stacks": _stacks("st_resnet_v2"),
    r"^Yam[nN]et[ -]256": _fixed("yamnet_256"),
    r"^GMP wl (?P<window>\d+)": _window("activity_gmp"),
    r"^IGN wl (?P<window>\d+)": _window("activity_ign"),
    r"^CNN2D_ST_HandPosture": _fixed("hand_posture"),
    r"^(ST Yolo LC v1|st_yolo_lc_v1)": _network("st_yolo_lc"),
    r"^tiny_yolo_v2": _network("tiny_yolo_v2"),
    # NXP's, Espressif's and MIT's tables
    r"^mobilenetv1 \|": _network("mobilenet_v1", width=0.25, **_SLIM),
    r"^mobilenetv2 \|": _network("mobilenet_v2"),
    r"^mobilenetv2_0_5 \|": _network("mobilenet_v2", width=0.5),
    r"^resnet \| resnet50_int8": _network("resnet"),
    r"^MNasNet \| mnasnet-a1-075": _network("mnasnet_a1", width=0.75),
    r"^efficientnet-lite \| efficientnet-lite0": _network("efficientnet_lite"),
    r"^mbv2-w(?P<width>0\.3)5?-r\d+": _network("mobilenet_v2", narrow=True),
    r"^proxyless-w(?P<width>0\.3)": _network("proxyless"),
    r"^yolov4tiny \|": _network("yolov4_tiny"),
    r"^YOLOBench yolo(?P<release>[58])(?P<variant>[nsml]) ": _yolobench,
    r"^yolov8 \| yolov8n": _network("yolov8"),
    r"^mcunet-in(?P<number>\d)": _network("mcunet"),
})
