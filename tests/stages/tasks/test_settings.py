"""What may stand under `task:`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from stages.tasks import TaskSettings, make_task
from stages.tasks.settings import LOSSES, OutputTask, score_number, score_text
from stages.tasks.several import Several


def test_a_word_is_short_for_a_kind() -> None:
    assert TaskSettings.model_validate("regression") == TaskSettings(kind="regression")
    assert TaskSettings.model_validate({"outputs": {"a": "regression", "b": {"weight": 2}}}).outputs == {
        "a": OutputTask(kind="regression"), "b": OutputTask(weight=2)}


@pytest.mark.parametrize("kind", LOSSES)
def test_every_kind_has_a_task_and_auto_is_its_first_loss(kind: str) -> None:
    task = make_task(TaskSettings.model_validate(kind))
    assert task.kind == kind
    assert task.settings.loss_name == LOSSES[task.kind][0]


@pytest.mark.parametrize(("given", "words"), [
    ({"kind": "regression", "loss": "crossentropy"}, "regression has no loss 'crossentropy'; allowed: auto, mse"),
    ({"kind": "regression", "loss": "hubert"}, "did you mean 'huber'"),
    ({"kind": "ranking"}, "Input should be 'classification'"),
    ({"threshold": 1}, "less than 1"),
    ({"outputs": {"a": "classification"}}, "two or more"),
    ({"outputs": {"a": "anomaly", "b": "regression"}}, "'classification', 'multilabel' or 'regression'"),
    ({"loss": "focal", "outputs": {"a": "regression", "b": "regression"}}, "loss stands beside outputs"),
    ({"outputs": {"a": {"weight": 0}, "b": "regression"}}, "greater than 0"),
    ({"kinds": "regression"}, "Extra inputs"),
])
def test_what_does_not_fit_is_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TaskSettings.model_validate(given)


def test_several_outputs_make_a_task_of_tasks_and_survive_json() -> None:
    settings = TaskSettings.model_validate({"outputs": {"b": "regression", "a": "multilabel"}})
    again = TaskSettings.model_validate_json(settings.model_dump_json())
    assert again == settings
    task = make_task(again)
    assert isinstance(task, Several)
    assert {name: each.kind for name, each in task.tasks.items()} == {"b": "regression", "a": "multilabel"}
    assert list(task.tasks) == ["b", "a"]
    assert task.score_name == "mean score"


def test_every_setting_is_described() -> None:
    assert all(field.description for record in (TaskSettings, OutputTask) for field in record.model_fields.values())


def test_accuracy_is_said_in_percent_and_other_scores_as_they_are() -> None:
    assert (score_number("accuracy", 0.9834), score_text("accuracy", 0.9834)) == ("98.3 %", "98.3 %")
    assert (score_number("R2", 0.8714), score_text("R2", 0.8714)) == ("0.871", "R2 0.871")
