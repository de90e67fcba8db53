"""Layers that prepare inputs: arithmetic that stays in the model, and augmentation that does nothing in inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stages.models.bridge.builder import Builder, MakeTwin, Twin
from stages.models.bridge.configs import translate
from stages.models.bridge.records import refusal

_AUGMENTATION = (
    "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomElasticTransform",
    "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert",
    "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness",
    "RandomShear", "RandomTranslation", "RandomZoom",
)


def augmentation(builder: Builder, _: Any, name: str) -> Twin:
    """Nothing: inference hands the images through, as float32."""
    builder.note(name, "dropped: augmentation acts in training alone")

    def hand_through(x: Any) -> Any:
        """As the layer in inference."""
        return x if x.dtype.name == "float32" else builder.cast(x, "float32", f"{name}_cast")

    return hand_through


def pipeline(builder: Builder, layer: Any, name: str) -> Twin:
    """`Pipeline`: its layers one after another."""
    twins = [builder.twin(inner, builder.fresh(f"{name}_{inner.name}")) for inner in layer.layers]

    def run_all(x: Any) -> Any:
        """As the layer in inference."""
        for twin in twins:
            x = twin(x)
        return x

    return run_all


def rescaling(builder: Builder, layer: Any, name: str) -> Twin:
    """`x * scale + offset`."""
    scale, offset = (np.asarray(value, np.float32).tolist() for value in (layer.scale, layer.offset))
    twin: Twin = builder.kl.Rescaling(scale, offset, name=name)
    return twin


def normalization(builder: Builder, layer: Any, name: str) -> Twin:
    """`(x - mean) / max(sqrt(variance), epsilon)`, with the statistics given or adapted."""
    axis = list(layer.axis) if layer.axis is not None else []
    mean, variance = (np.asarray(value, np.float32) for value in (layer.mean, layer.variance))
    if axis:
        kept = [mean.shape[position] for position in axis]
        mean, variance = mean.reshape(kept), variance.reshape(kept)
    twin: Twin = builder.kl.Normalization(axis=axis or None, mean=mean if axis else float(mean.reshape(())),
                                          variance=variance if axis else float(variance.reshape(())),
                                          invert=layer.invert, name=name)
    return twin


def resizing(builder: Builder, layer: Any, name: str) -> Twin:
    """`Resizing` of float images without antialiasing."""
    kind = builder.kl.Resizing
    twin = kind(name=name, **translate(builder, layer, name, kind, skip=("fill_mode", "fill_value")))

    def resize(x: Any) -> Any:
        """As the layer."""
        if x.dtype.name != "float32":
            raise refusal(layer, name, f"resizes {x.dtype.name} images, which Keras 3 rounds",
                          "put a Rescaling before it", "float images")
        return twin(x)

    return resize


def center_crop(builder: Builder, layer: Any, name: str) -> Twin:
    """`CenterCrop` as `Cropping2D`, where the image is at least as large as the crop."""
    def crop(x: Any) -> Any:
        """As the layer."""
        height, width = x.shape[1:3]
        if layer.data_format != "channels_last" or not height or not width or height < layer.height \
                or width < layer.width:
            raise refusal(layer, name, f"crops {(height, width)} to {(layer.height, layer.width)}",
                          "give the model larger inputs of a fixed size", "images no smaller than the crop")
        top, left = (height - layer.height) // 2, (width - layer.width) // 2
        builder.note(name, "written as Cropping2D")
        return builder.add_layer_as("Cropping2D", name, cropping=(
            (top, height - layer.height - top), (left, width - layer.width - left)))(x)

    return crop


PREPROCESSING: Mapping[str, MakeTwin] = {
    **dict.fromkeys(_AUGMENTATION, augmentation), "Pipeline": pipeline, "Rescaling": rescaling,
    "Normalization": normalization, "Resizing": resizing, "CenterCrop": center_crop,
}
