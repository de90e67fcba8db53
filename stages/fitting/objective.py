"""What a training minimises: a loss for each sample, from the model run in training mode."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from stages.models.arrays import given_inputs, named_outputs
from stages.tasks import Task


class Objective(Protocol):
    """A loss for each sample.

    Attributes:
        model: the model that is run; its `losses` (of regularizers) are added.
        variables: what is learnt beside the model's own variables, and not kept with it.
    """

    model: Any
    variables: list[Any]

    def __call__(self, x: Any, y: Any) -> Any:
        """Losses of a batch, the model run in training mode.

        Args:
            x: (batch, *input shape) float32, or a mapping from input name.
            y: stored labels of the batch.

        Returns:
            (batch,) float32 tensor.
        """


class OwnLoss:
    """The task's own loss. See `Objective`."""

    def __init__(self, model: Any, task: Task, dtype: np.dtype[Any]) -> None:
        """Look at the model's inputs and outputs.

        Args:
            model: a `tf_keras.Model`.
            task: what is to be predicted.
            dtype: of the samples; structured for several inputs.

        Raises:
            ModelError: the samples' inputs are not the model's.
        """
        self.model = model
        self.variables: list[Any] = []
        self._measure, self._given = task.make_loss(model), given_inputs(model, dtype)

    def __call__(self, x: Any, y: Any) -> Any:
        """See `Objective`."""
        outputs = named_outputs(self.model, self.model(self._given(x), training=True))
        return self._measure(x, y, outputs)
