"""Outputs side by side, and one score of several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import EngineCrash, StoreError
from device_profiles.records import Figure
from stages import outputs
from stages.datasets import rows
from stages.engines.pool import Job, Sink
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


def _job(folder: Path) -> Job:
    np.save(folder / "x.npy", np.zeros((4, 2), np.uint8))
    return Job(engine="litert", tflite=b"", model="int8", samples=folder / "x.npy", batch=0, workers=1, timeout_s=9,
               log=folder / "log.txt")


def test_outputs_are_written_in_the_task_s_order_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def predict(job: Job, progress: object, sink: Sink) -> None:
        for start in (2, 0):
            sink(start, {"age": np.full((2, 1), start, np.float32), "kind": np.full((2, 3), -start, np.float32)})

    monkeypatch.setattr(outputs, "predict_file", predict)
    outputs.write_outputs(_job(tmp_path), {"kind": (3,), "age": (1,)}, tmp_path / "outputs.npy", lambda *_: None)
    found = np.load(tmp_path / "outputs.npy")
    assert found.dtype.names == ("kind", "age")
    assert found["age"].ravel().tolist() == [0, 0, 2, 2]
    assert found["kind"][:, 0].tolist() == [0, 0, -2, -2]


def test_an_engine_that_fails_midway_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def predict(job: Job, progress: object, sink: Sink) -> None:
        sink(0, {"out": np.zeros((2, 3), np.float32)})
        raise EngineCrash("litert ended", "", "")

    monkeypatch.setattr(outputs, "predict_file", predict)
    with pytest.raises(EngineCrash):
        outputs.write_outputs(_job(tmp_path), {"output": None}, tmp_path / "outputs.npy", lambda *_: None)
    assert not (tmp_path / "outputs.npy").exists()


def test_outputs_as_large_as_the_data_are_read_part_by_part(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    np.save(tmp_path / "outputs.npy", values)
    found = outputs.read_outputs(tmp_path / "outputs.npy", make_task(TaskSettings(kind="anomaly")))
    assert isinstance(found, rows.Rows)
    assert outputs.largest_difference(found, values + np.float32(0.25)) == 0.25
    assert isinstance(outputs.read_outputs(tmp_path / "outputs.npy", make_task(TaskSettings())), np.ndarray)
