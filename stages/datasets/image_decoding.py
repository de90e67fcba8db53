"""Image files as arrays of one size and colour, by Pillow. Every rule of what becomes of a pixel stands here.

- EXIF orientation is applied. Colour profiles are not: values are taken as they stand.
- To `gray`: 0.299 R + 0.587 G + 0.114 B (ITU-R 601). To `rgb`: a grey value three times; CMYK without a profile, by
  R = (255 - C)(255 - K)/255 and so on.
- Transparent pixels are laid over white. A palette is resolved. Of an animation the first picture is taken.
- 16-bit values keep their high byte. Pixels of 32 bits are refused: they have no known range.
- `bilinear`, `bicubic`, `lanczos` and `area` average over all source pixels that a target pixel covers (Pillow's
  resize). A plain two-by-two bilinear, as many camera drivers have it, gives other values where an image is made much
  smaller.
- A JPEG at least four times as large as needed is decoded at a half, quarter or eighth of its size, still at least
  twice as large as needed: the decoder then averages pixels that the resize would average.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

Color = Literal["rgb", "gray"]
Fit = Literal["stretch", "crop", "pad"]
Resize = Literal["nearest", "bilinear", "bicubic", "lanczos", "area"]

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".gif": "GIF", ".webp": "WEBP",
           ".tif": "TIFF", ".tiff": "TIFF", ".ppm": "PPM", ".pgm": "PPM"}
"""Pillow's name of the format by extension."""

LARGEST_PIXELS = 89_478_485
"""Pillow's own bound on what may be an image and not a decompression bomb: 256 MiB as RGB."""

_FILTERS = {"nearest": "NEAREST", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "lanczos": "LANCZOS", "area": "BOX"}


@dataclass(frozen=True)
class Target:
    """What every image is to become.

    Attributes:
        size: (height, width) in pixels; None: as it is.
        color: three channels or one.
        fit: for another aspect ratio: `stretch` it, `crop` the middle out, or `pad` with black.
        resize: how.
        formats: Pillow's names of formats that may be decoded.
    """

    size: tuple[int, int] | None = None
    color: Color = "rgb"
    fit: Fit = "stretch"
    resize: Resize = "bilinear"
    formats: Collection[str] = ("JPEG", "PNG", "BMP")


class ImageFault(Exception):
    """An image that cannot be decoded; the text says why."""


def decode(path: Path, target: Target) -> NDArray[Any]:
    """Read one image.

    Returns:
        (height, width, channels) uint8.

    Raises:
        ImageFault: no image of an allowed format, truncated, damaged, too large, or of pixels without a known range.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=tuple(target.formats)) as image:
            pixels = image.width * image.height
            if pixels > LARGEST_PIXELS:
                raise ImageFault(f"{image.width}x{image.height} pixels, more than {LARGEST_PIXELS:,}")
            return _array(image, target)
    except Image.DecompressionBombError as error:
        raise ImageFault(f"more than {LARGEST_PIXELS:,} pixels") from error
    except UnidentifiedImageError as error:
        content = "an empty file" if not path.stat().st_size else f"no image of the formats {', '.join(target.formats)}"
        raise ImageFault(content) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, LookupError, TypeError,
            ArithmeticError) as error:  # what Pillow's decoders raise on damaged files
        raise ImageFault(getattr(error, "strerror", None) or str(error) or type(error).__name__) from error


def _array(image: Image, target: Target) -> NDArray[Any]:
    """The image as an array of the target's size and colour."""
    from PIL import ImageOps

    if target.size and image.format == "JPEG":
        side = 2 * _largest_side(image, target.size)
        if min(image.size) >= 2 * side:
            image.draft(image.mode, (side, side))
    if image.getexif().get(0x0112, 1) != 1:
        image = ImageOps.exif_transpose(image)
    image = _resized(_colored(image, target.color), target)
    array = np.asarray(image, np.uint8)
    return array if array.ndim == 3 else array[..., None]


def _largest_side(image: Image, size: tuple[int, int]) -> int:
    """The longer side that the image needs, whichever way it is turned, to cover the target."""
    longer, shorter = max(image.size), min(image.size)
    return int(max(size) * longer / shorter) + 1


def _colored(image: Image, color: Color) -> Image:
    """The image in mode RGB or L."""
    from PIL import Image as Images

    if image.mode in ("I", "F"):
        raise ImageFault("pixels of 32 bits, which have no known range")
    if image.mode.startswith("I;16"):
        high = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)  # (height, width)
        image = Images.fromarray(high)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        above = image.convert("RGBA")
        image = Images.alpha_composite(Images.new("RGBA", above.size, "white"), above)
    if image.mode in ("P", "CMYK", "RGBA", "YCbCr", "LAB", "HSV"):
        image = image.convert("RGB")
    wanted = "RGB" if color == "rgb" else "L"
    return image if image.mode == wanted else image.convert(wanted)


def _resized(image: Image, target: Target) -> Image:
    """The image in the target's size."""
    from PIL import Image as Images
    from PIL import ImageOps

    if target.size is None or image.size == (target.size[1], target.size[0]):
        return image
    size, method = (target.size[1], target.size[0]), Images.Resampling[_FILTERS[target.resize]]
    if target.fit == "crop":
        return ImageOps.fit(image, size, method)
    if target.fit == "pad":
        return ImageOps.pad(image, size, method)
    return image.resize(size, method)
