"""Batches of an epoch: drawn by (seed, epoch), weighted, augmented, and in calls of bounded size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import StageError
from stages.datasets.prepared import Split
from stages.fitting import batches as batching
from stages.fitting.settings import steps_per_epoch
from tests.stages.conftest import SEED
from tests.stages.test_training import settings


def test_balanced_weights_give_every_class_the_same_total() -> None:
    y = np.array([0, 0, 0, 1])
    weights = batching.sample_weights(y, settings(class_weights="balanced"))
    assert weights.tolist() == pytest.approx([4 / 6, 4 / 6, 4 / 6, 2])
    assert batching.sample_weights(y, settings()).tolist() == [1, 1, 1, 1]


def test_every_epoch_shuffles_anew_and_the_same_way_each_time() -> None:
    x = np.arange(10, dtype=np.float32).reshape(10, 1, 1, 1)
    split, given = Split(x, np.arange(10)), settings(batch_size=5)
    def order(epoch: int) -> list[int]:
        batches = batching.batches(split, np.ones(10, np.float32), given, SEED, epoch)
        return np.concatenate([y.ravel() for _, y, _ in batches]).tolist()
    assert sorted(order(0)) == list(range(10))
    assert order(0) == order(0) != order(1)


def test_a_batch_larger_than_the_split_takes_the_whole_split(tmp_path: Path) -> None:
    assert steps_per_epoch(7, settings(batch_size=64)) == 1
    x = np.zeros((7, 1, 1, 1), np.float32)
    (batch, _, _), = batching.batches(Split(x, np.zeros(7, np.int64)), np.ones(7, np.float32),
                                       settings(batch_size=64), 0, 0)
    assert batch.shape == (1, 7, 1, 1, 1)


def test_balanced_weights_are_refused_where_labels_are_no_classes() -> None:
    with pytest.raises(StageError, match="the labels are no classes"):
        batching.sample_weights(np.zeros((4, 2), np.uint8), settings(class_weights="balanced"))


def test_augmented_samples_differ_from_epoch_to_epoch_and_repeat_themselves() -> None:
    split = Split(np.zeros((8, 4, 4, 1), np.float32), np.arange(8))
    given = settings(batch_size=4, augment={"noise": 0.5})
    def first(epoch: int) -> np.ndarray:
        return next(iter(batching.batches(split, np.ones(8, np.float32), given, SEED, epoch)))[0]
    assert np.array_equal(first(0), first(0))
    assert not np.array_equal(first(0), first(1))
    assert first(0).std() == pytest.approx(0.5, rel=0.2)


def test_large_samples_go_to_tensorflow_in_smaller_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "CALL_BYTES", 2 * 2 * 16)  # two batches of two samples of 16 bytes
    split = Split(np.zeros((10, 4), np.float32), np.arange(10))
    batches = batching.batches(split, np.ones(10, np.float32), settings(batch_size=2), 0, 0)
    assert [len(y) for _, y, _ in batches] == [2, 2, 1]


def test_an_augmentation_that_the_samples_cannot_have_is_refused() -> None:
    split = Split(np.zeros((8, 4), np.float32), np.arange(8))
    with pytest.raises(StageError):
        list(batching.batches(split, np.ones(8, np.float32), settings(augment={"horizontal_flip": True}), 0, 0))


def test_an_epoch_of_fewer_samples_draws_others_each_time() -> None:
    split, given = Split(np.zeros((100, 2), np.float32), np.arange(100)), settings(batch_size=10, samples_per_epoch=20)
    def drawn(epoch: int) -> list[int]:
        return np.concatenate([y.ravel() for _, y, _ in batching.batches(
            split, np.ones(100, np.float32), given, SEED, epoch)]).tolist()
    assert len(set(drawn(0))) == 20
    assert set(drawn(0)) != set(drawn(1))
