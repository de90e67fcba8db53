"""`small_cnn` and the registry of models."""

from __future__ import annotations

from typing import Any

import pytest

from device_profiles.errors import ModelError
from stages.models import build_model, check_input, check_output


def test_it_has_the_parameters_that_its_layers_add_up_to() -> None:
    model = build_model("small_cnn", (8, 8, 1), 10)
    convolutions = 9 * (1 * 16 + 16 * 32 + 32 * 48)
    normalizations = 4 * (16 + 32 + 48)
    assert model.count_params() == convolutions + normalizations + 48 * 10 + 10 == 19450


@pytest.mark.parametrize("shape", [(2, 2, 1), (9, 5, 3), (32, 32, 3)])
def test_it_takes_images_of_any_size_and_ends_in_probabilities(shape: tuple[int, ...]) -> None:
    import numpy as np

    outputs = build_model("small_cnn", shape, 4)(np.ones((2, *shape), np.float32)).numpy()
    assert outputs.shape == (2, 4)
    assert outputs.sum(axis=1) == pytest.approx([1, 1])


@pytest.mark.parametrize("shape", [(8,), (8, 8), (1, 8, 1)])
def test_samples_that_are_no_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="small_cnn cannot take samples of the shape"):
        build_model("small_cnn", shape, 10)


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ModelError) as caught:
        build_model("transformer", (8, 8, 1), 10)
    assert caught.value.allowed == "small_cnn"


def test_shapes_are_checked_against_the_data(tiny_keras: Any) -> None:
    check_input(tiny_keras, (6, 6, 2))
    check_output(tiny_keras, 3)
    with pytest.raises(ModelError, match=r"takes inputs of shape \(None, 6, 6, 2\)"):
        check_input(tiny_keras, (6, 6, 1))
    with pytest.raises(ModelError, match="the data has 4 classes"):
        check_output(tiny_keras, 4)


def test_a_model_of_two_outputs_is_refused(tiny_keras: Any) -> None:
    import tf_keras as keras

    two = keras.Model(tiny_keras.input, [tiny_keras.output, tiny_keras.output])
    with pytest.raises(ModelError, match="output has the shape"):
        check_output(two, 3)
