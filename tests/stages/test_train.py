"""The train stage: the artifact, its bytes, and models that do not fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import ModelError, StageError, StoreError
from stages import train, training
from stages.models.files import load_model
from stages.models.framework import tensorflow_turn
from stages.records import History, TrainResult
from tests.stages.conftest import SEED, make_context


def test_the_artifact_holds_the_model_and_its_preprocessing(trained: Path, prepared: Path) -> None:
    assert sorted(path.name for path in trained.iterdir()) == ["model.keras", "preprocessing.json", "result.json"]
    assert (trained / "preprocessing.json").read_bytes() == (prepared / "preprocessing.json").read_bytes()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(make: Callable[..., Path], prepared: Path,
                                                                 built: Path, trained: Path) -> None:
    def train_with(seed: int) -> bytes:
        options = train.Options(epochs=4, batch_size=16, seed=seed)
        return (make(train, model=built, data=prepared, options=options) / "model.keras").read_bytes()

    first = (trained / "model.keras").read_bytes()
    assert train_with(SEED) == first
    assert train_with(SEED + 1) != first


def test_missing_data_says_which_stage_makes_it(tmp_path: Path, built: Path) -> None:
    with pytest.raises(StoreError) as caught:
        train.run(model=built, data=tmp_path / "nothing", options=train.Options(), context=make_context(tmp_path))
    assert caught.value.next_step == "litesmith prepare"


def test_the_summary_names_accuracy_samples_and_the_best_epoch() -> None:
    history = History(loss=(2, 1, 1), score=(0.1, 0.8, 0.9), validation_loss=(2, 0.5, 0.6),
                      validation_score=(0.2, 0.987, 0.9), best_epoch=1, stopped_early=True)
    assert training.summarize(history, 269) == (
        "accuracy 98.7 % on 269 validation samples, best of 3 epochs: 2, stopped early")


def weights_of(folder: Path) -> dict[str, list[np.ndarray]]:
    with tensorflow_turn(0, folder.parent / "log.txt"):
        return {layer.name: layer.get_weights() for layer in load_model(folder).layers}


def test_frozen_layers_stand_still_until_everything_is_tuned(make: Callable[..., Path], prepared: Path,
                                                             built: Path) -> None:
    frozen = make(train, model=built, data=prepared, options=train.Options(
        epochs=1, frozen_epochs=2, freeze=("conv*", "norm*"), learning_rate=1e-12, batch_size=16, seed=SEED))
    before, after = weights_of(built), weights_of(frozen)
    assert np.allclose(before["conv1"][0], after["conv1"][0], atol=1e-9)  # the last epoch's rate is next to nothing
    assert not np.allclose(before["scores"][0], after["scores"][0], atol=1e-3)
    history = TrainResult.model_validate_json((frozen / "result.json").read_text()).history
    assert len(history.loss) == 3
    assert history.best_epoch == 2


def test_normalization_of_a_frozen_backbone_does_not_follow_the_batches(make: Callable[..., Path], prepared: Path,
                                                                        built: Path) -> None:
    with tensorflow_turn(0, built.parent / "log.txt"):
        model = load_model(built)
        frozen = train.backbone_of(model, ("conv*", "norm*"))
        with train._standing_still(frozen):
            mean = model.get_layer("norm1").moving_mean.numpy().copy()
            model(np.ones((4, 6, 6, 1), np.float32), training=True)
            assert np.array_equal(model.get_layer("norm1").moving_mean.numpy(), mean)
        model(np.ones((4, 6, 6, 1), np.float32), training=True)
        assert not np.array_equal(model.get_layer("norm1").moving_mean.numpy(), mean)


@pytest.mark.parametrize(("freeze", "error", "found"), [
    (("cnov1",), ModelError, "train.freeze names 'cnov1', which no layer matches; did you mean 'conv1'"),
    ((), ModelError, "no layer is called head_"),
    (("*",), StageError, "leaves nothing to train"),
])
def test_a_backbone_that_cannot_be_frozen_is_refused(tmp_path: Path, prepared: Path, built: Path,
                                                     freeze: tuple[str, ...], error: type[Exception],
                                                     found: str) -> None:
    with pytest.raises(error, match=re.escape(found)):
        train.run(model=built, data=prepared, context=make_context(tmp_path),
                  options=train.Options(epochs=1, frozen_epochs=1, freeze=freeze))
