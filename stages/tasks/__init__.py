"""Tasks: what a model is for. `make_task` gives the one that the run file asks for."""

from __future__ import annotations

from stages.tasks.base import Task, Truth, read_truth
from stages.tasks.classification import Classification
from stages.tasks.settings import OutputTask, TaskSettings

__all__ = ["Task", "TaskSettings", "Truth", "make_task", "read_truth"]

_TASKS: dict[str, type[Task]] = {task.kind: task for task in (Classification,)}


def make_task(settings: TaskSettings) -> Task:
    """The task of a model: one for its output, or one made of those of its several outputs."""
    return _make(settings)


def _make(settings: TaskSettings | OutputTask) -> Task:
    return _TASKS[settings.kind](settings)
