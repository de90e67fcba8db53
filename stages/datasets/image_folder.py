"""Images in folders, a class per directory.

`folders` says how a folder may be laid out, `image_decoding` what becomes of a pixel.

An image that cannot be decoded is skipped and named; whether too many are is decided by the prepare stage.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from device_profiles.errors import DataError, with_near_miss
from device_profiles.strictyaml import refusal
from stages.datasets.arrays import CHUNK_BYTES
from stages.datasets.folders import (
    FolderFile,
    FolderSettings,
    Listing,
    Rules,
    check_kind,
    folder_digest,
    list_folder,
    slice_columns,
)
from stages.datasets.image_decoding import FORMATS, Color, Fit, ImageFault, Resize, Target, decode
from stages.datasets.records import Chunk, LabelKind, Reader
from stages.records import SkippedSample

LIBRARIES = ("pillow",)
Image = NDArray[Any]
EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp")
BLOCK = 32
"""Images that a thread decodes at a time: handing over single small ones costs as much as decoding them."""


class Settings(FolderSettings):
    """Which folder, and what every image becomes."""

    kind: Literal["image_folder"] = "image_folder"
    size: tuple[int, int] | None = Field(default=None, description="[height, width]; left out: all images must agree")
    color: Color = Field(default="rgb", description="rgb or gray")
    resize: Resize = Field(default="bilinear", description="nearest, bilinear, bicubic, lanczos or area")
    fit: Fit = Field(default="stretch", description="stretch, crop (the middle) or pad (with black)")
    extensions: tuple[str, ...] = Field(default=EXTENSIONS, min_length=1, description="of files that are samples")

    @field_validator("size")
    @classmethod
    def _size_is_positive(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value and not all(1 <= side <= 4096 for side in value):
            raise ValueError("height and width must be 1 to 4096")
        return value

    @field_validator("extensions")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        spelled = tuple(f".{extension.lower().removeprefix('.')}" for extension in value)
        for extension in spelled:
            if extension not in FORMATS:
                raise refusal(with_near_miss(f"cannot decode '{extension}'", extension, FORMATS), ", ".join(FORMATS))
        return spelled

    def rules(self) -> Rules:
        """How the folder is read."""
        return Rules(self.extensions, set(FORMATS) - set(self.extensions), self.labels_from, self.group, self.slices)

    def target(self) -> Target:
        """What every image becomes."""
        formats = tuple(dict.fromkeys(FORMATS[extension] for extension in self.extensions))
        return Target(self.size, self.color, self.fit, self.resize, formats)


def open_reader(settings: Settings, labels: LabelKind) -> Reader:
    """A reader of the folder's images.

    Raises:
        DataError: the folder's layout is off, or folders cannot give labels of this kind.
    """
    check_kind(settings, labels, "an image folder", "sample")
    listing = list_folder(settings.path, settings.rules())
    values = listing.numbers() if labels == "values" else None
    return ImageReader(class_names=() if values else listing.class_names, total=len(listing.files), listing=listing,
                       values=values, target=settings.target(), grouped=settings.group is not None)


def source_digest(settings: Settings, cache: Path | None = None) -> str:
    """SHA-256 over names and contents of all images.

    Raises:
        DataError: the folder's layout is off, or a file cannot be read.
    """
    return f"{settings.kind}:sha256:{folder_digest(list_folder(settings.path, settings.rules()), cache)}"


@dataclass
class ImageReader(Reader):
    """Decodes in threads, in the order of the listing, some MiB at a time.

    Attributes:
        listing: what to read.
        target: what every image becomes.
        values: a number for each file where labels are numbers, else None.
        grouped: whether the files have groups.
    """

    listing: Listing = field(default_factory=lambda: Listing((), ()))
    target: Target = field(default_factory=Target)
    values: Sequence[float] | None = None
    grouped: bool = False
    _first: tuple[str, tuple[int, ...]] | None = field(default=None, init=False)

    def chunks(self) -> Iterator[Chunk]:
        """See `Reader.chunks`."""
        reason = f"not of the formats {', '.join(self.target.formats)}"
        self.skipped += [SkippedSample(name=name, reason=reason) for name in self.listing.others]
        y = self.listing.labels(self.values)
        with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as pool:
            for places in self._portions():
                x = self._decoded(pool, places)
                if x:
                    yield self._chunk(x, y)

    def _portions(self) -> Iterator[range]:
        """Places of each chunk's files; as long as the images' size is not known, few at a time."""
        channels, start, stop = 3 if self.target.color == "rgb" else 1, 0, len(self.listing.files)
        while start < stop:
            size = self.target.size or (self._first[1][:2] if self._first else None)
            step = max(1, CHUNK_BYTES // (prod(size) * channels)) if size else BLOCK
            yield range(start, min(start + step, stop))
            start += step

    def _decoded(self, pool: Executor, places: range) -> dict[int, Image]:
        """By place, the images that can be read; the others are noted as skipped."""
        files = self.listing.files
        blocks = [files[start:min(start + BLOCK, places.stop)] for start in places[::BLOCK]]
        results = (result for block in pool.map(self._decode_block, blocks) for result in block)
        kept = {}
        for place, result in zip(places, results, strict=True):
            if isinstance(result, ImageFault):
                self.skipped.append(SkippedSample(name=files[place].name, reason=str(result)))
            else:
                self._check_shape(files[place].name, result.shape)
                kept[place] = result
        return kept

    def _decode_block(self, files: Sequence[FolderFile]) -> list[Image | ImageFault]:
        """Images, or why there is none."""
        results: list[Image | ImageFault] = []
        for file in files:
            try:
                results.append(decode(file.path, self.target))
            except ImageFault as fault:
                results.append(fault)
        return results

    def _check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        """Refuse an image of another size than the first, where no size was set."""
        first, other = self._first or (name, shape)
        self._first = first, other
        if shape != other:
            sizes = f"{first} is {other[0]}x{other[1]} pixels (height x width), {name} is {shape[0]}x{shape[1]}"
            raise DataError(sizes, "images of one size, or a size that all are brought to",
                            f"set data.source.size: [{other[0]}, {other[1]}]")

    def _chunk(self, x: Mapping[int, Image], y: Image) -> Chunk:
        """A chunk of images by place, and all labels."""
        files = [self.listing.files[place] for place in x]
        return Chunk(x=np.stack(list(x.values())), y=y[list(x)], names=[file.name for file in files],
                     groups=[file.group for file in files] if self.grouped else (),
                     splits=[file.split for file in files] if files[0].split else (), slices=slice_columns(files))
