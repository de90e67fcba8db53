"""The examine stage finds what was planted, leaves clean data alone, and says what it did not look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages import examine
from stages.context import StageContext
from stages.examining.thumbnails import THUMBNAILS_FILE
from stages.records import ExamineResult, Normalization, TensorSpec
from tests.stages.conftest import make_context
from tests.stages.sample_data import brighter, digits, recompressed, scenes, shifted, three_splits, write_artifact

DIGITS = tuple("0123456789")
SCENES = ("high", "middle", "low")


def run(folder: Path, splits: Any, options: examine.Options | None = None, **about: Any) -> ExamineResult:
    return examine.run(data=write_artifact(folder / "data", splits, **about), options=options or examine.Options(),
                       context=make_context(folder))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> ExamineResult:
    return run(tmp_path_factory.mktemp("clean"), three_splits(*digits()), class_names=DIGITS)


def test_nothing_is_suspected_in_clean_digits(clean: ExamineResult) -> None:
    near, labels = clean.near_duplicates, clean.label_errors
    assert sum(near.within.values()) + sum(near.across.values()) <= 1  # of 1.6 million pairs
    assert labels.suspected <= 2
    assert labels.score is not None
    assert labels.score.value > 0.96
    assert clean.warnings == ()


def test_all_samples_are_examined_where_they_are_few(clean: ExamineResult) -> None:
    assert clean.examined == clean.samples == {"train": 1168, "validation": 269, "test": 360}


def test_flipped_labels_are_found_and_hardly_any_other(tmp_path: Path) -> None:
    x, y = digits()
    flipped = np.random.default_rng(3).permutation(len(y))[:90]  # 5 %
    spoilt = y.copy()
    spoilt[flipped] = (y[flipped] + 1) % 10
    order = np.random.default_rng(0).permutation(len(x))  # as `three_splits` draws
    rows = {"train": order[:1168], "validation": order[1168:1437], "test": order[1437:]}
    result = run(tmp_path, three_splits(x, spoilt), class_names=DIGITS).label_errors
    truly = [(one, rows[one.sample.split][one.sample.index]) for one in result.listed]
    assert 55 <= result.suspected <= 95
    assert len(truly) == 24
    assert sum(row in flipped for _, row in truly) >= 23
    assert all(one.suggested == str(y[row]) for one, row in truly if row in flipped)
    margins = [one.margin for one in result.listed]
    assert margins == sorted(margins, reverse=True)


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExamineResult]:
    """900 pictures; 30 training samples each are in the test split shifted, brighter, and recompressed."""
    splits = three_splits(*scenes(900))
    x, y = splits["train"]
    copies = [change(x[30 * place:30 * place + 30]) for place, change in enumerate((shifted, brighter, recompressed))]
    splits["test"] = (np.concatenate([splits["test"][0], *copies]), np.concatenate([splits["test"][1], y[:90]]))
    folder = tmp_path_factory.mktemp("leaky")
    names = {name: [f"{name}/{row:04}.png" for row in range(len(split[0]))] for name, split in splits.items()}
    return folder, run(folder, splits, class_names=SCENES, names=names)


def test_shifted_brighter_and_recompressed_copies_are_found_across_splits(leaky: tuple[Path, ExamineResult]) -> None:
    near = leaky[1].near_duplicates
    assert near.across == {"train/validation": 0, "train/test": 90, "validation/test": 0}
    assert near.samples_across["train/test"] == 90
    assert near.within == {"train": 0, "validation": 0, "test": 0}
    assert len(near.pairs) == 12
    assert leaky[1].warnings == ("90 test samples nearly repeat a train sample: a score on such samples is too good",)


def test_pairs_name_both_samples_with_their_splits_and_labels(leaky: tuple[Path, ExamineResult]) -> None:
    for pair in leaky[1].near_duplicates.pairs:
        assert (pair.first.split, pair.second.split) == ("train", "test")
        assert pair.second.index == 180 + pair.first.index  # the copies stand behind the 180 test samples, in order
        assert pair.first.name == f"train/{pair.first.index:04}.png"
        assert pair.first.label == pair.second.label in SCENES


def test_there_is_a_picture_of_each_sample_that_is_listed(leaky: tuple[Path, ExamineResult]) -> None:
    folder, result = leaky
    pictures = json.loads((folder / "out" / THUMBNAILS_FILE).read_text())
    wanted = {f"{one.split}/{one.index}" for pair in result.near_duplicates.pairs for one in (pair.first, pair.second)}
    assert result.thumbnails
    assert wanted <= set(pictures)
    assert all(picture.startswith("data:image/png;base64,") for picture in pictures.values())


def test_the_same_data_and_seed_give_the_same_result(leaky: tuple[Path, ExamineResult], tmp_path: Path) -> None:
    folder, result = leaky
    again = examine.run(data=folder / "data", options=examine.Options(), context=make_context(tmp_path))
    assert again.model_dump_json() == result.model_dump_json()
    assert (tmp_path / "out" / THUMBNAILS_FILE).read_bytes() == (folder / "out" / THUMBNAILS_FILE).read_bytes()


def test_large_data_is_looked_at_in_a_sample_by_split_and_seed(leaky: tuple[Path, ExamineResult],
                                                               tmp_path: Path) -> None:
    options = examine.Options(samples=330, label_errors=False)
    found = [examine.run(data=leaky[0] / "data", options=options.model_copy(update={"seed": seed}),
                         context=make_context(tmp_path / str(seed))) for seed in (1, 2)]
    assert found[0].examined == {"train": 195, "validation": 45, "test": 90}  # a third of each
    assert found[0].samples == {"train": 585, "validation": 135, "test": 270}
    assert found[0].near_duplicates.pairs != found[1].near_duplicates.pairs
    assert 1 <= found[0].near_duplicates.across["train/test"] <= 25  # 10 are expected: 90 / 9


def test_a_check_that_is_switched_off_says_so(leaky: tuple[Path, ExamineResult], tmp_path: Path) -> None:
    options = examine.Options(near_duplicates=False, label_errors=False)
    result = examine.run(data=leaky[0] / "data", options=options, context=make_context(tmp_path))
    assert (result.near_duplicates.left_out, result.label_errors.left_out) == ("switched off in the run file",) * 2
    assert result.near_duplicates.pairs == ()
    assert not (tmp_path / "out" / THUMBNAILS_FILE).exists()


def test_labels_that_no_model_can_learn_are_not_suspected(context: StageContext, tmp_path: Path) -> None:
    x, _ = scenes(300)
    y = np.random.default_rng(1).integers(0, 3, 300)
    result = run(tmp_path, three_splits(x, y), class_names=SCENES).label_errors
    assert result.score is not None
    assert result.score.value < 0.5
    assert (result.suspected, result.listed) == (0, ())
    assert "contradicts too many right labels; at least 75 %" in result.left_out


def test_a_regression_lists_targets_that_are_far_out_in_the_users_units(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 20)).astype(np.float32)
    y = (x[:, :1] * 2 + x[:, 1:2] + rng.normal(0, 0.1, (600, 1))).astype(np.float32)
    splits = three_splits(x, y)
    splits["train"][1][7] = 40.0
    target = TensorSpec(shape=(1,), dtype="float32", normalization=Normalization(kind="standard", offset=(100.0,),
                                                                                 scale=(10.0,)))
    result = run(tmp_path, splits, task="regression", targets={"output": target})
    first = result.label_errors.listed[0]
    assert (first.sample.split, first.sample.index, first.sample.label) == ("train", 7, "500")  # 40 * 10 + 100
    assert abs(float(first.suggested) - 100) < 60
    assert result.label_errors.suspected <= 3
    assert result.imbalance == {}
    assert not result.thumbnails


@pytest.mark.parametrize(("task", "reason"), [
    ("multilabel", "any set of labels"), ("anomaly", "normal samples alone are trained on")])
def test_tasks_whose_labels_cannot_be_contradicted_say_why(tmp_path: Path, task: str, reason: str) -> None:
    x, y = scenes(120)
    labels = np.eye(3, dtype=np.uint8)[y] if task == "multilabel" else (y == 2).astype(np.int64)
    result = run(tmp_path, three_splits(x, labels), task=task, class_names=SCENES[:labels.max() + 2])
    assert reason in result.label_errors.left_out
    assert result.near_duplicates.left_out == ""
    assert bool(result.imbalance) == (task == "multilabel")


def test_a_class_with_many_more_samples_is_warned_of(tmp_path: Path) -> None:
    x, _ = scenes(300)
    y = np.where(np.arange(300) % 25 == 0, 1, 0)
    splits = {name: (x[start:stop], y[start:stop]) for name, start, stop in (
        ("train", 0, 200), ("validation", 200, 250), ("test", 250, 300))}
    result = run(tmp_path, splits, examine.Options(near_duplicates=False), class_names=("usual", "rare"))
    assert result.imbalance == {"train": 24.0, "validation": 24.0, "test": 24.0}  # 192 / 8, 48 / 2, 48 / 2
    assert "has 24 times the samples of the smallest" in result.warnings[-1]


def test_samples_are_counted_by_group(tmp_path: Path) -> None:
    x, y = scenes(100)
    splits = {name: (x[start:stop], y[start:stop]) for name, start, stop in (
        ("train", 0, 60), ("validation", 60, 80), ("test", 80, 100))}
    groups = {"train": ["a"] * 10 + ["b"] * 20 + ["c"] * 30, "validation": ["d"] * 20, "test": ["e"] * 20}
    result = run(tmp_path, splits, examine.Options(label_errors=False), class_names=SCENES, groups=groups)
    train = result.groups["train"]
    assert (train.groups, train.smallest, train.median, train.largest) == (3, 10, 20.0, 30)


def test_of_several_inputs_the_largest_is_looked_at_and_every_one_has_its_ends(tmp_path: Path) -> None:
    pictures, y = scenes(150)
    x = np.zeros(150, np.dtype([("age", "f4", (1,)), ("image", "u1", (32, 32, 3))]))
    x["image"], x["age"][:, 0] = pictures, np.arange(150)
    splits = three_splits(x, y)
    copies = splits["train"][0][:5].copy()
    copies["image"] = brighter(copies["image"])
    splits["test"] = (np.concatenate([splits["test"][0], copies]), np.concatenate([splits["test"][1], y[:5]]))
    result = run(tmp_path, splits, class_names=SCENES)
    assert result.near_duplicates.across["train/test"] == 5
    assert (result.extremes["age"].lowest, result.extremes["age"].highest) == (0, 149)
    assert list(result.extremes) == ["age", "image"]
    assert result.thumbnails
