"""The train stage: the artifact, its bytes, and models that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from device_profiles.errors import ModelError, StoreError
from stages import train
from stages.models import BUILDERS
from stages.records import History
from tests.stages.conftest import SEED, make_context


def test_the_artifact_holds_the_model_and_its_preprocessing(trained: Path, prepared: Path) -> None:
    assert sorted(path.name for path in trained.iterdir()) == ["model.keras", "preprocessing.json"]
    assert (trained / "preprocessing.json").read_bytes() == (prepared / "preprocessing.json").read_bytes()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(make: Callable[..., Path], prepared: Path,
                                                                 trained: Path) -> None:
    def train_with(seed: int) -> bytes:
        options = train.Options(epochs=4, batch_size=16, seed=seed)
        return (make(train, data=prepared, options=options) / "model.keras").read_bytes()

    first = (trained / "model.keras").read_bytes()
    assert train_with(SEED) == first
    assert train_with(SEED + 1) != first


def test_an_unknown_model_is_refused_with_the_near_miss(tmp_path: Path, prepared: Path) -> None:
    with pytest.raises(ModelError, match="did you mean 'small_cnn'"):
        train.run(data=prepared, options=train.Options(model="smal_cnn"), context=make_context(tmp_path))


def test_a_model_whose_output_does_not_fit_the_labels_is_refused(tmp_path: Path, prepared: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    small = BUILDERS["small_cnn"]
    monkeypatch.setitem(BUILDERS, "too_wide", lambda shape, classes: small(shape, classes + 2))
    with pytest.raises(ModelError, match=r"output has the shape \(None, 5\); the data has 3 classes"):
        train.run(data=prepared, options=train.Options(model="too_wide"), context=make_context(tmp_path))


def test_a_model_for_other_inputs_is_refused(tmp_path: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = BUILDERS["small_cnn"]
    monkeypatch.setitem(BUILDERS, "for_colour", lambda shape, classes: small((8, 8, 3), classes))
    with pytest.raises(ModelError, match=r"takes inputs of shape \(None, 8, 8, 3\)"):
        train.run(data=prepared, options=train.Options(model="for_colour"), context=make_context(tmp_path))


def test_missing_data_says_which_stage_makes_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        train.run(data=tmp_path / "nothing", options=train.Options(), context=make_context(tmp_path))
    assert caught.value.next_step == "litesmith prepare"


def test_the_summary_names_accuracy_samples_and_the_best_epoch() -> None:
    history = History(loss=(2, 1, 1), accuracy=(0.1, 0.8, 0.9), validation_loss=(2, 0.5, 0.6),
                      validation_accuracy=(0.2, 0.987, 0.9), best_epoch=1, stopped_early=True)
    assert train.summarize(history, 269) == (
        "accuracy 98.7 % on 269 validation samples, best of 3 epochs: 2, stopped early")
