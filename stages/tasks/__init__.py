"""Tasks: what a model is for. `make_task` gives the one that the run file asks for."""

from __future__ import annotations

from stages.tasks.anomaly import Anomaly
from stages.tasks.base import Task, Truth, read_truth
from stages.tasks.classification import Classification
from stages.tasks.multilabel import Multilabel
from stages.tasks.regression import Regression
from stages.tasks.settings import OutputTask, TaskSettings
from stages.tasks.several import Several

__all__ = ["Task", "TaskSettings", "Truth", "make_task", "read_truth"]

_OF_AN_OUTPUT: dict[str, type[Classification | Multilabel | Regression]] = {
    "classification": Classification, "multilabel": Multilabel, "regression": Regression}


def make_task(settings: TaskSettings) -> Task:
    """The task of a model: one for its output, or one made of those of its several outputs."""
    if settings.outputs:
        return Several(settings, {name: _of_an_output(output) for name, output in settings.outputs.items()})
    return Anomaly(settings) if settings.kind == "anomaly" else _of_an_output(settings)


def _of_an_output(settings: TaskSettings | OutputTask) -> Task:
    return _OF_AN_OUTPUT[settings.kind](settings)
