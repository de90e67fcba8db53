"""`autoencoder` against what MLPerf Tiny's reference script makes."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.autoencoder import build
from tests.stages.models.reference import take_pruning_and_qat, tflite_rows


def test_it_has_the_parameters_that_its_layers_add_up_to() -> None:
    kernels = 2 * 640 * 128 + 6 * 128 * 128 + 2 * 128 * 8
    biases = 8 * 128 + 8 + 640
    assert build((640,)).count_params() == kernels + biases + 4 * (8 * 128 + 8) == 269_992


def test_the_tflite_model_is_ten_dense_layers() -> None:
    rows = tflite_rows(build((640,)))
    assert [(name, shape[-1]) for name, shape, _ in rows] == [
        ("FULLY_CONNECTED", units) for units in (128, 128, 128, 128, 8, 128, 128, 128, 128, 640)]
    assert sum(macs for _, _, macs in rows) == 264_192


def test_layers_follow_in_the_order_of_the_reference() -> None:
    kinds = [type(layer).__name__ for layer in build((640,)).layers]
    assert kinds == ["InputLayer", *["Dense", "BatchNormalization", "Activation"] * 9, "Dense"]


@pytest.mark.parametrize("values", [1, 5, 64])
def test_it_gives_back_as_many_values_as_it_takes_in_any_range(values: int) -> None:
    outputs = build((values,), 10, "softmax")(np.full((3, values), -7, np.float32)).numpy()
    assert outputs.shape == (3, values)
    assert build((values,), 10, "softmax").layers[-1].activation.__name__ == "linear"


@pytest.mark.parametrize("shape", [(), (0,), (5, 128), (49, 10, 1)])
def test_samples_that_are_not_flat_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="autoencoder cannot take samples of the shape") as caught:
        build(shape)
    assert caught.value.allowed == "(values,), a flat vector of at least 1 value"


def test_pruning_and_quantization_aware_training_take_every_layer() -> None:
    pruned, floats = take_pruning_and_qat(build((16,)))
    assert len(pruned) == 10
    assert floats == {}
