"""What is counted in kernels: zeros, and the pattern of two in every four."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import StageError
from stages.pruning import kernels
from stages.pruning.sensitivity import in_pattern


def test_groups_run_along_the_input_channels_as_tflite_lays_kernels_out() -> None:
    kernel = np.arange(2 * 8 * 3, dtype=np.float32).reshape(1, 2, 8, 3)  # height, width, input, output
    groups = kernels.groups_of_four(kernel)
    assert groups.shape == (2 * 3 * 2, 4)
    assert groups[0].tolist() == kernel[0, 0, :4, 0].tolist() == [0, 3, 6, 9]
    assert groups[1].tolist() == kernel[0, 0, 4:, 0].tolist()


def test_channels_that_fill_no_four_are_filled_up_with_zeros() -> None:
    assert kernels.groups_of_four(np.ones((6, 1), np.float32)).tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]


def test_a_dense_kernel_is_pruned_in_the_pattern_by_hand() -> None:
    kernel = np.float32([[5, 0.1], [-1, 0.2], [2, -0.3], [-3, 0.4]])  # 4 inputs, 2 outputs
    assert in_pattern(kernel).tolist() == np.float32([[5, 0], [0, 0], [0, -0.3], [-3, 0.4]]).tolist()


@pytest.mark.parametrize("shape", [(3, 3, 8, 5), (1, 1, 6, 4), (16, 3)])
def test_the_pattern_is_tfmots_own(shape: tuple[int, ...]) -> None:
    from tensorflow_model_optimization.python.core.sparsity.keras import pruning_utils

    kernel = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    mask = pruning_utils.generate_m_by_n_mask(pruning_utils.weights_rearrange(kernel_tensor(kernel)), (2, 4))
    theirs = pruning_utils.m_by_n_sparsity_mask_prepare(mask, kernel_tensor(kernel).shape).numpy()
    assert np.array_equal(in_pattern(kernel), kernel * theirs)
    assert kernels.breaks_pattern(in_pattern(kernel)) == 0
    assert kernels.breaks_pattern(kernel) > 0


def kernel_tensor(kernel: np.ndarray) -> object:
    import tensorflow as tf

    return tf.constant(kernel)


def test_one_weight_too_many_breaks_the_pattern_and_names_the_layer() -> None:
    kernel = in_pattern(np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32))
    kernel[:4, 1] = [1, 1, 1, 0]
    assert kernels.breaks_pattern(kernel) == 1
    with pytest.raises(StageError, match="after training, 1 groups of four weights in 'scores'"):
        kernels.verify_pattern({"fine": in_pattern(kernel), "scores": kernel}, "training")
