"""The user's own metrics become figures, or one message with the user's line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import StageError, UsageError
from stages.records import Normalization, TensorSpec
from stages.tasks import TaskSettings, Truth, make_task

SOURCE = '''
import numpy as np
class Odd(Exception):
    pass
def within_one(y, outputs):
    assert y.dtype == outputs.dtype == np.float64
    y[:] = 0  # a metric may spoil what it is given
    return (abs(outputs - 20) <= 1).mean()
def mae(y, outputs): return np.array([abs(y - outputs).mean()])
def shape(y, outputs): return y
def nothing(y, outputs): return None
def nan(y, outputs): return float("nan")
def words(y, outputs): return "good"
def fails(y, outputs):
    raise Odd("not today")
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the working folder; its name."""
    monkeypatch.chdir(tmp_path)
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    return name


def _figures(*references: str) -> dict[str, object]:
    spec = TensorSpec(shape=(1,), dtype="float32", normalization=Normalization(kind="x", offset=(20.0,), scale=(2.0,)))
    truth = Truth(y=np.array([[-1.0], [0.0], [0.25], [2.0]]), targets={"output": spec})
    task = make_task(TaskSettings(kind="regression", metrics=references))
    return dict(task.metrics(np.array([[-1.0], [0.5], [0.25], [2.0]]), truth).figures)


def test_a_metric_is_called_in_the_users_units_and_stands_last(module: str) -> None:
    found = _figures(f"{module}:within_one")
    assert list(found)[-1] == "within_one"
    figure = found["within_one"]
    assert (figure.value, figure.samples, figure.interval) == (0.5, 4, None)  # type: ignore[attr-defined]
    assert figure.method == f"the user's {module}:within_one"  # type: ignore[attr-defined]
    assert found["mae"].value == 0.25  # type: ignore[attr-defined]  # the spoilt copy was not the task's


def test_a_name_that_is_taken_is_given_in_full(module: str) -> None:
    found = _figures(f"{module}:mae")
    assert found[f"{module}:mae"].value == found["mae"].value == 0.25  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "words"), [
    ("shape", r"returned an array of shape \(4, 1\)"), ("nothing", "returned None"), ("nan", "returned nan"),
    ("words", "returned good"), ("fails", r"raised Odd: not today \(.*own_.*\.py:15: raise Odd\(\"not today\"\)\)"),
])
def test_what_is_no_finite_number_is_refused_with_the_users_line(module: str, name: str, words: str) -> None:
    with pytest.raises(StageError, match=words) as caught:
        _figures(f"{module}:{name}")
    assert "f(y_true, outputs)" in caught.value.allowed
    assert caught.value.next_step


def test_a_metric_that_is_not_there_is_named(module: str) -> None:
    with pytest.raises(UsageError, match="did you mean 'within_one'"):
        _figures(f"{module}:within_ones")


def test_an_anomaly_metric_is_given_labels_and_errors_of_clips(module: str) -> None:
    task = make_task(TaskSettings(kind="anomaly", metrics=(f"{module}:mae",)))
    x = np.array([[1.0], [2.0], [3.0], [3.0]], np.float32)
    truth = Truth(y=np.array([0, 0, 1, 1]), x=x, clips=np.array([0, 0, 1, 1]))
    # errors of the clips 2.5 and 9, labels 0 and 1
    assert task.metrics(np.zeros_like(x), truth).figures["mae"].value == pytest.approx((2.5 + 8) / 2)
