"""What trials share: a split's samples and labels, its score, and a drop with or without an interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.bench import Bench, whole_split
from stages.datasets.prepared import read_split
from stages.tasks.settings import TaskSettings


@pytest.fixture
def bench(prepared: Path, tmp_path: Path) -> Bench:
    return whole_split(prepared, "validation", TaskSettings(), engine="litert", workers=1, timeout_s=60,
                       log=tmp_path / "log")


def outputs(bench: Bench, wrong: int) -> np.ndarray:
    """Probabilities that are right but for the first samples.  # (samples, classes)."""
    labels = np.array(bench.truth.y)
    labels[:wrong] = (labels[:wrong] + 1) % 3
    return np.eye(3, dtype=np.float32)[labels]


def test_a_whole_split_is_the_samples_file_with_all_its_labels(bench: Bench, prepared: Path) -> None:
    split = read_split(prepared, "validation")
    assert bench.samples == prepared / "x_validation.npy"
    assert bench.count == len(split.y) > 0
    assert (bench.truth.y == split.y).all()
    assert list(bench.normalization) == ["input"]


def test_the_score_is_the_task_s_and_a_drop_is_in_points(bench: Bench) -> None:
    assert bench.score(outputs(bench, 2)) == pytest.approx(1 - 2 / bench.count)
    plain = bench.drop(outputs(bench, 0), outputs(bench, 2))
    assert (plain.unit, plain.value) == ("points", pytest.approx(200 / bench.count))


def test_the_log_and_the_engine_are_what_was_asked_for(bench: Bench, tmp_path: Path) -> None:
    assert (bench.engine, bench.workers, bench.timeout_s, bench.log) == ("litert", 1, 60, tmp_path / "log")
