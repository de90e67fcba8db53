"""What becomes of a pixel, by hand-made images; what becomes of a broken file, by breaking it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stages.datasets import image_decoding
from stages.datasets.image_decoding import ImageFault, Target, decode

PLAIN = Target()
GRAY = Target(color="gray")


def png(path: Path, pixels: Any, mode: str | None = None) -> Path:
    image = Image.fromarray(np.array(pixels, np.uint8))
    (image.convert(mode) if mode else image).save(path)
    return path


def test_rgb_comes_as_it_is_and_gray_by_itu_601(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]]])
    assert decode(path, PLAIN).tolist() == [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]]]
    assert decode(path, GRAY)[..., 0].tolist() == [[76, 150], [29, 18]]  # 0.299, 0.587, 0.114 of 255; 18.15


@pytest.mark.parametrize("extension", ["png", "bmp"])
def test_gray_images_become_three_equal_channels(tmp_path: Path, extension: str) -> None:
    path = png(tmp_path / f"a.{extension}", [[0, 7], [200, 255]])
    assert decode(path, PLAIN)[..., 2].tolist() == [[0, 7], [200, 255]]
    assert decode(path, GRAY).shape == (2, 2, 1)


def test_a_palette_is_resolved(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([1, 0])
    image.save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png", PLAIN).tolist() == [[[40, 50, 60], [10, 20, 30]]]


def test_transparent_pixels_are_laid_over_white(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", [[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 128]]])
    assert decode(path, PLAIN).tolist() == [[[10, 20, 30], [255, 255, 255], [127, 127, 127]]]


def test_a_transparent_palette_entry_is_laid_over_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([1, 0])
    image.save(tmp_path / "a.png", transparency=0)
    assert decode(tmp_path / "a.png", PLAIN).tolist() == [[[40, 50, 60], [255, 255, 255]]]


def test_16_bits_keep_the_high_byte(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255, 256, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png", GRAY)[..., 0].tolist() == [[0, 0, 1, 255]]


def test_one_bit_becomes_0_and_255(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", [[0, 255]], "1")
    assert decode(path, GRAY)[..., 0].tolist() == [[0, 255]]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.jpg", quality=100)
    assert np.abs(decode(tmp_path / "a.jpg", PLAIN)[0, 0].astype(int) - [0, 255, 255]).max() <= 2


def test_the_orientation_of_a_camera_is_applied(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0] * 8, [255] * 8] * 4, np.uint8).reshape(8, 8))
    image = image.resize((16, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the top is at the right
    image.save(tmp_path / "a.jpg", exif=exif)
    assert decode(tmp_path / "a.jpg", GRAY).shape == (16, 8, 1)


def wide(tmp_path: Path) -> Path:
    """Left half black, right half white, twice as wide as high."""
    return png(tmp_path / "wide.png", [[0] * 4 + [255] * 4] * 4)


def test_stretch_crop_and_pad_treat_another_aspect_ratio_differently(tmp_path: Path) -> None:
    path = wide(tmp_path)
    targets = {fit: Target((2, 2), "gray", fit, "area") for fit in ("stretch", "crop", "pad")}
    rows = {fit: decode(path, target)[..., 0].tolist() for fit, target in targets.items()}
    assert rows["stretch"] == [[0, 255], [0, 255]]
    assert rows["crop"] == [[0, 255], [0, 255]]  # the middle 4x4, whose left half is black
    assert rows["pad"] == [[0, 255], [0, 0]]  # 2x1 and a black row


def test_crop_takes_the_middle(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", [[0, 0, 9, 9, 9, 9, 0, 0]] * 4)
    assert decode(path, Target((4, 4), "gray", "crop"))[..., 0].tolist() == [[9] * 4] * 4


def test_area_averages_all_pixels_and_nearest_takes_one(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", [[0, 100], [20, 80]])
    assert decode(path, Target((1, 1), "gray", resize="area")).item() == 50
    assert decode(path, Target((1, 1), "gray", resize="nearest")).item() in (0, 100, 20, 80)


def test_a_photo_that_is_decoded_smaller_gives_nearly_the_same_pixels(tmp_path: Path,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = np.mgrid[:800, :1000]
    pixels = np.stack([x / 4, y / 4, 128 + 100 * np.sin(x / 90) * np.cos(y / 70)], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
    quick = decode(tmp_path / "a.jpg", Target((48, 64))).astype(int)
    drafts: list[Any] = []
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.draft", lambda *given: drafts.append(given))
    whole = decode(tmp_path / "a.jpg", Target((48, 64))).astype(int)
    assert len(drafts) == 1
    assert np.abs(quick - whole).max() <= 3
    decode(tmp_path / "a.jpg", Target((400, 500)))
    assert len(drafts) == 1  # too little would be left


@pytest.mark.parametrize(("content", "reason"), [
    (b"", "an empty file"), (b"not an image", "no image of the formats JPEG, PNG, BMP"),
    (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "no image of the formats"),
    (b"\xff\xd8\xff\xe0", ""), (b"\x89PNG\r\n\x1a\n\x00\x00", ""), (b"BM\x00", ""),
])
def test_what_is_no_image_says_so(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageFault, match=reason or "."):
        decode(path, PLAIN)


@pytest.mark.parametrize("extension", ["jpg", "png", "bmp"])
def test_a_file_cut_off_anywhere_is_a_fault_and_nothing_else(tmp_path: Path, extension: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    path = tmp_path / f"a.{extension}"
    Image.fromarray(noise).save(path)
    content, faults = path.read_bytes(), 0
    for length in range(0, len(content) - 64, max(1, len(content) // 60)):
        path.write_bytes(content[:length])
        with pytest.raises(ImageFault):
            decode(path, PLAIN)
        faults += 1
    assert faults >= 50


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("extension", ["jpg", "png", "bmp"])
def test_flipped_bytes_give_an_image_or_a_fault_and_nothing_else(tmp_path: Path, extension: str) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / f"a.{extension}"
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    content, outcomes = path.read_bytes(), set()
    for _ in range(300):
        broken = bytearray(content)
        for place in rng.integers(0, min(len(content), 400), 3):
            broken[place] = rng.integers(0, 256)
        path.write_bytes(broken)
        try:
            outcomes.add(decode(path, Target((8, 8))).shape)
        except ImageFault as fault:
            outcomes.add(str(fault))
    assert ((8, 8, 3) in outcomes) == (extension != "png")  # every byte of a PNG stands under a checksum
    assert len(outcomes) > 2


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header says that it is huge."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bomb(side, side))
    with pytest.raises(ImageFault, match=f"more than {image_decoding.LARGEST_PIXELS:,}"):
        decode(path, PLAIN)


def test_pixels_of_32_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageFault, match="32 bits"):
        decode(tmp_path / "a.tif", Target(formats=("TIFF",)))


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ImageFault, match="No such file"):
        decode(tmp_path / "a.png", PLAIN)
