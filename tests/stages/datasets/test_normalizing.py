"""Offset and scale: fitted on the training rows alone, part by part as on the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import DataError
from stages.datasets import normalizing, rows
from stages.datasets.normalizing import FixedNormalization, fit_normalizations, fit_targets
from stages.datasets.rows import Rows, RowWriter
from stages.records import Normalization

X = np.array([[0, 100], [2, 300], [4, 200], [90, 900]], np.float32)  # (samples, channels); the last row does not train
TRAIN = np.array([0, 1, 2])


@pytest.fixture(params=[8, 1 << 20], ids=["a row at a time", "at once"])
def samples(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rows:
    monkeypatch.setattr(normalizing, "slices", lambda count, size: rows.slices(count, size, request.param))
    with RowWriter(tmp_path / "x.npy") as writer:
        writer.append(X)
    return Rows(tmp_path / "x.npy")


def fit(samples: Rows, kind: Any, given_model: bool = False) -> Normalization:
    return fit_normalizations(samples, TRAIN, kind, given_model)["input"].normalization


def test_minmax_takes_lowest_and_range_of_the_training_rows(samples: Rows) -> None:
    assert fit(samples, "minmax") == Normalization(kind="minmax", offset=(0, 100), scale=(4, 200))


def test_standard_takes_mean_and_deviation_of_the_training_rows(samples: Rows) -> None:
    found = fit(samples, "standard")
    assert found.offset == pytest.approx((2, 200))
    assert found.scale == pytest.approx(((8 / 3) ** 0.5, (20000 / 3) ** 0.5))


def test_auto_is_minmax_and_none_for_a_model_that_is_given(samples: Rows) -> None:
    assert fit(samples, "auto").kind == "minmax"
    assert fit(samples, "auto", given_model=True) == Normalization(kind="none")


def test_symmetric_takes_0_to_255_to_minus_1_to_1(samples: Rows) -> None:
    found = fit(samples, "symmetric")
    assert [(value - found.offset[0]) / found.scale[0] for value in (0, 127.5, 255)] == [-1, 0, 1]


def test_a_fixed_one_is_taken_as_it_is_and_must_have_a_value_a_channel(samples: Rows) -> None:
    assert fit(samples, FixedNormalization(offset=(1, 2), scale=(3,))).offset == (1, 2)
    with pytest.raises(DataError, match="3 values; the samples have 2 channels"):
        fit(samples, FixedNormalization(offset=(1, 2, 3)))
    with pytest.raises(ValueError, match="no scale may be 0"):
        FixedNormalization(scale=(0.0,))


def test_a_constant_channel_keeps_a_scale_of_1(tmp_path: Path) -> None:
    with RowWriter(tmp_path / "x.npy") as writer:
        writer.append(np.full((4, 1), 7, np.uint8))
    spec = fit_normalizations(Rows(tmp_path / "x.npy"), TRAIN, "minmax", given_model=False)["input"]
    assert spec.normalization == Normalization(kind="minmax", offset=(7,), scale=(1,))
    assert (spec.shape, spec.dtype) == ((1,), "uint8")


def test_targets_get_mean_0_and_deviation_1_over_the_training_rows() -> None:
    y = np.array([[0.0], [2.0], [4.0], [100.0]], np.float32)
    specs, scaled = fit_targets(y, TRAIN, "auto", given_model=False)
    deviation = (8 / 3) ** 0.5
    assert specs["output"].normalization.offset == (2,)
    assert specs["output"].normalization.scale == pytest.approx((deviation,))
    assert scaled.ravel() == pytest.approx([-2 / deviation, 0, 2 / deviation, 98 / deviation])


def test_targets_stay_as_they_are_for_a_model_that_is_given_and_labels_are_no_targets() -> None:
    y = np.array([[0.0], [2.0], [4.0]], np.float32)
    specs, same = fit_targets(y, TRAIN, "auto", given_model=True)
    assert specs["output"].normalization.kind == "none"
    assert same is y
    assert fit_targets(np.array([0, 1, 2]), TRAIN, "standard", given_model=False)[0] == {}


def test_of_several_outputs_only_values_are_scaled() -> None:
    y = np.zeros(3, [("kind", np.int64), ("age", np.float32, (1,))])
    y["kind"], y["age"] = [0, 1, 1], np.array([[10], [20], [30]])
    specs, scaled = fit_targets(y, TRAIN, "standard", given_model=False)
    assert list(specs) == ["age"]
    assert scaled["kind"].tolist() == [0, 1, 1]
    assert scaled["age"].mean() == pytest.approx(0, abs=1e-6)
