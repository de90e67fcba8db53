"""`applications/<Name>`: an architecture of `tf_keras.applications` without its top, and a head for the data's classes.

The backbone and the head are one flat graph (TFMOT takes no model inside a model). Layers of the head are called
`head_*`; all others are the backbone, which transfer learning freezes first.

Pretrained weights were learnt on images prepared in one of four ways. `preprocessing_of` gives it as offset and scale
of RGB images with values in 0..255: `x_model = (x_raw - offset) / scale`.

    tf        -1..1
    torch     each channel less ImageNet's mean, over its standard deviation
    caffe     each channel less its mean; the channels in the order blue, green, red
    inside    none: the model's first layers do it

Samples are RGB here whatever the application. Weights of the caffe kind get the input axis of their first kernel
reversed when they are loaded, so that the model takes RGB and gives the same outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from device_profiles.errors import ModelError, near_miss
from stages.models.blocks import Output, check_image
from stages.models.flat import as_flat
from stages.models.weight_files import assign_weights, read_weights

PREFIX = "applications/"
HEAD = "head_"
IMAGENET = "imagenet"
DROPOUT = 0.2
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels in 0..1, RGB
_CAFFE_MEAN = (123.68, 116.779, 103.939)  # RGB; tf_keras' imagenet_utils lists them as BGR
_BGR_STEMS = ("conv1_conv", "block1_conv1")

Preprocessing = Literal["tf", "torch", "caffe", "inside"]
PREPROCESSING: dict[Preprocessing, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "tf": ((127.5,), (127.5,)),
    "torch": (tuple(255 * value for value in _MEAN), tuple(255 * value for value in _DEVIATION)),
    "caffe": (_CAFFE_MEAN, (1.0,)),
    "inside": ((0.0,), (1.0,)),
}
"""(offset, scale) of each kind; one value, or one per channel."""

_REGNET_SIZES = ("002", "004", "006", "008", "016", "032", "040", "064", "080", "120", "160", "320")
_FAMILIES: tuple[tuple[Preprocessing, int, tuple[str, ...]], ...] = (
    ("inside", 32, tuple(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge"))),
    ("torch", 32, ("DenseNet121", "DenseNet169", "DenseNet201")),
    ("inside", 32, tuple(f"EfficientNetB{number}" for number in range(8))),
    ("inside", 32, tuple(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L"))),
    ("tf", 75, ("InceptionResNetV2", "InceptionV3")),
    ("tf", 32, ("MobileNet", "MobileNetV2")),
    ("inside", 32, ("MobileNetV3Large", "MobileNetV3Small")),
    ("tf", 32, ("NASNetLarge", "NASNetMobile")),
    ("inside", 32, tuple(f"RegNet{kind}{size}" for kind in "XY" for size in _REGNET_SIZES)),
    ("caffe", 32, ("ResNet50", "ResNet101", "ResNet152")),
    ("tf", 32, ("ResNet50V2", "ResNet101V2", "ResNet152V2")),
    ("inside", 32, tuple(f"ResNetRS{depth}" for depth in (50, 101, 152, 200, 270, 350, 420))),
    ("caffe", 32, ("VGG16", "VGG19")),
    ("tf", 71, ("Xception",)),
)
_TRAITS = {name: (kind, least) for kind, least, names in _FAMILIES for name in names}
NAMES = tuple(sorted(_TRAITS))
"""Every architecture of `tf_keras.applications`."""


def application_name(name: str) -> str:
    """The name as `tf_keras.applications` spells it.

    Args:
        name: in any case, with or without `applications/`.

    Raises:
        ModelError: there is no such application; the nearest name is said.
    """
    word = name.removeprefix(PREFIX)
    for known in NAMES:
        if known.lower() == word.lower():
            return known
    hint = near_miss(word.lower(), [known.lower() for known in NAMES])
    for known in NAMES:
        hint = hint.replace(f"'{known.lower()}'", f"'{PREFIX}{known}'")
    raise ModelError(f"no application is called '{word}'" + (f"; {hint}" if hint else ""), ", ".join(NAMES),
                     "set model in the run file")


def preprocessing_of(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(offset, scale) such that `x_model = (x_raw - offset) / scale` for RGB images with values in 0..255.

    Args:
        name: of an application.

    Raises:
        ModelError: there is no such application.
    """
    return PREPROCESSING[_TRAITS[application_name(name)][0]]


