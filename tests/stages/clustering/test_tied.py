"""Scaled values kept through a training, in files, and counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import StageError, StoreError
from stages.clustering.scaled import Shared
from stages.clustering.tied import VALUES_FILE, count_codes, read_shared, tying, write_shared

INDEX = np.int8([[1, 2], [-1, 0], [2, -2]])[None, None]  # (1, 1, 3, 2)
SHARED = Shared(INDEX, np.float32([1, 3]))
KERNEL = np.float32([[1, 6], [-1, 0], [3, -6]])[None, None]  # scales 1 and 2


def test_a_kernel_on_its_values_stays_where_it_is() -> None:
    import tensorflow as tf

    kernel = tf.Variable(KERNEL)
    tying({"conv": kernel}, {"conv": SHARED, "elsewhere": SHARED})()
    assert kernel.numpy() == pytest.approx(KERNEL, abs=1e-6)


def test_a_step_moves_scales_and_values_and_nothing_else() -> None:
    import tensorflow as tf

    step = np.random.default_rng(2).normal(scale=0.1, size=KERNEL.shape).astype(np.float32)
    kernel = tf.Variable(KERNEL + step)
    tying({"conv": kernel}, {"conv": SHARED})()
    found = kernel.numpy()[0, 0]
    assert found[1, 1] == 0
    assert found[0, 0] == -found[1, 0]
    assert found[0, 1] == -found[2, 1]
    # By hand: the scales are <kernel, before> / <before, before>, the magnitudes means weighted by squared scales.
    moved = (KERNEL + step)[0, 0].astype(np.float64)
    first = (moved[0, 0] - moved[1, 0] + 3 * moved[2, 0]) / 11
    second = 3 * (moved[0, 1] - moved[2, 1]) / 18
    small = (moved[0, 0] - moved[1, 0]) * first / (2 * first ** 2)
    large = (moved[2, 0] * first + (moved[0, 1] - moved[2, 1]) * second) / (first ** 2 + 2 * second ** 2)
    assert found == pytest.approx(np.array([[small * first, large * second], [-small * first, 0],
                                            [large * first, -large * second]]), rel=1e-4)


def test_a_channel_of_zeros_stays_one() -> None:
    import tensorflow as tf

    kernel = tf.Variable(np.float32([[1, 5], [2, 5]])[None, None])
    tying({"conv": kernel}, {"conv": Shared(np.int8([[1, 0], [2, 0]])[None, None], np.float32([1, 2]))})()
    assert kernel.numpy()[0, 0] == pytest.approx(np.float32([[1, 0], [2, 0]]))


def test_a_matrix_is_tied_with_one_scale() -> None:
    import tensorflow as tf

    kernel = tf.Variable(np.float32([[1, 1], [2, 4]]))
    tying({"dense": kernel}, {"dense": Shared(np.int8([[1, 1], [1, 1]]), np.float32([1]))})()
    assert kernel.numpy() == pytest.approx(2.0)


def test_int8_weights_are_counted_over_all_channels() -> None:
    assert count_codes({"conv": KERNEL}, {"conv": SHARED}) == {"conv": 5}  # 0, 42, -42, 127, -127


def test_a_kernel_that_left_its_values_is_an_error_that_names_it() -> None:
    kernel = KERNEL.copy()
    kernel[0, 0, 1, 0] = -1.1
    wrong = Shared(np.abs(INDEX), SHARED.magnitudes)  # 1 and -1.1 for the same value
    with pytest.raises(StageError, match=r"the kernel of 'conv' is not made of 2 magnitudes"):
        count_codes({"conv": kernel}, {"conv": wrong})


def test_what_is_written_is_read_back_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert read_shared(tmp_path) == {}
    write_shared({"b": SHARED, "a": Shared(np.int8([[1]]), np.float32([2]))}, tmp_path)
    before = (tmp_path / VALUES_FILE).read_bytes()
    found = read_shared(tmp_path)
    assert sorted(found) == ["a", "b"]
    assert np.array_equal(found["b"].index, INDEX)
    write_shared(dict(reversed(found.items())), tmp_path)
    assert (tmp_path / VALUES_FILE).read_bytes() == before


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / VALUES_FILE).write_bytes(b"PK no archive")
    with pytest.raises(StoreError, match=VALUES_FILE):
        read_shared(tmp_path)
