"""The distil stage: a student of its own architecture, the teacher's score beside it, and the same bytes each time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles import strictyaml
from device_profiles.errors import ConfigError, ModelError
from stages import distil, train
from stages.distillation import Distillation, Hint
from stages.models.files import copy_companions, load_model, save_model
from stages.models.framework import tensorflow_turn
from tests.stages.conftest import SEED, make_context, stripes


def options(**given: Any) -> distil.Options:
    return distil.Options(**({"epochs": 2, "batch_size": 16, "seed": SEED} | given))


def student_of(folder: Path, prepared: Path, units: int = 3) -> Path:
    """An untrained artifact of another architecture than `small_cnn`."""
    with tensorflow_turn(SEED, folder / "log.txt") as keras:
        save_model(keras.Sequential([
            keras.layers.Input((6, 6, 1)), keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.Flatten(), keras.layers.Dense(units, name="logits")]), folder)
    copy_companions(prepared, folder)
    return folder


def test_a_student_of_another_architecture_learns_from_the_float_model(tmp_path: Path, prepared: Path,
                                                                       trained: Path) -> None:
    student, context = student_of(tmp_path, prepared), make_context(tmp_path)
    result = distil.run(model=student, data=prepared, teacher=trained, options=options(epochs=12, learning_rate=0.01),
                        context=context)
    assert [layer.name for layer in load_model(context.out).layers] == ["conv", "flatten", "logits"]
    assert result.parameters == 4 * 9 + 4 + 4 * 16 * 3 + 3
    assert result.teacher_parameters == load_model(trained).count_params()
    assert result.history.loss[-1] < result.history.loss[0] / 2
    assert f"; the teacher's accuracy {100 * result.teacher_score:.1f} %" in result.summary
    assert (context.out / "preprocessing.json").read_bytes() == (trained / "preprocessing.json").read_bytes()


def test_the_teacher_s_score_is_that_of_its_own_training(make: Callable[..., Path], tmp_path: Path, prepared: Path,
                                                         built: Path, trained: Path) -> None:
    from stages.artifacts import RESULT_FILE
    from stages.records import TrainResult

    history = TrainResult.model_validate_json((trained / RESULT_FILE).read_text()).history
    result = distil.run(model=built, data=prepared, teacher=trained, options=options(epochs=1),
                        context=make_context(tmp_path))
    assert result.teacher_loss == pytest.approx(min(history.validation_loss), rel=1e-5)
    assert result.teacher_score == history.validation_score[history.best_epoch]


def test_the_same_call_gives_the_same_bytes(make: Callable[..., Path], prepared: Path, built: Path,
                                            trained: Path) -> None:
    given = options(hints={"conv1": "conv2"})
    first, second = (make(distil, model=built, data=prepared, teacher=trained, options=given) for _ in range(2))
    assert (first / "model.keras").read_bytes() == (second / "model.keras").read_bytes()
    assert (first / "model.keras").read_bytes() != (built / "model.keras").read_bytes()


def test_a_student_with_other_outputs_is_refused(tmp_path: Path, prepared: Path, trained: Path) -> None:
    with pytest.raises(ModelError, match=r"the model's output has the shape \(5,\)"):
        distil.run(model=student_of(tmp_path, prepared, 5), data=prepared, teacher=trained, options=options(),
                   context=make_context(tmp_path))


def test_a_teacher_with_other_outputs_is_refused(tmp_path: Path, prepared: Path, built: Path) -> None:
    with pytest.raises(ModelError, match="the teacher does not fit: the model's output"):
        distil.run(model=built, data=prepared, teacher=student_of(tmp_path, prepared, 5), options=options(),
                   context=make_context(tmp_path))


def test_what_other_stages_are_told_is_how_the_teacher_teaches_and_nothing_else() -> None:
    given = options(temperature=2, alpha=0.3, hints={"conv1": {"teacher": "conv2", "weight": 0.5}}, teacher="resnet8")
    hint = Hint(teacher="conv2", weight=0.5)
    assert given.teaching() == Distillation(temperature=2, alpha=0.3, hints={"conv1": hint})


def test_a_run_file_names_teacher_and_student_in_a_word() -> None:
    read = strictyaml.loads("teacher: resnet8\nstudent: {source: applications/mobilenetv2}\nhints: {conv: conv}\n",
                            distil.Settings, "run.yaml")
    assert read.teacher is not None
    assert read.student is not None
    assert (read.teacher.source, read.student.source) == ("resnet8", "applications/mobilenetv2")


@pytest.mark.parametrize(("text", "message"), [
    ("temperature: 0\n", r"run.yaml:1:.*temperature"),
    ("epochs: 3\nteacher: resnet9\n", r"run.yaml:2:.*resnet9"),
    ("teacher: nowhere.tflite\n", "nowhere.tflite"),
    ("hints: {conv: {teacher: conv, wait: 1}}\n", r"run.yaml:1:.*wait")])
def test_settings_that_cannot_be_are_refused_with_their_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        strictyaml.loads(text, distil.Settings, "run.yaml")


def test_a_teacher_makes_up_for_labels_that_are_wrong(tmp_path: Path, prepared: Path, trained: Path) -> None:
    wrong = tmp_path / "wrong"
    shutil.copytree(prepared, wrong)
    labels = np.load(wrong / "y_train.npy")
    lied = np.random.default_rng(0).permutation(len(labels))[:len(labels) * 45 // 100]
    labels[lied] = (labels[lied] + 1) % 3
    np.save(wrong / "y_train.npy", labels)
    x, y = stripes(600, seed=9)
    found: dict[str, list[float]] = {"alone": [], "taught": []}
    for seed in (1, 2):
        given = {"epochs": 15, "batch_size": 16, "learning_rate": 0.01, "patience": 0, "seed": seed}
        student = tmp_path / f"student{seed}"
        student.mkdir()
        student_of(student, prepared)
        context = make_context(tmp_path / f"alone{seed}")
        train.run(model=student, data=wrong, options=train.Options(**given), context=context)
        found["alone"].append(accuracy(context.out, x, y))
        context = make_context(tmp_path / f"taught{seed}")
        distil.run(model=student, data=wrong, teacher=trained, options=distil.Options(alpha=0.9, **given),
                   context=context)
        found["taught"].append(accuracy(context.out, x, y))
    assert min(found["taught"]) > max(found["alone"]) + 0.05, found


def accuracy(folder: Path, x: np.ndarray, y: np.ndarray) -> float:
    """Of an artifact's model on samples as they are stored."""
    return float((load_model(folder)(x).numpy().argmax(axis=1) == y).mean())
