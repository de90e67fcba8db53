"""What is minimised without a teacher: the task's loss, of a model run in training mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stages.fitting.objective import OwnLoss
from stages.tasks import TaskSettings, make_task


@pytest.fixture
def model() -> Any:
    """Two logits (ln 3, 0) whatever it is fed, a dropout that takes the inputs away, and a penalty of 1 on them."""
    import tf_keras as keras

    penalized = keras.layers.ActivityRegularization(l1=1.0)
    dense = keras.layers.Dense(2, kernel_initializer="zeros")
    found = keras.Sequential([keras.layers.Input((3,)), penalized, keras.layers.Dropout(0.5, seed=1), dense])
    dense.bias.assign([np.log(3), 0])
    return found


def test_the_loss_is_the_tasks_own_for_each_sample(model: Any) -> None:
    objective = OwnLoss(model, make_task(TaskSettings()), np.dtype(np.float32))
    losses = objective(np.ones((2, 3), np.float32), np.array([0, 1])).numpy()
    assert losses == pytest.approx([-np.log(0.75), -np.log(0.25)], abs=1e-6)
    assert objective.variables == []


def test_penalties_of_layers_are_those_of_its_model(model: Any) -> None:
    objective = OwnLoss(model, make_task(TaskSettings()), np.dtype(np.float32))
    objective(np.ones((2, 3), np.float32), np.array([0, 1]))
    assert [float(loss) for loss in objective.model.losses] == [3.0]  # the mean over the batch of |1| + |1| + |1|


def test_the_model_runs_in_training_mode(model: Any) -> None:
    model.layers[-1].kernel.assign(np.float32([[9, 0]] * 3))
    objective = OwnLoss(model, make_task(TaskSettings()), np.dtype(np.float32))
    found = {round(float(loss), 3) for loss in objective(np.ones((64, 3), np.float32), np.ones(64, np.int64)).numpy()}
    assert len(found) > 1  # dropout sees to it that equal samples are not equal
