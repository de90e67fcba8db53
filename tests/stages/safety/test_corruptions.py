"""Each corruption on samples small enough to work out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stages.datasets.audio.features import features
from stages.datasets.audio.front_end import FrontEnd
from stages.safety.corruptions import (
    KINDS,
    Corruption,
    Kind,
    Layout,
    Ranges,
    blurred,
    louder,
    noisy,
    shifted,
    spread_axes,
)

SQUARE = np.arange(9, dtype=float).reshape(3, 3, 1)  # 0 1 2 / 3 4 5 / 6 7 8
RANGES = Ranges(0.0, 255.0, np.zeros(1))


def _corruption(kind: Kind, layout: Layout = "image", severity: int = 1, ranges: Ranges = RANGES) -> Corruption:
    return Corruption(kind, layout, severity, ranges, FrontEnd())


def test_a_shift_moves_rows_and_columns_and_repeats_the_edge() -> None:
    assert shifted(SQUARE, (1, 0))[..., 0].tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5]]
    assert shifted(SQUARE, (0, -1))[..., 0].tolist() == [[1, 2, 2], [4, 5, 5], [7, 8, 8]]
    assert shifted(SQUARE, (-1, 1))[..., 0].tolist() == [[3, 3, 4], [6, 6, 7], [6, 6, 7]]


def test_a_blur_spreads_a_point_by_the_gaussians_weights_and_keeps_a_flat_image() -> None:
    point = np.zeros((3, 3, 1))
    point[1, 1] = 1.0
    side = math.exp(-1 / (2 * 0.4**2)) / (1 + 2 * math.exp(-1 / (2 * 0.4**2)) + 2 * math.exp(-4 / (2 * 0.4**2)))
    found = blurred(point, 0.4)[..., 0]
    assert found[0, 0] == pytest.approx(side * side)
    assert found[0, 1] == pytest.approx(side * found[1, 1] / math.sqrt(found[1, 1]))
    assert side == pytest.approx(0.0404, abs=1e-4)
    assert blurred(np.full((3, 3, 1), 7.0), 1.0) == pytest.approx(np.full((3, 3, 1), 7.0))


def test_noise_is_the_generators_own_times_the_deviation() -> None:
    found = noisy(SQUARE, 2.0, np.random.default_rng(5))
    assert found == pytest.approx(SQUARE + 2 * np.random.default_rng(5).normal(size=(3, 3, 1)))


def test_brightness_adds_or_takes_one_twentieth_of_the_range_within_the_range() -> None:
    x = np.full((64, 3, 3, 1), 100, np.uint8)
    found = _corruption("brightness").apply(x, np.arange(64), seed=0)
    assert found.dtype == np.uint8
    assert set(np.unique(found).tolist()) == {87, 113}  # 100 -/+ 12.75, rounded
    white = _corruption("brightness").apply(np.full((64, 3, 3, 1), 250, np.uint8), np.arange(64), seed=0)
    assert white.max() == 255


def test_a_sample_is_corrupted_alike_wherever_it_stands_in_a_part_and_otherwise_by_another_seed() -> None:
    x = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)
    for kind in KINDS["image"]:
        change = _corruption(kind, severity=2)
        whole = change.apply(x, np.arange(5), seed=3)
        assert np.array_equal(whole[3:], change.apply(x[3:], np.array([3, 4]), seed=3))
        assert kind == "blur" or not np.array_equal(whole, change.apply(x, np.arange(5), seed=4))
        assert not np.array_equal(whole, x)


def test_a_shift_of_severity_one_moves_a_small_image_by_one_pixel() -> None:
    found = _corruption("shift").apply(np.repeat(SQUARE[None], 40, axis=0).astype(np.float32), np.arange(40), seed=0)
    wanted = {shifted(SQUARE, (down, right)).tobytes() for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right}
    assert {one.astype(float).tobytes() for one in found} == wanted


def test_frames_move_in_time_and_bins_stay_where_they_are() -> None:
    frames = np.arange(100.0).reshape(1, 50, 2, 1).astype(np.float32)
    found = _corruption("time_shift", "features").apply(frames, np.array([0]), seed=0)[0, :, :, 0]
    original = frames[0, :, :, 0]
    assert found[1:].tolist() == original[:-1].tolist() or found[:-1].tolist() == original[1:].tolist()


def test_noise_on_vectors_follows_each_elements_spread_and_leaves_flags_alone() -> None:
    ranges = Ranges(0.0, 100.0, np.array([10.0, 0.0]))
    x = np.zeros((2000, 2), np.float32)
    found = _corruption("noise", "vector", 2, ranges).apply(x, np.arange(2000), seed=0)
    assert found[:, 0].std() == pytest.approx(2.0, rel=0.1)  # 20 % of 10
    assert (found[:, 1] == 0).all()
    assert spread_axes("vector", (2,)) == (0,)
    assert (spread_axes("features", (49, 10, 1)), spread_axes("features", (100, 3))) == ((0, 1, 3), (0, 1))


@pytest.mark.parametrize("settings", [
    {"feature": "mfcc"}, {"feature": "mfcc", "dct": "ortho"}, {"feature": "log_mel", "power": 2},
    {"feature": "log_mel", "log": "decibel"}, {"feature": "waveform"}],
    ids=["mfcc", "ortho", "power", "decibel", "wave"])
def test_gain_on_features_is_what_the_front_end_makes_of_a_louder_clip(settings: dict[str, object]) -> None:
    front_end = FrontEnd.model_validate({"log_offset": 1e-12, "low_hz": 200.0, **settings})
    clip = 0.1 * np.random.default_rng(0).normal(size=front_end.clip_samples)
    wanted = features(clip * 10 ** (3 / 20), front_end)
    found = louder(features(clip, front_end).astype(float), 3.0, front_end)
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("severity", [1, 5])
@pytest.mark.parametrize(("layout", "kind"), [(layout, kind) for layout, kinds in KINDS.items() for kind in kinds])
def test_every_corruption_says_its_amount(layout: Layout, kind: Kind, severity: int) -> None:
    text = _corruption(kind, layout, severity).text
    assert any(character.isdigit() for character in text)
    assert kind == "shift" or text != _corruption(kind, layout, 6 - severity).text
