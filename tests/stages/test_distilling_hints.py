"""Hints: which layers, which shapes, and the distance worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.distillation import Hint
from stages.distilling import hints


@pytest.fixture(scope="module")
def wide() -> Any:
    """As `tiny_keras`, with six channels in `conv`, and an output of 3 x 3 from `small`."""
    import tf_keras as keras

    inputs = keras.layers.Input((6, 6, 2))
    x = keras.layers.Conv2D(6, 3, padding="same", name="conv")(inputs)
    small = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="small")(x)
    split = keras.layers.Lambda(lambda value: [value, value], name="split")(small)
    return keras.Model(inputs, keras.layers.Flatten(name="flat")(split[0]))


def test_features_that_differ_in_scale_alone_are_no_distance_apart() -> None:
    features = np.float32(np.random.default_rng(1).normal(size=(2, 3, 3, 4)))
    assert hints.distance(features, 5 * features).numpy().tolist() == pytest.approx([0, 0], abs=1e-5)


def test_the_distance_is_two_less_twice_the_cosine() -> None:
    # (3, 4) over its rms 3.535534 is (0.848528, 1.131371), (1, 0) over 0.707107 is (1.414214, 0):
    # ((0.565685)² + (1.131371)²) / 2 = 0.8 = 2 - 2 · 3/5
    found = hints.distance(np.float32([[3, 4], [1, 0]]), np.float32([[1, 0], [-2, 0]]))
    assert found.numpy().tolist() == pytest.approx([0.8, 4.0], abs=1e-5)


def test_a_dead_feature_map_gives_a_number() -> None:
    assert np.isfinite(hints.distance(np.zeros((1, 4), np.float32), np.ones((1, 4), np.float32)).numpy()).all()


def test_other_widths_are_projected_by_a_matrix_of_their_own(tiny_keras: Any, wide: Any) -> None:
    given = hints.Hints(tiny_keras, wide, {"conv": Hint(teacher="conv", weight=0.5)}, seed=3)
    (matrix,) = given.variables
    assert matrix.shape == (4, 6)
    assert np.array_equal(matrix, hints.Hints(tiny_keras, wide, {"conv": Hint(teacher="conv")}, seed=3).variables[0])
    features = np.float32(np.random.default_rng(1).normal(size=(1, 6, 6, 4)))
    projected = features @ matrix.numpy()
    assert given.losses([features], [projected]).numpy().tolist() == pytest.approx([0], abs=1e-5)
    assert given.losses([features], [-projected]).numpy().tolist() == pytest.approx([0.5 * 4], abs=1e-4)


def test_equal_widths_need_no_projection(tiny_keras: Any, wide: Any) -> None:
    assert hints.Hints(tiny_keras, wide, {"depthwise": Hint(teacher="small")}, seed=0).variables == []


def test_a_layer_is_found_inside_tfmots_wrappers(tiny_keras: Any) -> None:
    import tf_keras as keras

    from stages import clustering

    model = keras.models.clone_model(tiny_keras)
    wrapped, _ = clustering.wrap_clustering(model, {"conv": 4, "dense": 4}, False, frozenset())
    given = hints.Hints(wrapped, tiny_keras, {"conv": Hint(teacher="conv")}, seed=0)
    assert tuple(given.student[0].shape) == (None, 6, 6, 4)


@pytest.mark.parametrize(("pair", "message"), [
    (("conf", "conv"), "'conf', which the student does not have; did you mean 'conv'"),
    (("conv", "conf"), "'conf', which the teacher does not have; did you mean 'conv'"),
    (("conv", "small"), r"'conv' of the student gives \(6, 6, 4\), 'small' of the teacher \(3, 3, 4\)"),
    (("conv", "flat"), r"'conv' of the student gives \(6, 6, 4\), 'flat' of the teacher \(36,\)"),
    (("depthwise", "split"), "'split' of the teacher, whose output cannot be compared")])
def test_hints_that_cannot_be_given_are_refused(tiny_keras: Any, wide: Any, pair: tuple[str, str],
                                                message: str) -> None:
    with pytest.raises(ModelError, match=message):
        hints.Hints(tiny_keras, wide, {pair[0]: Hint(teacher=pair[1])}, seed=0)
