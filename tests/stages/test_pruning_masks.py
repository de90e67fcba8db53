"""TFMOT's wrappers: which layers get one, when the last rise of the ramp comes, and that zeros come back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.pruning import masks
from stages.pruning.kernels import breaks_pattern


@pytest.fixture
def model(tiny_keras: Any) -> Any:
    import tf_keras as keras

    return keras.models.clone_model(tiny_keras)


def steps_of(wrapped: Any, samples: np.ndarray, count: int) -> list[float]:
    """The share of zeros in `conv` after each step in training mode."""
    found = []
    for _ in range(count):
        wrapped(samples[:4], training=True)
        found.append(float((wrapped.layers[0].layer.kernel.numpy() == 0).mean()))
    return found


def test_only_layers_with_a_share_of_zeros_are_wrapped(model: Any) -> None:
    wrapped = masks.wrap_pruning(model, {"conv": 0.5, "dense": 0.0}, masks.Ramp(0.0, 1, 4), pattern=False)
    assert [type(layer).__name__ for layer in wrapped.layers if hasattr(layer, "pruning_obj")] == ["PruneLowMagnitude"]


def test_the_share_rises_from_the_initial_one_to_the_last_by_the_ramps_end(model: Any,
                                                                           tiny_samples: np.ndarray) -> None:
    wrapped = masks.wrap_pruning(model, {"conv": 0.75}, masks.Ramp(0.25, 1, 4), pattern=False)
    shares = steps_of(wrapped, tiny_samples, 6)
    assert shares[0] == pytest.approx(0.25, abs=0.02)
    assert shares == sorted(shares)
    assert shares[3:] == pytest.approx([0.75] * 3, abs=0.01)


def test_a_ramp_without_room_prunes_at_once(model: Any, tiny_samples: np.ndarray) -> None:
    wrapped = masks.wrap_pruning(model, {"conv": 0.75}, masks.Ramp(0.25, 1, 1), pattern=False)
    assert steps_of(wrapped, tiny_samples, 1) == pytest.approx([0.75], abs=0.01)


def test_what_a_gradient_step_fills_is_zero_again(model: Any, tiny_samples: np.ndarray) -> None:
    wrapped = masks.wrap_pruning(model, {"conv": 0.75}, masks.Ramp(0.25, 1, 1), pattern=False)
    steps_of(wrapped, tiny_samples, 1)
    kernel = wrapped.layers[0].layer.kernel
    kernel.assign(kernel + 1)
    masks.zero_again(wrapped)
    assert (kernel.numpy() == 0).mean() == pytest.approx(0.75, abs=0.01)
    assert (masks.strip_pruning(wrapped).get_layer("conv").kernel.numpy() == kernel.numpy()).all()


def test_a_pattern_is_there_from_the_first_step_on(tiny_samples: np.ndarray) -> None:
    import tf_keras as keras

    layer = keras.layers.Dense(5, name="dense")
    source = keras.Sequential([keras.layers.Input((8,)), layer])
    wrapped = masks.wrap_pruning(source, {"dense": 0.5}, masks.Ramp(0.0, 2, 8), pattern=True)
    wrapped(np.ones((1, 8), np.float32), training=True)
    assert breaks_pattern(layer.kernel.numpy()) == 0
    assert (layer.kernel.numpy() == 0).mean() == 0.5
