"""Samples are drawn by split and seed, read in chunks, and keep name, label, group and recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.datasets.prepared import Preprocessing, read_preprocessing
from stages.examining import gathering
from stages.examining.gathering import Examined, draw, gather, read_splits, shown_labels
from stages.records import TensorSpec
from tests.stages.sample_data import scenes, write_artifact


def _gathered(folder: Path, **about: object) -> Examined:
    x, y = scenes(30, side=16)
    splits = {"train": (x[:15], y[:15]), "validation": (x[15:20], y[15:20]), "test": (x[20:], y[20:])}
    write_artifact(folder, splits, class_names="abc", **about)  # type: ignore[arg-type]
    rows = {"train": np.array([1, 4]), "validation": np.array([0]), "test": np.array([2, 9])}
    return gather(folder, read_splits(folder), rows, read_preprocessing(folder), "input")


def test_each_split_gives_its_share() -> None:
    rows = draw({"train": 800, "validation": 100, "test": 100}, 100, seed=0)
    assert {name: len(chosen) for name, chosen in rows.items()} == {"train": 80, "validation": 10, "test": 10}
    assert all((np.diff(chosen) > 0).all() for chosen in rows.values())
    assert draw({"train": 3, "test": 2}, 5, seed=0)["train"].tolist() == [0, 1, 2]


def test_samples_carry_place_name_label_and_recording(tmp_path: Path) -> None:
    names = {"train": [f"t{row}" for row in range(15)]}
    clips = {"train": list(range(15)), "validation": [0, 0, 1, 1, 1], "test": [3] * 10}
    found = _gathered(tmp_path, names=names, clips=clips)
    sample = found.sample(1)
    assert (sample.split, sample.index, sample.name, sample.label) == ("train", 4, "t4", "b")
    assert found.sample(3).name == ""
    assert found.clips.tolist() == [1, 4, 0, 3, 3]
    assert found.together[3] == found.together[4] != found.together[0]


def test_samples_of_one_group_stay_together_across_recordings(tmp_path: Path) -> None:
    groups = {"train": ["x"] * 15, "validation": ["y"] * 5, "test": ["z"] * 10}
    together = _gathered(tmp_path, groups=groups).together
    assert together[0] == together[1]
    assert len(set(together.tolist())) == 3


def test_small_chunks_give_the_same_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _gathered(tmp_path / "a")
    monkeypatch.setattr(gathering, "CHUNK_BYTES", 1)
    parts = _gathered(tmp_path / "b")
    assert (whole.digests == parts.digests).all()
    np.testing.assert_array_equal(whole.looks.vectors, parts.looks.vectors)
    assert whole.extremes == parts.extremes


def test_labels_are_shown_as_class_names_or_values_or_not_at_all() -> None:
    classes = Preprocessing(inputs={"input": TensorSpec(shape=(2,), dtype="float32")}, class_names=("cat", "dog"))
    assert shown_labels(np.array([1, 0]), classes) == ("dog", "cat")
    values = classes.model_copy(update={"task": "regression", "class_names": ()})
    assert shown_labels(np.array([[1.5], [2]], np.float32), values) == ("1.5", "2")
    assert shown_labels(np.zeros((2, 3), np.uint8), classes) == ("", "")
