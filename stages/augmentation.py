"""Training samples changed at random, batch by batch, so that a model learns what does not matter.

Each sample draws its own numbers; an operation that is off draws none. First comes geometry (flip, then shift; crop and
rotation in one resampling), then values (brightness, contrast, noise), then holes (cutout, SpecAugment). A hole is
filled with the mean of the sample's channel, so that it says the same whatever the normalization.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from device_profiles.errors import StageError
from device_profiles.records import Record
from stages.resampling import Padding, resample_affine, shift_and_flip

Layout = Literal["image", "spectrogram", "vector"]
"""image: (height, width, channels). spectrogram: (frames, frequencies, channels). vector: any shape."""
Floats = NDArray[np.float32]


class SpecAugment(Record):
    """Stripes of a spectrogram taken out, as in Park et al., 2019 (arXiv:1904.08779), without the warping of time."""

    time_masks: int = Field(default=0, ge=0, description="stripes of frames taken out of each sample")
    time_width: int = Field(default=0, ge=0, description="most frames in one stripe")
    frequency_masks: int = Field(default=0, ge=0, description="stripes of frequencies taken out of each sample")
    frequency_width: int = Field(default=0, ge=0, description="most frequencies in one stripe")

    @model_validator(mode="after")
    def _both_or_neither(self) -> SpecAugment:
        for axis in ("time", "frequency"):
            masks, width = getattr(self, f"{axis}_masks"), getattr(self, f"{axis}_width")
            if bool(masks) != bool(width):
                raise ValueError(f"{axis}_masks is {masks} and {axis}_width {width}; give both, or neither")
        return self


class Augmentation(Record):
    """What a user may set. All of it is off by default."""

    horizontal_flip: bool = Field(default=False, description="mirror left and right, every other sample")
    vertical_flip: bool = Field(default=False, description="mirror top and bottom, every other sample")
    shift: float = Field(default=0, ge=0, description="most to move an image by each way: below 1 a share of the side, "
                                                      "else whole pixels")
    time_shift: float = Field(default=0, ge=0, lt=1, description="most to move a spectrogram, share of frames")
    padding: Padding = Field(default="edge", description="what comes in at the border of what is moved")
    crop: float = Field(default=1, gt=0, le=1, description="least share of the area to cut out and enlarge; 1: off")
    rotate: float = Field(default=0, ge=0, le=45, description="most to turn an image by either way, degrees")
    brightness: float = Field(default=0, ge=0, description="most to add to all values or take away, normalized units")
    contrast: float = Field(default=0, ge=0, lt=1, description="most to stretch values about their mean, share")
    noise: float = Field(default=0, ge=0, description="standard deviation of normal noise, normalized units")
    cutout: float = Field(default=0, ge=0, lt=1, description="side of a square hole, share of the shorter side")
    spec_augment: SpecAugment = Field(default=SpecAugment(), description="stripes taken out of a spectrogram")

    @model_validator(mode="after")
    def _whole_pixels(self) -> Augmentation:
        if self.shift >= 1 and self.shift != int(self.shift):
            raise ValueError(f"shift is {self.shift}; give whole pixels, or a share of the side below 1")
        return self

    def enabled(self) -> tuple[str, ...]:
        """Names of the operations that are on; empty where samples stay as they are."""
        default = Augmentation()
        return tuple(name for name in type(self).model_fields
                     if name != "padding" and getattr(self, name) != getattr(default, name))


APPLIES: dict[Layout, tuple[str, ...]] = {
    "image": ("horizontal_flip", "vertical_flip", "shift", "crop", "rotate", "brightness", "contrast", "noise",
              "cutout"),
    "spectrogram": ("time_shift", "brightness", "contrast", "noise", "spec_augment"),
    "vector": ("noise",),
}
"""Operations by the layout that they make sense for."""


def check_augmentation(settings: Augmentation, layout: Layout, shape: tuple[int, ...]) -> None:
    """Refuse operations that make no sense for the samples, or that would leave nothing of them.

    Args:
        settings: see `Augmentation`.
        layout: what the axes of a sample are.
        shape: of one sample, without the batch axis.

    Raises:
        StageError: the operation is named.
    """
    for name in settings.enabled():
        if name not in APPLIES[layout]:
            raise StageError(f"augmentation.{name} does not apply to samples that are a {layout}",
                             ", ".join(APPLIES[layout]), f"leave augmentation.{name} out")
    if layout == "vector":
        return
    if len(shape) != 3:
        raise StageError(f"samples of the shape {tuple(shape)} are no {layout}", "three axes, the last one channels")
    spec = settings.spec_augment
    _check_length("shift", int(settings.shift), min(shape[:2]), "the shorter side")
    _check_length("spec_augment.time_width", spec.time_width, shape[0], "the frames")
    _check_length("spec_augment.frequency_width", spec.frequency_width, shape[1], "the frequencies")


def augment(x: Floats, settings: Augmentation, rng: np.random.Generator, layout: Layout) -> Floats:
    """A batch changed at random; the same generator state gives the same bytes.

    Args:
        x: (batch, *sample_shape) float32, normalized; it is not changed.
        settings: see `Augmentation`.
        rng: where all numbers are drawn from.
        layout: what the axes of a sample are.

    Returns:
        (batch, *sample_shape) float32; `x` itself where nothing is on.

    Raises:
        StageError: an operation does not apply to samples of this layout or shape.
    """
    check_augmentation(settings, layout, x.shape[1:])
    if layout != "vector":
        x = _move(x, settings, rng)
    if settings.crop < 1 or settings.rotate:
        x = _cut_and_turn(x, settings, rng)
    x = _values(x, settings, rng)
    if settings.cutout:
        x = _cutout(x, settings.cutout, rng)
    return _spec_augment(x, settings.spec_augment, rng)


def _check_length(name: str, found: int, length: int, of: str) -> None:
    """Refuse a number of pixels, frames or frequencies that leaves nothing."""
    if found >= length:
        raise StageError(f"augmentation.{name} is {found}, which is all of {of}: {length}", f"less than {length}",
                         f"lower augmentation.{name}")


def _move(x: Floats, settings: Augmentation, rng: np.random.Generator) -> Floats:
    """Flip and shift by whole pixels."""
    batch, height, width = x.shape[:3]
    flips = tuple(rng.random(batch) < 0.5 if wanted else None
                  for wanted in (settings.vertical_flip, settings.horizontal_flip))
    limits = (_pixels(settings.time_shift or settings.shift, height), _pixels(settings.shift, width))
    offsets = tuple(rng.integers(-limit, limit + 1, batch) if limit else None for limit in limits)
    if all(each is None for each in (*flips, *offsets)):
        return x
    return shift_and_flip(x, offsets, flips, settings.padding)


def _cut_and_turn(x: Floats, settings: Augmentation, rng: np.random.Generator) -> Floats:
    """Crop and rotation."""
    batch = len(x)
    scales, centres, angles = np.ones(batch), np.zeros((2, batch)), np.zeros(batch)
    if settings.crop < 1:
        scales = np.sqrt(rng.uniform(settings.crop, 1, batch))
        centres = rng.uniform(-0.5, 0.5, (2, batch)) * (1 - scales)
    if settings.rotate:
        angles = np.radians(rng.uniform(-settings.rotate, settings.rotate, batch))
    return resample_affine(x, scales, centres, angles, settings.padding)


def _pixels(limit: float, side: int) -> int:
    """A largest shift in whole pixels."""
    return int(limit) if limit >= 1 else int(limit * side)


def _values(x: Floats, settings: Augmentation, rng: np.random.Generator) -> Floats:
    """Brightness, contrast and noise."""
    one = (len(x), *(1,) * (x.ndim - 1))  # one number a sample
    if settings.brightness:
        x = x + rng.uniform(-settings.brightness, settings.brightness, one).astype(np.float32)
    if settings.contrast:
        factor = rng.uniform(1 - settings.contrast, 1 + settings.contrast, one).astype(np.float32)
        x = x * factor + _channel_means(x) * (1 - factor)
    if settings.noise:
        x = x + np.float32(settings.noise) * rng.standard_normal(x.shape, np.float32)
    return x


def _channel_means(x: Floats) -> Floats:
    """Mean of each channel of each sample, for a whole row.  # (batch, 1, width, channels).

    A product of matrices: numpy's `mean` over these axes takes fifty times as long. Whole rows, because numpy's inner
    loop goes over the last axes, and there are few channels.
    """
    batch, height, width, channels = x.shape
    means = np.ones((1, height * width), np.float32) @ x.reshape(batch, -1, channels) / np.float32(height * width)
    return np.tile(means[:, :, None, :], (1, 1, width, 1))


def _cutout(x: Floats, share: float, rng: np.random.Generator) -> Floats:
    """A square hole whose centre lies anywhere in the image; DeVries and Taylor, 2017 (arXiv:1708.04552)."""
    batch, height, width = x.shape[:3]
    side = max(1, round(share * min(height, width)))
    top = rng.integers(0, height, batch) - side // 2
    left = rng.integers(0, width, batch) - side // 2
    hole = _stripe(top, side, height)[:, :, None] & _stripe(left, side, width)[:, None, :]  # (batch, height, width)
    return np.where(hole[..., None], _channel_means(x), x)


def _spec_augment(x: Floats, settings: SpecAugment, rng: np.random.Generator) -> Floats:
    """Stripes of frames and of frequencies taken out; each is 0 to its largest width wide, wherever it fits."""
    axes = ((1, settings.time_masks, settings.time_width), (2, settings.frequency_masks, settings.frequency_width))
    for axis, masks, most in axes:
        if not masks:
            continue
        batch, length = len(x), x.shape[axis]
        hole = np.zeros((batch, length), bool)
        for _ in range(masks):
            width = rng.integers(0, most + 1, batch)
            hole |= _stripe(rng.integers(0, length - width + 1), width, length)
        x = np.where(np.expand_dims(hole, (3 - axis, 3)), _channel_means(x), x)
    return x


def _stripe(start: NDArray[np.int64], width: NDArray[np.int64] | int, length: int) -> NDArray[np.bool_]:
    """Whether a position lies in `start..start + width - 1`.  # (batch, length)."""
    position = np.arange(length) - start[:, None]
    return (position >= 0) & (position < np.reshape(width, (-1, 1)))
