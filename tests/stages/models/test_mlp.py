"""`mlp`: sizes, outputs, and what int8 makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.models.mlp import build
from tests.stages.models.reference import take_pruning_and_qat, tflite_rows


def test_it_has_the_parameters_that_its_layers_add_up_to() -> None:
    hidden = 30 * 64 + 64 + 4 * 64 + 64 * 32 + 32 + 4 * 32
    assert build((30,), 2).count_params() == hidden + 32 * 2 + 2 == 4_514


def test_normalization_and_activation_cost_no_operator() -> None:
    assert [name for name, _, _ in tflite_rows(build((30,), 2))] == ["FULLY_CONNECTED"] * 3 + ["SOFTMAX"]
    assert [name for name, _, _ in tflite_rows(build((30,), 1, "linear"))] == ["FULLY_CONNECTED"] * 3


@pytest.mark.parametrize(("output", "low", "high", "total"), [
    ("softmax", 0, 1, 1.0), ("sigmoid", 0, 1, None), ("linear", -np.inf, np.inf, None)])
def test_the_output_is_what_the_task_needs(output: str, low: float, high: float, total: float | None) -> None:
    model = build((5,), 4, output)  # type: ignore[arg-type]
    y = model(np.random.default_rng(0).normal(0, 3, (20, 5)).astype(np.float32)).numpy()
    assert y.shape == (20, 4)
    assert low <= y.min()
    assert y.max() <= high
    if total is None:
        assert np.ptp(y.sum(axis=1)) > 0.01
    else:
        assert y.sum(axis=1) == pytest.approx(np.full(20, total))
    if output == "linear":
        assert y.min() < 0


@pytest.mark.parametrize("shape", [(), (0,), (3, 4)])
def test_samples_that_are_not_flat_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="mlp cannot take samples of the shape"):
        build(shape, 2)


def test_pruning_and_quantization_aware_training_take_every_layer() -> None:
    pruned, floats = take_pruning_and_qat(build((6,), 3))
    assert len(pruned) == 3
    assert floats == {}
