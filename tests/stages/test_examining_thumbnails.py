"""Pictures are valid PNG files of bounded size, and read back as they were written."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device_profiles.errors import StoreError
from stages.examining.thumbnails import (
    LARGEST_SIDE,
    THUMBNAILS_FILE,
    is_picture,
    png,
    read_thumbnails,
    thumbnail,
    write_thumbnails,
)


def pixels_of(address: str) -> np.ndarray:
    head, _, content = address.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_decodes_to_the_same_pixels(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))).reshape(pixels.shape), pixels)


def test_values_are_shown_between_black_and_white() -> None:
    assert pixels_of(thumbnail(np.array([[-1.0, 0, 8, 16, 99]]), 0, 16)).tolist() == [[0, 0, 128, 255, 255]]
    assert pixels_of(thumbnail(np.full((2, 2), 3.0), 3, 3)).max() == 0


def test_a_large_sample_is_averaged_down() -> None:
    address = thumbnail(np.random.default_rng(0).integers(0, 256, (640, 480, 3)).astype(np.uint8), 0, 255)
    assert pixels_of(address).shape == (91, 68, 3)  # blocks of 7: ceil(640 / 96)
    assert max(pixels_of(address).shape) <= LARGEST_SIDE
    assert len(address) < 40_000


@pytest.mark.parametrize(("shape", "shown"), [
    ((32, 32, 3), True), ((49, 10, 1), True), ((28, 28), True), ((32, 32, 4), False), ((640,), False),
    ((4, 640), False), ((2, 2, 1), False)])
def test_only_what_can_be_seen_is_a_picture(shape: tuple[int, ...], shown: bool) -> None:
    assert is_picture(shape) is shown


def test_thumbnails_read_back_and_their_absence_is_no_fault(tmp_path: Path) -> None:
    assert read_thumbnails(tmp_path) == {}
    write_thumbnails(tmp_path, {"train/3": "data:image/png;base64,AA"})
    assert read_thumbnails(tmp_path) == {"train/3": "data:image/png;base64,AA"}


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_damaged_file_is_a_store_error(tmp_path: Path, content: str) -> None:
    (tmp_path / THUMBNAILS_FILE).write_text(content)
    with pytest.raises(StoreError, match="is damaged"):
        read_thumbnails(tmp_path)
