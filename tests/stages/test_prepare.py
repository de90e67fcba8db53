"""Preparation: what is written, what is counted, and what stops it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import DataError
from stages import prepare
from stages.context import StageContext
from stages.datasets.prepared import read_preprocessing, read_split
from stages.records import PrepareResult


def run(context: StageContext, arrays: dict[str, Any], **settings: Any) -> PrepareResult:
    path = context.scratch / "data.npz"
    np.savez(path, **arrays)
    return prepare.run(options=prepare.Options(source={"kind": "npz", "path": path}, **settings), context=context)


def samples(per_class: int = 10, classes: int = 2) -> dict[str, np.ndarray]:
    """Distinct 2x2x2 samples; channel 0 counts up, channel 1 is ten times that."""
    count = per_class * classes
    ramp = np.arange(count * 4, dtype=np.float64).reshape(count, 2, 2, 1)
    return {"x": np.concatenate([ramp, 10 * ramp], axis=-1), "y": np.arange(count) % classes}


def test_minmax_puts_each_channel_of_the_training_split_on_0_to_1(context: StageContext) -> None:
    result = run(context, samples())
    train = read_split(context.out, "train").x
    assert train.min(axis=(0, 1, 2)).tolist() == [0, 0]
    assert train.max(axis=(0, 1, 2)).tolist() == [1, 1]
    assert result.normalization.scale[1] == pytest.approx(10 * result.normalization.scale[0])
    assert read_preprocessing(context.out).normalization == result.normalization


def test_standard_gives_the_training_split_mean_0_and_deviation_1(context: StageContext) -> None:
    run(context, samples(), normalization="standard")
    train = read_split(context.out, "train").x
    assert train.mean(axis=(0, 1, 2)) == pytest.approx([0, 0], abs=1e-6)
    assert train.std(axis=(0, 1, 2)) == pytest.approx([1, 1], abs=1e-6)


def test_normalization_is_fitted_on_the_training_split_alone(context: StageContext) -> None:
    arrays = {"x_train": samples()["x"], "y_train": samples()["y"], "x_test": samples()["x"] + 1000,
              "y_test": samples()["y"], "x_validation": samples()["x"] + 500, "y_validation": samples()["y"]}
    result = run(context, arrays)
    assert result.normalization.offset == (0, 0)
    assert result.normalization.scale == (79, 790)
    assert read_split(context.out, "test").x.min() == pytest.approx(1000 / 790)


def test_none_leaves_the_samples_as_they_are(context: StageContext) -> None:
    result = run(context, samples(), normalization="none")
    splits = [read_split(context.out, name).x for name in ("train", "validation", "test")]
    assert np.array_equal(np.sort(np.concatenate(splits).ravel()), np.sort(samples()["x"].ravel()))
    assert (result.normalization.offset, result.normalization.scale) == ((0,), (1,))


def test_a_constant_channel_becomes_zero_and_not_nan(context: StageContext) -> None:
    arrays = samples()
    arrays["x"][..., 1] = 7
    run(context, arrays)
    assert read_split(context.out, "test").x[..., 1].tolist() == np.zeros((4, 2, 2)).tolist()


def test_the_report_counts_what_is_there(context: StageContext) -> None:
    arrays = samples(per_class=10)
    arrays["x"][:, 0, 0, 0] = -1  # one element that never changes
    arrays["x"][5] = 3  # one sample of one value
    arrays["x"][[2, 4, 6]] = arrays["x"][0]  # three duplicates of another
    result = run(context, arrays)
    assert result.input_shape == (2, 2, 2)
    assert sum(split.samples for split in result.splits.values()) == 20
    assert result.constant_samples == 1
    assert sum(result.duplicates_within.values()) == 3
    assert set(result.duplicates_across.values()) == {0}
    assert result.warnings == ("1 samples have one value in all their elements",)


def test_samples_with_two_labels_are_warned_of(context: StageContext) -> None:
    arrays = samples()
    arrays["x"][1] = arrays["x"][0]
    assert "1 samples occur with two labels" in run(context, arrays).warnings


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path, make: Any) -> None:
    first, second, other = (make(prepare, options=prepare.Options(seed=seed)) for seed in (1, 1, 2))
    names = sorted(path.name for path in first.iterdir())
    assert names == ["preprocessing.json", *(f"{a}_{b}.npy" for a in "xy" for b in ("test", "train", "validation"))]
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
    assert (first / "x_test.npy").read_bytes() != (other / "x_test.npy").read_bytes()


def _spoil(name: str, value: Any, at: Any = ...) -> Any:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays[name] = arrays[name].astype(np.float64) if isinstance(value, float) else arrays[name]
        arrays[name][at] = value
    return change


@pytest.mark.parametrize(("spoil", "found"), [
    (_spoil("x", float("nan"), (3, 0, 0, 0)), "1 of 20 samples hold NaN or an infinity, the first is sample 3"),
    (_spoil("x", float("inf"), (slice(2, 4), 1, 1)), "2 of 20 samples hold NaN or an infinity, the first is sample 2"),
    (_spoil("y", -1, 4), "sample 4 has the label -1"),
    (_spoil("x", 5.0), "every element of every sample is 5"),
    (_spoil("y", 0), "the data source has 1 class"),
])
def test_data_that_would_falsify_the_figures_stops(context: StageContext, spoil: Any, found: str) -> None:
    arrays = samples()
    spoil(arrays)
    with pytest.raises(DataError, match=found):
        run(context, arrays)


def test_labels_beyond_the_named_classes_stop(context: StageContext) -> None:
    with pytest.raises(DataError, match="sample 2 has the label 2") as caught:
        run(context, samples() | {"class_names": np.array(["cat", "dog"]), "y": np.arange(20) % 3})
    assert caught.value.allowed == "0 to 1, one label for each of the 2 classes"


def test_an_empty_source_stops(context: StageContext) -> None:
    with pytest.raises(DataError, match="no samples"):
        run(context, {"x": np.zeros((0, 2, 2)), "y": np.zeros(0, int)})


def test_a_given_split_that_lacks_a_class_stops(context: StageContext) -> None:
    arrays = {"x_train": samples()["x"], "y_train": samples()["y"], "x_test": samples()["x"][:3] + 0.5,
              "y_test": [0, 0, 0]}
    with pytest.raises(DataError, match="the test split has no sample of the class '1'"):
        run(context, arrays)


def test_leakage_in_given_splits_stops_unless_it_is_allowed(context: StageContext) -> None:
    test = np.concatenate([samples()["x"][:2], samples()["x"][:4] + 0.5])
    arrays = {"x_train": samples()["x"], "y_train": samples()["y"], "x_test": test, "y_test": np.arange(6) % 2}
    with pytest.raises(DataError, match="2 samples lie in two splits") as caught:
        run(context, arrays, validation_share=0.1)
    assert caught.value.allowed.startswith("0 ")
    assert sum(run(context, arrays, validation_share=0.1, allowed_duplicates=2).duplicates_across.values()) == 2


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ValidationError, match="leave nothing to train on"):
        prepare.Settings(validation_share=0.5, test_share=0.5)
