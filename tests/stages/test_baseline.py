"""The float baseline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import ModelError, StoreError
from stages import baseline
from stages.datasets.prepared import Split, read_split, write_split
from stages.models.files import load_model
from tests.stages.conftest import make_context


def test_outputs_are_the_models_own_and_the_metrics_are_theirs(tmp_path: Path, trained: Path, prepared: Path) -> None:
    context = make_context(tmp_path)
    result = baseline.run(model=trained, data=prepared, options=baseline.Options(), context=context)
    outputs, test = np.load(context.out / "outputs.npy"), read_split(prepared, "test")
    assert outputs == pytest.approx(load_model(trained)(test.x).numpy(), abs=1e-6)
    assert result.metrics.accuracy.value == pytest.approx((outputs.argmax(axis=1) == test.y).mean())
    assert result.metrics.samples == 30
    assert result.summary == f"accuracy {100 * result.metrics.accuracy.value:.1f} % on 30 test samples"


def test_the_same_model_and_data_give_the_same_bytes(tmp_path: Path, trained: Path, prepared: Path) -> None:
    contexts = [make_context(tmp_path / name) for name in "ab"]
    results = [baseline.run(model=trained, data=prepared, options=baseline.Options(), context=c) for c in contexts]
    assert results[0] == results[1]
    assert (contexts[0].out / "outputs.npy").read_bytes() == (contexts[1].out / "outputs.npy").read_bytes()


def test_data_with_other_samples_is_refused(tmp_path: Path, trained: Path) -> None:
    write_split(tmp_path, "test", Split(x=np.zeros((4, 8, 8, 1), np.float32), y=np.arange(4) % 3))
    with pytest.raises(ModelError, match=r"samples have the shape \(8, 8, 1\)"):
        baseline.run(model=trained, data=tmp_path, options=baseline.Options(), context=make_context(tmp_path))


def test_more_classes_than_outputs_are_refused(tmp_path: Path, trained: Path) -> None:
    write_split(tmp_path, "test", Split(x=np.zeros((4, 6, 6, 1), np.float32), y=np.arange(4)))
    with pytest.raises(ModelError, match="the data has 4 classes"):
        baseline.run(model=trained, data=tmp_path, options=baseline.Options(), context=make_context(tmp_path))


def test_missing_data_is_named(tmp_path: Path, trained: Path) -> None:
    with pytest.raises(StoreError, match="no readable split 'test'"):
        baseline.run(model=trained, data=tmp_path, options=baseline.Options(), context=make_context(tmp_path))