def least_side(name: str) -> int:
    """The smallest height and width that an application takes, in pixels.

    Args:
        name: of an application.

    Raises:
        ModelError: there is no such application.
    """
    return _TRAITS[application_name(name)][1]


def is_backbone(layer_name: str) -> bool:
    """Whether a layer of a model from `build` belongs to the backbone, and not to the head."""
    return not layer_name.startswith(HEAD)


def build(name: str, input_shape: tuple[int, ...], classes: int, output: Output = "softmax",
          weights: Path | str | None = None) -> Any:
    """A `tf_keras.Model`: backbone, mean over the map, dropout, dense layer.

    Args:
        name: of an application.
        input_shape: (height, width, 3); sides of at least `least_side(name)`. Values as `preprocessing_of` says.
        classes: how many outputs there are.
        output: the last activation.
        weights: of the backbone: None for random ones, the path of a local HDF5 weight file, or "imagenet", which
            Keras downloads unless it has done so before.

    Raises:
        ModelError: there is no such application, the samples do not fit, the file does not fit, or there is no network.
    """
    import tf_keras as keras

    name = application_name(name)
    check_image(f"{PREFIX}{name}", input_shape, (least_side(name),) * 2)
    if input_shape[2] != 3:
        raise ModelError(f"{PREFIX}{name} cannot take samples of the shape {tuple(input_shape)}",
                         "3 channels: red, green, blue", "repeat the channel of grey images three times")
    backbone = _backbone(name, input_shape, weights)
    x = keras.layers.GlobalAveragePooling2D(name=f"{HEAD}pool")(backbone.output)  # (batch, filters)
    x = keras.layers.Dropout(DROPOUT, name=f"{HEAD}dropout")(x)
    outputs = keras.layers.Dense(classes, activation=output, name=f"{HEAD}scores")(x)  # (batch, classes)
    return keras.Model(backbone.input, outputs, name=name.lower())


def _backbone(name: str, input_shape: tuple[int, ...], weights: Path | str | None) -> Any:
    """The architecture without top, its weights set, flat."""
    import tf_keras as keras

    architecture = getattr(keras.applications, name)

    def make(source: str | None) -> Any:
        """The architecture with random or downloaded weights."""
        return architecture(include_top=False, weights=source, input_shape=input_shape)

    model = make(None)
    if weights is not None:
        if weights == IMAGENET:
            model.set_weights(_downloaded(name, make).get_weights())
        else:
            assign_weights(model, read_weights(Path(weights)), Path(weights), name)
        _adapt(model, name)
    return as_flat(model)


def _downloaded(name: str, make: Callable[[str | None], Any]) -> Any:
    """The application with the weights that Keras downloads."""
    try:
        return make(IMAGENET)
    except Exception as error:  # what a failed download raises in Keras is a bare Exception
        if not isinstance(error.__context__, OSError):
            raise
        raise ModelError(f"the ImageNet weights of {name} cannot be downloaded: {error}", "a network, or a local file",
                         "give the path of a .h5 weight file as weights") from error


def _adapt(model: Any, name: str) -> None:
    """Have pretrained weights mean in this graph what they meant where they were trained."""
    if _TRAITS[name][0] == "caffe":
        stem = next(layer for layer in model.layers if layer.name in _BGR_STEMS)
        stem.kernel.assign(stem.kernel.numpy()[:, :, ::-1, :])  # (height, width, blue-green-red, filters), reversed
    if name.startswith("EfficientNetB"):
        _square_variance(next(layer for layer in model.layers if type(layer).__name__ == "Normalization"))


def _square_variance(normalization: Any) -> None:
    """Divide by ImageNet's standard deviation, where the file would have the model divide by its square root.

    EfficientNet's files hold the standard deviation as the variance of their normalization layer, and Keras inserts a
    multiplication for it, but only into a model for which it downloads the file itself
    (github.com/tensorflow/tensorflow/issues/49930).
    """
    variance = normalization.adapt_variance.numpy()  # (3,)
    if np.allclose(variance, _DEVIATION, atol=1e-3):
        normalization.adapt_variance.assign(variance**2)
        normalization.finalize_state()  # it computes with a constant that it makes of the variable
