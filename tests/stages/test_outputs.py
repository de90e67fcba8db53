"""Outputs side by side, and one score of several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import StoreError
from device_profiles.records import Figure
from stages import outputs
from stages.datasets import rows
from stages.records import Metrics
from stages.tasks import TaskSettings, make_task
from stages.tasks.matching import structured


def _metrics(task: str, score: str, value: float) -> Metrics:
    figure = Figure(value=value, unit="fraction", provenance="measured", samples=10, interval=(0.0, 1.0))
    return Metrics(task=task, samples=10, score=score, figures={score: figure})


def test_the_largest_difference_is_that_of_any_output_in_any_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "CHUNK_BYTES", 8)
    one = structured({"a": np.zeros((5, 2)), "b": np.zeros((5, 1))})
    other = structured({"a": np.zeros((5, 2)), "b": np.array([[0.0], [0.0], [-3.0], [0.0], [1.0]])})
    assert outputs.largest_difference(one, other) == 3.0
    assert outputs.largest_difference(one["a"], one["a"] + np.float32(0.5)) == 0.5


def test_the_score_of_several_outputs_is_their_mean_without_an_interval() -> None:
    kind, age = _metrics("classification", "accuracy", 0.9), _metrics("regression", "r2", 0.5)
    found = outputs.overall_score(kind, {"kind": kind, "age": age})
    assert (found.value, found.interval) == (pytest.approx(0.7), None)
    assert outputs.score_name(kind, {"kind": kind, "age": age}) == "mean score"
    assert outputs.score_name(kind, {"kind": kind, "other": kind}) == "accuracy"
    assert outputs.overall_score(age, {}) == age.headline
    assert outputs.score_name(age, {}) == "R2"


def test_a_damaged_file_of_outputs_is_named(tmp_path: Path) -> None:
    (tmp_path / "outputs.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(StoreError, match=r"outputs\.npy cannot be read"):
        outputs.read_outputs(tmp_path / "outputs.npy", make_task(TaskSettings()))


def test_outputs_as_large_as_the_data_are_read_part_by_part(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    np.save(tmp_path / "outputs.npy", values)
    found = outputs.read_outputs(tmp_path / "outputs.npy", make_task(TaskSettings(kind="anomaly")))
    assert isinstance(found, rows.Rows)
    assert outputs.largest_difference(found, values + np.float32(0.25)) == 0.25
    assert isinstance(outputs.read_outputs(tmp_path / "outputs.npy", make_task(TaskSettings())), np.ndarray)
