"""What a batch becomes, with numbers worked out by hand."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import StageError
from stages.augmentation import APPLIES, Augmentation, Layout, SpecAugment, augment, check_augmentation

EVERYTHING: dict[Layout, dict[str, Any]] = {
    "image": {"horizontal_flip": True, "vertical_flip": True, "shift": 2, "crop": 0.6, "rotate": 10, "brightness": 0.2,
              "contrast": 0.2, "noise": 0.1, "cutout": 0.3},
    "spectrogram": {"time_shift": 0.2, "brightness": 0.2, "contrast": 0.2, "noise": 0.1,
                    "spec_augment": {"time_masks": 2, "time_width": 2, "frequency_masks": 1, "frequency_width": 2}},
    "vector": {"noise": 0.1},
}


def batch(count: int = 200, seed: int = 3) -> np.ndarray:
    """Images of random values.  # (count, 8, 6, 2) float32"""
    return np.random.default_rng(seed).random((count, 8, 6, 2), dtype=np.float32)


def changed(x: np.ndarray, layout: Layout = "image", seed: int = 1, **settings: Any) -> np.ndarray:
    return augment(x, Augmentation(**settings), np.random.default_rng(seed), layout)


@pytest.mark.parametrize("layout", EVERYTHING)
def test_the_same_seed_gives_the_same_bytes_and_the_batch_is_left_alone(layout: Layout) -> None:
    x = batch()
    before = x.copy()
    first, second = (changed(x, layout, **EVERYTHING[layout]) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.dtype == np.float32
    assert first.shape == x.shape
    assert np.array_equal(x, before)
    assert not np.array_equal(first, changed(x, layout, seed=2, **EVERYTHING[layout]))


@pytest.mark.parametrize("layout", EVERYTHING)
def test_all_off_gives_the_batch_itself_and_draws_nothing(layout: Layout) -> None:
    x, rng = batch(), np.random.default_rng(1)
    assert augment(x, Augmentation(), rng, layout) is x
    assert rng.random() == np.random.default_rng(1).random()


def test_everything_that_applies_to_a_layout_is_tried_here() -> None:
    assert {layout: set(settings) for layout, settings in EVERYTHING.items()} == {
        layout: set(names) for layout, names in APPLIES.items()}


def test_every_operation_applies_somewhere() -> None:
    assert set().union(*APPLIES.values()) == set(Augmentation.model_fields) - {"padding"}


def test_about_every_other_image_is_mirrored_and_no_other_is_touched() -> None:
    x = batch()
    flipped = changed(x, horizontal_flip=True)
    mirrored = [np.array_equal(after, before[:, ::-1]) for before, after in zip(x, flipped, strict=True)]
    same = [np.array_equal(after, before) for before, after in zip(x, flipped, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 70 < sum(mirrored) < 130  # 100 expected, standard deviation 7


def test_a_vertical_flip_turns_images_upside_down() -> None:
    x = batch()
    flipped = changed(x, vertical_flip=True)
    assert {np.array_equal(after, before[::-1]) for before, after in zip(x, flipped, strict=True)} == {True, False}


def places(x: np.ndarray) -> set[tuple[int, int]]:
    """Where the one bright pixel of each image is; (-1, -1) where it is gone."""
    found = [np.argwhere(image[:, :, 0] == 1) for image in x]
    return {(int(each[0][0]), int(each[0][1])) if len(each) else (-1, -1) for each in found}


def test_a_shift_in_pixels_reaches_every_place_up_to_its_limit() -> None:
    x = np.zeros((400, 8, 6, 1), np.float32)
    x[:, 4, 3] = 1
    assert places(changed(x, shift=1)) == {(row, column) for row in (3, 4, 5) for column in (2, 3, 4)}


def test_a_shift_below_one_is_a_share_of_each_side() -> None:
    x = np.zeros((400, 8, 6, 1), np.float32)
    x[:, 4, 3] = 1
    moved = places(changed(x, shift=0.25))  # 2 of 8 rows, 1 of 6 columns
    assert moved == {(row, column) for row in range(2, 7) for column in (2, 3, 4)}


def test_what_is_moved_gets_no_black_border_unless_that_is_asked_for() -> None:
    x = np.ones((50, 8, 6, 1), np.float32)
    assert changed(x, shift=2).min() == 1
    assert changed(x, "spectrogram", time_shift=0.3).min() == 1
    assert changed(x, shift=2, padding="zero").min() == 0


def test_a_time_shift_moves_frames_and_leaves_frequencies_where_they_are() -> None:
    x = np.zeros((200, 8, 6, 1), np.float32)
    x[:, 4, 3] = 1
    assert places(changed(x, "spectrogram", time_shift=0.13)) == {(3, 3), (4, 3), (5, 3)}  # 1.04 of 8 frames


def test_a_crop_keeps_at_least_its_share_of_the_area() -> None:
    ramp = np.tile(np.arange(16, dtype=np.float32)[None, None, :, None], (300, 16, 1, 1))
    cut = changed(ramp, crop=0.25)
    step = (cut[:, 8, 9] - cut[:, 8, 8])[:, 0]  # pixels of the source for each pixel shown: the share of the side
    assert step.min() >= 0.5 - 1e-5
    assert step.min() < 0.55
    assert step.max() <= 1 + 1e-5
    assert cut.min() >= 0
    assert cut.max() <= 15


def test_a_rotation_keeps_the_centre_and_stays_within_its_angle() -> None:
    x = np.zeros((300, 9, 9, 1), np.float32)
    x[:, 4, :] = 1  # a horizontal line
    turned = changed(x, rotate=20)
    assert turned[:, 4, 4, 0] == pytest.approx(np.ones(300), abs=1e-5)
    height = np.sin(np.radians(20)) * 4 / np.cos(np.radians(20))  # of the line at its end
    assert height == pytest.approx(1.456, abs=1e-3)
    assert turned[:, 0:2, 4].max() == 0
    assert turned[:, 3, 8].max() > 0.5


def test_brightness_adds_one_number_to_a_whole_image() -> None:
    x = batch()
    added = (changed(x, brightness=0.5) - x).reshape(200, -1)
    assert np.ptp(added, axis=1).max() < 1e-6
    assert -0.5 <= added.min() < -0.4
    assert 0.4 < added.max() <= 0.5


def test_contrast_stretches_about_the_mean_of_each_channel() -> None:
    x = np.tile(np.array([[0.0, 10], [2, 30]], np.float32).reshape(1, 1, 2, 2), (100, 1, 1, 1))  # means 1 and 20
    y = changed(x, contrast=0.5)
    assert y.mean(axis=(1, 2)) == pytest.approx(np.tile([1, 20], (100, 1)), rel=1e-6)
    factor = (y[:, 0, 1, 0] - y[:, 0, 0, 0]) / 2
    assert (y[:, 0, 1, 1] - y[:, 0, 0, 1]) / 20 == pytest.approx(factor, rel=1e-5)
    assert 0.5 <= factor.min() < 0.6
    assert 1.4 < factor.max() <= 1.5


@pytest.mark.parametrize("layout", ["image", "spectrogram", "vector"])
def test_noise_has_the_standard_deviation_that_was_asked_for(layout: Layout) -> None:
    x = batch()
    noise = changed(x, layout, noise=0.1) - x  # 19,200 values: the deviation is known to 0.5 %
    assert noise.std() == pytest.approx(0.1, rel=0.03)
    assert abs(noise.mean()) < 0.003
    assert len(np.unique(noise[0])) > 50


def test_noise_takes_a_vector_of_any_shape() -> None:
    assert changed(np.zeros((4, 30), np.float32), "vector", noise=1).shape == (4, 30)


def test_cutout_makes_a_square_hole_of_the_mean_of_its_channel() -> None:
    x = np.tile(np.array([1.0, 5.0], np.float32), (300, 8, 6, 1))
    x[:, 0, 0] = (1 + 48, 5 + 96)  # means 2 and 7
    y = changed(x, cutout=0.5)  # a side of 3
    hole = (y == np.array([2, 7], np.float32)).all(axis=-1)
    untouched = (y == x).all(axis=-1)
    assert (hole ^ untouched).all()
    assert {int(each.sum()) for each in hole} == {4, 6, 9}  # at the border, part of it lies outside
    rows = hole.any(axis=2).sum(axis=1)
    assert rows.max() == 3


def test_spec_augment_takes_out_whole_stripes_up_to_their_width() -> None:
    x = np.tile(np.arange(80, dtype=np.float32).reshape(1, 10, 8, 1), (400, 1, 1, 1))  # mean 39.5
    y = changed(x, "spectrogram", spec_augment={"time_masks": 1, "time_width": 3})
    gone = y[:, :, :, 0] == 39.5
    assert np.array_equal(gone.any(axis=2), gone.all(axis=2))  # a frame is gone as a whole, or not at all
    frames = gone.all(axis=2)
    assert set(frames.sum(axis=1).tolist()) == {0, 1, 2, 3}
    assert frames.any(axis=0).all()  # first and last frames included
    assert np.array_equal(y[~gone], x[:, :, :, 0][~gone].reshape(-1, 1))


def test_spec_augment_takes_out_frequencies_several_times() -> None:
    x = np.tile(np.arange(80, dtype=np.float32).reshape(1, 10, 8, 1), (400, 1, 1, 1))
    y = changed(x, "spectrogram", spec_augment={"frequency_masks": 2, "frequency_width": 2})
    gone = (y[:, :, :, 0] == 39.5)
    assert np.array_equal(gone.any(axis=1), gone.all(axis=1))
    assert set(gone.all(axis=1).sum(axis=1).tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(("layout", "settings"), [
    ("vector", {"horizontal_flip": True}), ("vector", {"time_shift": 0.1}), ("image", {"time_shift": 0.1}),
    ("image", {"spec_augment": {"time_masks": 1, "time_width": 2}}), ("spectrogram", {"rotate": 5}),
    ("spectrogram", {"cutout": 0.5}), ("spectrogram", {"shift": 2}), ("vector", {"brightness": 0.1}),
])
def test_an_operation_that_makes_no_sense_for_the_samples_is_refused_by_name(layout: Layout,
                                                                            settings: dict[str, Any]) -> None:
    with pytest.raises(StageError, match=f"augmentation.{next(iter(settings))} does not apply") as caught:
        changed(batch(), layout, **settings)
    assert caught.value.allowed == ", ".join(APPLIES[layout])


@pytest.mark.parametrize(("layout", "settings", "message"), [
    ("image", {"shift": 6}, "augmentation.shift is 6, which is all of the shorter side: 6"),
    ("spectrogram", {"spec_augment": {"time_masks": 1, "time_width": 8}}, "8, which is all of the frames: 8"),
    ("spectrogram", {"spec_augment": {"frequency_masks": 1, "frequency_width": 9}}, "all of the frequencies: 6"),
])
def test_an_operation_that_would_leave_nothing_is_refused(layout: Layout, settings: dict[str, Any],
                                                          message: str) -> None:
    with pytest.raises(StageError, match=message):
        check_augmentation(Augmentation(**settings), layout, (8, 6, 2))


def test_samples_without_three_axes_are_no_images() -> None:
    with pytest.raises(StageError, match=r"samples of the shape \(8, 6\) are no image"):
        changed(np.zeros((2, 8, 6), np.float32), horizontal_flip=True)


@pytest.mark.parametrize(("settings", "message"), [
    ({"shift": 2.5}, "give whole pixels, or a share of the side below 1"),
    ({"crop": 0}, "greater than 0"), ({"crop": 1.5}, "less than or equal to 1"),
    ({"rotate": 90}, "less than or equal to 45"), ({"contrast": 1}, "less than 1"),
    ({"noise": -0.1}, "greater than or equal to 0"), ({"time_shift": 1}, "less than 1"),
    ({"padding": "wrap"}, "'zero', 'edge' or 'reflect'"), ({"mixup": 0.2}, "Extra inputs are not permitted"),
    ({"spec_augment": {"time_masks": 2}}, "time_masks is 2 and time_width 0; give both, or neither"),
    ({"spec_augment": {"frequency_width": 2}}, "frequency_masks is 0 and frequency_width 2; give both, or neither"),
])
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Augmentation(**settings)


def test_what_is_on_is_known_by_name() -> None:
    assert Augmentation().enabled() == ()
    assert Augmentation(padding="edge").enabled() == ()
    settings = Augmentation(noise=0.1, horizontal_flip=True, spec_augment=SpecAugment(time_masks=1, time_width=1))
    assert settings.enabled() == ("horizontal_flip", "noise", "spec_augment")


def test_flip_and_shift_of_a_batch_take_under_five_milliseconds_of_processor_time() -> None:
    x = np.random.default_rng(0).random((64, 32, 32, 3), dtype=np.float32)
    settings, taken = Augmentation(horizontal_flip=True, shift=4), []
    for seed in range(20):
        start = time.process_time()
        augment(x, settings, np.random.default_rng(seed), "image")
        taken.append(time.process_time() - start)
    assert min(taken) < 0.005
