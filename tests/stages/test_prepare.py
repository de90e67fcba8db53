"""Preparation: what is written, what is counted, and what stops it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import DataError
from stages import prepare
from stages.context import StageContext
from stages.datasets.prepared import read_preprocessing, read_split
from stages.records import Normalization, PrepareResult


def run(context: StageContext, arrays: dict[str, Any], **settings: Any) -> PrepareResult:
    path = context.scratch / "data.npz"
    np.savez(path, **arrays)
    return prepare.run(options=prepare.Options(source={"kind": "npz", "path": path}, **settings), context=context)


def normalization_of(result: PrepareResult) -> Normalization:
    return result.inputs["input"].normalization


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
    assert normalization_of(result).scale[1] == pytest.approx(10 * normalization_of(result).scale[0])
    assert read_preprocessing(context.out).inputs["input"].normalization == normalization_of(result)


def test_standard_gives_the_training_split_mean_0_and_deviation_1(context: StageContext) -> None:
    run(context, samples(), normalization="standard")
    train = read_split(context.out, "train").x
    assert train.mean(axis=(0, 1, 2)) == pytest.approx([0, 0], abs=1e-6)
    assert train.std(axis=(0, 1, 2)) == pytest.approx([1, 1], abs=1e-6)


def test_normalization_is_fitted_on_the_training_split_alone(context: StageContext) -> None:
    arrays = {"x_train": samples()["x"], "y_train": samples()["y"], "x_test": samples()["x"] + 1000,
              "y_test": samples()["y"], "x_validation": samples()["x"] + 500, "y_validation": samples()["y"]}
    result = run(context, arrays)
    assert normalization_of(result).offset == (0, 0)
    assert normalization_of(result).scale == (79, 790)
    assert read_split(context.out, "test").x.min() == pytest.approx(1000 / 790)


def test_none_leaves_the_samples_as_they_are(context: StageContext) -> None:
    result = run(context, samples(), normalization="none")
    splits = [read_split(context.out, name).x for name in ("train", "validation", "test")]
    assert np.array_equal(np.sort(np.concatenate(splits).ravel()), np.sort(samples()["x"].ravel()))
    assert (normalization_of(result).offset, normalization_of(result).scale) == ((0,), (1,))


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
    assert result.inputs["input"].shape == (2, 2, 2)
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
    splits = ("test", "train", "validation")
    files = [f"{kind}_{split}" for kind in ("about", "x", "y") for split in splits]
    assert [name.partition(".")[0] for name in names] == sorted([*files, "preprocessing", "result"])
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


def test_data_for_a_model_that_comes_trained_may_lack_classes_which_are_named(context: StageContext) -> None:
    arrays = samples(per_class=20) | {"class_names": ["no", "yes", "silence"]}
    arrays["y"][arrays["y"] == 1] = [1] * 2 + [0] * 18  # two of "yes": too few to be drawn from
    with pytest.raises(DataError, match="the class 'yes' has 2 distinct samples"):
        run(context, arrays)
    result = run(context, arrays, given_model=True)
    assert {name: split.class_counts[1:] for name, split in result.splits.items()} == {
        "train": (2, 0), "validation": (0, 0), "test": (0, 0)}
    assert result.warnings == ("the train split has no sample of 1 of 3 classes: silence",
                               "the validation split has no sample of 2 of 3 classes: yes, silence",
                               "the test split has no sample of 2 of 3 classes: yes, silence")


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


def folder_of_speakers(path: Path, speakers: int = 6, words: int = 2, takes: int = 5) -> Path:
    """A folder per word with images called word_speaker_take.png, every one different."""
    from PIL import Image

    numbers = iter(range(10_000))
    for word in range(words):
        (path / str(word)).mkdir(parents=True)
        for speaker in range(speakers):
            for take in range(takes):
                value = next(numbers)
                image = np.array([[value, 255 - value], [value // 2, 7 * value % 256]], np.uint8)
                Image.fromarray(image).save(path / str(word) / f"{word}_s{speaker}_{take}.png")
    return path


def run_folder(context: StageContext, path: Path, group: str | None = None, **settings: Any) -> PrepareResult:
    source = {"kind": "image_folder", "path": path, "color": "gray", "group": group}
    return prepare.run(options=prepare.Options(source=source, **settings), context=context)


def test_a_split_by_group_puts_no_group_into_two_splits(context: StageContext, tmp_path: Path) -> None:
    folder = folder_of_speakers(tmp_path / "words")
    result = run_folder(context, folder, split_by="group", group="_(?P<group>s[0-9])_")
    speakers = {name: set(read_split(context.out, name).groups) for name in ("train", "validation", "test")}
    assert sum(len(found) for found in speakers.values()) == len(set.union(*speakers.values())) == 6
    assert {name: split.groups for name, split in result.splits.items()} == {name: len(found)
                                                                             for name, found in speakers.items()}
    assert result.split_by == "group"


def test_a_rule_on_names_makes_the_official_test_split(context: StageContext, tmp_path: Path) -> None:
    folder = folder_of_speakers(tmp_path / "words")
    run_folder(context, folder, splits={"test": {"pattern": r"_[01]\.png$"}})
    assert {name[-5] for name in read_split(context.out, "test").names} == {"0", "1"}
    others = read_split(context.out, "train").names + read_split(context.out, "validation").names
    assert {name[-5] for name in others} == {"2", "3", "4"}


@pytest.mark.parametrize(("settings", "found"), [
    ({"split_by": "group"}, "no groups to split by"),
    ({"splits": {"test": {"pattern": "nothing"}}}, "data.splits.test takes no sample"),
    ({"split_by": "group", "group": "_(?P<group>s[0-9])_", "splits": {"test": {"pattern": "_0.png"}}},
     "the group 's0' lies in train and in test"),
])
def test_groups_and_rules_that_do_not_fit_the_names_are_refused(context: StageContext, tmp_path: Path,
                                                                settings: dict[str, Any], found: str) -> None:
    with pytest.raises(DataError) as caught:
        run_folder(context, folder_of_speakers(tmp_path / "words"), **settings)
    assert found in caught.value.found


def test_rules_need_names(context: StageContext) -> None:
    with pytest.raises(DataError, match="the samples have no names"):
        run(context, samples(), splits={"test": {"pattern": "a"}})


def test_unreadable_files_are_skipped_and_named_up_to_the_share_that_is_allowed(context: StageContext,
                                                                                tmp_path: Path) -> None:
    folder = folder_of_speakers(tmp_path / "words")  # 60 files
    (folder / "0" / "0_s0_0.png").write_bytes((folder / "0" / "0_s0_0.png").read_bytes()[:20])
    with pytest.raises(DataError, match=r"1 of 60 samples cannot be read, the first is 0/0_s0_0\.png") as caught:
        run_folder(context, folder)
    assert caught.value.allowed.startswith("a share of at most 0.01")
    result = run_folder(context, folder, allowed_corrupt_share=0.02)
    assert (result.skipped_samples, result.skipped[0].name) == (1, "0/0_s0_0.png")
    assert sum(split.samples for split in result.splits.values()) == 59
    assert "1 samples could not be read and were skipped" in result.warnings[-1]
    assert "skipped 0/0_s0_0.png" in context.log.read_text()


def test_images_stay_bytes_and_are_normalized_where_they_are_read(context: StageContext, tmp_path: Path) -> None:
    run_folder(context, folder_of_speakers(tmp_path / "words"), normalization="symmetric")
    stored, read = np.load(context.out / "x_test.npy"), read_split(context.out, "test").x
    assert stored.dtype == np.uint8
    assert np.allclose(read, stored / 127.5 - 1)


def test_regression_targets_are_scaled_and_not_stratified(context: StageContext) -> None:
    y = np.linspace(100, 200, 40).astype(np.float32)
    x = np.arange(80, dtype=np.float32).reshape(40, 2)
    result = run(context, {"x": x, "y": y}, task="regression")
    train = read_split(context.out, "train").y
    assert (train.dtype, train.shape[1:]) == (np.float32, (1,))
    assert train.mean() == pytest.approx(0, abs=1e-5)
    scale = read_preprocessing(context.out).targets["output"].normalization
    test = read_split(context.out, "test").y * scale.scale[0] + scale.offset[0]
    assert np.isin(np.round(test.ravel(), 2), np.round(y, 2)).all()
    assert (result.class_names, result.splits["train"].class_counts) == ((), ())


def test_an_anomaly_model_trains_on_normal_samples_and_is_tested_on_both(context: StageContext) -> None:
    arrays = {"x": np.arange(200, dtype=np.float32).reshape(100, 2), "y": np.arange(100) % 5,
              "class_names": np.array(["a", "b", "c", "d", "e"])}
    result = run(context, arrays, task={"kind": "anomaly", "normal_classes": ["a", "b", "c"]})
    counts = {name: split.class_counts for name, split in result.splits.items()}
    assert counts["test"] == (12, 40)  # a fifth of the 60 normal samples, and every anomaly
    assert counts["train"][1] == counts["validation"][1] == 0
    assert result.class_names == ("normal", "anomaly")


def test_several_inputs_are_kept_by_name(context: StageContext) -> None:
    arrays = {"x.image": np.random.default_rng(0).integers(0, 255, (40, 4, 4, 1), np.uint8),
              "x.age": np.arange(40, dtype=np.float32).reshape(40, 1), "y": np.arange(40) % 2}
    result = run(context, arrays)
    assert {name: (spec.shape, spec.dtype) for name, spec in result.inputs.items()} == {
        "image": ((4, 4, 1), "uint8"), "age": ((1,), "float32")}
    x = read_split(context.out, "train").x
    assert x["image"].max() == 1.0
    assert x["age"].min() == 0.0


def test_the_test_samples_slices_are_written_in_their_order_and_none_without_a_column(context: StageContext) -> None:
    arrays = samples(20)
    run(context, {**arrays, "slice.light": [f"value {row}" for row in range(40)]})
    first = read_split(context.out, "test").x
    rows = [int(name.split()[1]) for name in json.loads((context.out / "slices_test.json").read_text())["light"]]
    spec = read_preprocessing(context.out).inputs["input"].normalization
    assert np.asarray(first)[:, 0, 0, 0] * spec.scale[0] + spec.offset[0] == pytest.approx(
        arrays["x"][rows][:, 0, 0, 0], abs=1e-3)
    (context.out / "slices_test.json").unlink()
    run(context, arrays)
    assert not (context.out / "slices_test.json").exists()
