"""The fit loop: it learns, stops, repeats itself byte for byte, and survives being killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import StageError
from stages import prune, quantize, train, training
from stages.context import Progress, StageContext
from stages.datasets.prepared import Preprocessing, Split
from stages.models import build_model
from stages.models.checkpoint import CHECKPOINT_FILE
from stages.models.framework import tensorflow_turn
from stages.records import TensorSpec
from stages.tasks import TaskSettings, make_task
from tests.stages.conftest import SEED, make_context, stripes

OPTIONS = train.Options(epochs=4, batch_size=16, seed=SEED)  # 99 samples: 6 steps an epoch

KILLED = """
import os, signal, sys
from pathlib import Path
from stages import train
from stages.context import StageContext

def progress(done, total, text):
    if done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[2])
context = StageContext(out=folder / "out", scratch=folder / "scratch", log=folder / "log.txt", progress=progress)
options = train.Options(epochs=4, batch_size=16, seed=int(sys.argv[4]))
train.run(model=Path(sys.argv[5]), data=Path(sys.argv[1]), context=context, options=options)
"""


class _Stop(Exception):
    """Breaks a training off in the middle."""


def stop_at(step: int) -> Progress:
    def progress(done: int, total: int, text: str) -> None:
        if done >= step:
            raise _Stop
    return progress


def seen_by(steps: list[int]) -> Progress:
    return lambda done, total, text: steps.append(done)


def settings(**given: Any) -> training.FitSettings:
    return training.FitSettings(**({"epochs": 2, "batch_size": 16} | given))


def lesson(x: np.ndarray, y: np.ndarray, training_rows: int) -> training.Lesson:
    """The first rows to learn from, the others to validate on."""
    about = Preprocessing(inputs={"input": TensorSpec(shape=x.shape[1:], dtype="float32")}, class_names=("a", "b", "c"))
    return training.Lesson(Split(x[:training_rows], y[:training_rows]), Split(x[training_rows:], y[training_rows:]),
                           make_task(TaskSettings()), about)


def fit_small(context: StageContext, hooks: training.Hooks | None = None, **given: Any) -> tuple[Any, list[np.ndarray]]:
    """Train `small_cnn` on stripes: history and final weights."""
    x, y = stripes(96)
    with tensorflow_turn(SEED, context.log):
        model = build_model("small_cnn", (6, 6, 1), 3)
        history = training.fit(model, lesson(x, y, 72), settings(**given), SEED, context, hooks)
        return history, model.get_weights()


def test_a_training_killed_with_sigkill_goes_on_and_ends_with_the_same_bytes(
        tmp_path: Path, prepared: Path, built: Path, trained: Path) -> None:
    context = make_context(tmp_path)  # 15 steps: in the third epoch
    arguments = [sys.executable, "-c", KILLED, str(prepared), str(tmp_path), "15", str(SEED), str(built)]
    assert subprocess.run(arguments, capture_output=True, check=False).returncode == -signal.SIGKILL
    assert not list(context.out.iterdir())
    steps: list[int] = []
    train.run(model=built, data=prepared, options=OPTIONS, context=make_context(tmp_path, seen_by(steps)))
    assert steps[0] > 12  # two whole epochs of six steps were not done again
    assert (context.out / "model.keras").read_bytes() == (trained / "model.keras").read_bytes()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """Final weights of three epochs without a break."""
    return fit_small(make_context(tmp_path_factory.mktemp("unbroken")), epochs=3)[1]


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "foreign", "half-written"])
def test_a_damaged_or_foreign_checkpoint_means_starting_over(tmp_path: Path, unbroken: list[np.ndarray],
                                                             damage: str) -> None:
    context = make_context(tmp_path, stop_at(7))  # 72 samples: 4 steps an epoch
    with pytest.raises(_Stop):
        fit_small(context, epochs=3)
    path = context.scratch / CHECKPOINT_FILE
    content = path.read_bytes()
    if damage == "foreign":
        make_foreign_checkpoint(path)
    elif damage == "half-written":
        path.rename(context.scratch / f"{CHECKPOINT_FILE}.part")
    else:
        middle = len(content) // 2
        path.write_bytes({"truncate": content[:middle], "empty": b"",
                          "flip": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1:]}[damage])
    steps: list[int] = []
    _, weights = fit_small(make_context(tmp_path, seen_by(steps)), epochs=3)
    assert min(steps) <= 4
    assert all(np.array_equal(a, b) for a, b in zip(weights, unbroken, strict=True))


def make_foreign_checkpoint(path: Path) -> None:
    """A whole checkpoint of a training with another learning rate."""
    fit_small(make_context(path.parent / "other"), epochs=1, learning_rate=0.5)
    path.write_bytes((path.parent / "other" / "scratch" / CHECKPOINT_FILE).read_bytes())


def broken_and_whole(tmp_path: Path, stage: Any, at: int, **given: Any) -> tuple[Path, Path, list[int]]:
    """Artifacts of a call that was broken off at a step and run again, and of one that was not."""
    with pytest.raises(_Stop):
        stage.run(context=make_context(tmp_path / "broken", stop_at(at)), **given)
    steps: list[int] = []
    stage.run(context=make_context(tmp_path / "broken", seen_by(steps)), **given)
    stage.run(context=make_context(tmp_path / "whole"), **given)
    return tmp_path / "broken" / "out", tmp_path / "whole" / "out", steps


def test_pruning_goes_on_with_its_masks(tmp_path: Path, prepared: Path, trained: Path) -> None:
    options = prune.Options(epochs=4, batch_size=16, sparsity=0.6, seed=SEED)
    broken, whole, steps = broken_and_whole(tmp_path, prune, 15, model=trained, data=prepared, options=options)
    assert steps[0] > 12
    assert (broken / "model.keras").read_bytes() == (whole / "model.keras").read_bytes()


def test_cluster_preserving_training_goes_on_with_its_centroids(tmp_path: Path, prepared: Path, trained: Path,
                                                                make: Any) -> None:
    clustered = make(prune, model=trained, data=prepared,
                     options=prune.Options(epochs=1, batch_size=16, clusters=8, seed=SEED))
    options = quantize.Options(format="int8qat", epochs=3, batch_size=16, clusters=8, seed=SEED)
    broken, whole, steps = broken_and_whole(tmp_path, quantize, 9, model=clustered, data=prepared, options=options)
    assert steps[0] > 6
    assert (broken / "qat_weights.npz").read_bytes() == (whole / "qat_weights.npz").read_bytes()


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    first, weights = fit_small(make_context(tmp_path))
    steps: list[int] = []
    second, again = fit_small(make_context(tmp_path, seen_by(steps)))
    assert steps == []
    assert second == first
    assert all(np.array_equal(a, b) for a, b in zip(weights, again, strict=True))


def test_it_learns(tmp_path: Path) -> None:
    history, _ = fit_small(make_context(tmp_path), epochs=12)
    assert history.validation_score[history.best_epoch] > 0.8  # a third by chance
    assert history.loss[-1] < history.loss[0] / 2


def test_it_stops_when_validation_gets_no_better_and_keeps_the_best_weights(tmp_path: Path) -> None:
    history, weights = fit_small(make_context(tmp_path), epochs=40, patience=2, learning_rate=0.02)
    assert history.stopped_early
    assert len(history.loss) == history.best_epoch + 1 + 2
    assert history.validation_loss[history.best_epoch] == min(history.validation_loss)
    x, y = stripes(96)
    with tensorflow_turn(SEED, tmp_path / "log.txt"):
        model = build_model("small_cnn", (6, 6, 1), 3)
        model.set_weights(weights)
        chosen = model(x[72:]).numpy()[np.arange(24), y[72:]]
    assert -np.log(chosen).mean() == pytest.approx(min(history.validation_loss), rel=1e-4)


def test_an_epoch_before_keep_from_is_never_the_best(tmp_path: Path) -> None:
    history, _ = fit_small(make_context(tmp_path), training.Hooks(keep_from=2), epochs=3)
    assert history.best_epoch == 2


def test_after_epoch_is_called_once_an_epoch_before_validation(tmp_path: Path) -> None:
    calls: list[int] = []
    fit_small(make_context(tmp_path), training.Hooks(after_epoch=lambda: calls.append(1)), epochs=3)
    assert len(calls) == 3


def test_a_loss_that_is_no_number_stops_with_the_learning_rate_to_lower(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no longer a number") as caught:
        fit_small(make_context(tmp_path), epochs=8, learning_rate=1e30)
    assert "learning_rate" in caught.value.next_step


def test_progress_counts_every_step_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    fit_small(make_context(tmp_path, lambda *call: told.append(call)), epochs=2)
    assert told[-1][:2] == (8, 8)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert "epoch 2/2, validation accuracy" in told[-1][2]


def test_class_weights_raise_the_recall_of_a_rare_class(tmp_path: Path) -> None:
    x, y = stripes(150)
    x += np.random.default_rng(1).normal(0, 2, x.shape)  # hard to tell: what is rare is given up unless it counts more
    rare = np.flatnonzero((y != 2) | (np.arange(150) % 15 == 2))  # ten of class 2 beside a hundred others
    recalls = {}
    for kind in ("none", "balanced"):
        context = make_context(tmp_path / kind)
        with tensorflow_turn(SEED, context.log):
            model = build_model("small_cnn", (6, 6, 1), 3)
            training.fit(model, lesson(np.concatenate([x[rare], x]), np.concatenate([y[rare], y]), len(rare)),
                         settings(epochs=4, class_weights=kind), SEED, context)
            recalls[kind] = float((model(x[y == 2]).numpy().argmax(axis=1) == 2).mean())
    assert recalls["balanced"] > recalls["none"]
