"""A teacher in a training: what the loss is for each task, what is refused, and that it goes on after a break."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import ModelError, StageError
from stages import prune, quantize, training
from stages.datasets.prepared import Preprocessing, Split
from stages.distillation import Distillation, TaughtLoss, Teacher
from stages.models import build_model, qat
from stages.models.files import load_model, save_model
from stages.models.framework import tensorflow_turn
from stages.records import TensorSpec
from stages.tasks import TaskSettings, make_task
from tests.stages.conftest import SEED, make_context, stripes
from tests.stages.test_training import broken_and_whole, lesson, settings

X = np.dtype(np.float32)
DIVERGENCE = 0.443776  # of logits (2, 0) and (0, 0) at temperature 2: see test_distilling_losses


def giving(*values: float, activation: str | None = None, name: str = "output") -> Any:
    """A model that gives the same values whatever it is fed."""
    import tf_keras as keras

    layer = keras.layers.Dense(len(values), activation, kernel_initializer="zeros", name=name)
    model = keras.Sequential([keras.layers.Input((4,)), layer])
    layer.bias.assign(values)
    return model


def loss_of(teacher: Any, student: Any, task: Any, y: Any, **given: Any) -> float:
    """The loss of one sample, computed in a graph as a training does."""
    import tensorflow as tf

    measure = TaughtLoss(student, teacher, make_task(TaskSettings.model_validate(task)), X, Distillation(**given), 0)
    return float(tf.function(lambda x: measure(x, y))(np.zeros((1, 4), np.float32))[0])


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_classes_are_taught_by_the_softened_divergence(activation: str | None) -> None:
    teacher, student = giving(2, 0, activation=activation), giving(0, 0, activation="softmax")
    assert loss_of(teacher, student, "classification", np.array([0]), temperature=2, alpha=1) == pytest.approx(
        DIVERGENCE, abs=1e-5)


def test_labels_and_teacher_share_the_loss_by_alpha() -> None:
    found = loss_of(giving(2, 0), giving(0, 0), "classification", np.array([1]), temperature=2, alpha=0.25)
    assert found == pytest.approx(0.75 * np.log(2) + 0.25 * DIVERGENCE, abs=1e-5)  # -ln 1/2 for the label


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_a_single_unit_is_taught_by_its_sigmoid(task: str) -> None:
    y = np.array([1]) if task == "classification" else np.array([[1]])
    assert loss_of(giving(2, activation="sigmoid"), giving(0), task, y, temperature=2, alpha=1) == pytest.approx(
        DIVERGENCE, abs=1e-5)  # sigmoid(2 / 2) against one half: the same two probabilities


def test_values_are_taught_by_their_squared_distance_without_a_temperature() -> None:
    y = np.zeros((1, 2), np.float32)
    found = [loss_of(giving(1, 3), giving(0, 1), "regression", y, temperature=t, alpha=1) for t in (1, 9)]
    assert found == pytest.approx([(1 + 4) / 2] * 2)


def test_a_rebuilt_input_is_taught_by_its_squared_distance() -> None:
    assert loss_of(giving(0, 0, 0, 2), giving(0, 0, 0, 0), "anomaly", np.array([0]), alpha=1) == pytest.approx(1.0)


def two_outputs(first: Any, second: Any) -> Any:
    import tf_keras as keras

    inputs = keras.layers.Input((4,))
    return keras.Model(inputs, [first.layers[-1](inputs), second.layers[-1](inputs)])


def test_several_outputs_are_taught_each_by_its_own_task_and_weight() -> None:
    task = {"outputs": {"kind": {"kind": "classification", "weight": 3}, "size": "regression"}}
    teacher = two_outputs(giving(2, 0, name="kind"), giving(5, name="size"))
    student = two_outputs(giving(0, 0, name="kind"), giving(3, name="size"))
    y = {"kind": np.array([0]), "size": np.zeros((1, 1), np.float32)}
    assert loss_of(teacher, student, task, y, temperature=2, alpha=1) == pytest.approx(3 * DIVERGENCE + 4, abs=1e-4)


def test_hints_are_added_with_their_weight(tiny_keras: Any, tiny_samples: np.ndarray) -> None:
    import tf_keras as keras

    given = Distillation(alpha=0, hints={"conv": "depthwise_before"})
    teacher = keras.models.clone_model(tiny_keras)
    with pytest.raises(ModelError, match="'depthwise_before', which the teacher does not have"):
        TaughtLoss(tiny_keras, teacher, make_task(TaskSettings()), X, given, 0)
    plain, hinted = (TaughtLoss(tiny_keras, teacher, make_task(TaskSettings()), X, Distillation(
        alpha=0, hints=hints), 0) for hints in ({}, {"conv": {"teacher": "conv", "weight": 2}}))
    y = np.zeros(64, np.int64)
    student, taught = (keras.Model(model.input, model.get_layer("conv").output)(tiny_samples).numpy().reshape(64, -1)
                       for model in (tiny_keras, teacher))
    cosines = (student * taught).sum(1) / np.linalg.norm(student, axis=1) / np.linalg.norm(taught, axis=1)
    assert (hinted(tiny_samples, y) - plain(tiny_samples, y)).numpy() == pytest.approx(2 * (2 - 2 * cosines), abs=1e-4)


# -- in a training -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact with `small_cnn`, trained on 240 stripes."""
    context = make_context(tmp_path_factory.mktemp("wise"))
    x, y = stripes(270, seed=4)
    with tensorflow_turn(SEED, context.log):
        model = build_model("small_cnn", (6, 6, 1), 3)
        training.fit(model, lesson(x, y, 240), settings(epochs=8), SEED, context)
        save_model(model, context.out)
    return context.out


def another(keras: Any) -> Any:
    """A student of another architecture than `small_cnn`, for the same data."""
    return keras.Sequential([keras.layers.Input((6, 6, 1)), keras.layers.Flatten(),
                             keras.layers.Dense(24, activation="relu"), keras.layers.Dense(3, activation="softmax")])


def test_the_teacher_is_never_trained_and_the_student_comes_to_agree_with_it(
        tmp_path: Path, wise: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = stripes(96)
    loaded: list[Any] = []
    load = Teacher.load
    monkeypatch.setattr(Teacher, "load", lambda self, *given: loaded.append(load(self, *given)) or loaded[-1])
    with tensorflow_turn(SEED, tmp_path / "log.txt") as keras:
        teacher, student = load_model(wise), another(keras)
        taught = replace(lesson(x, y, 72), teacher=Teacher(wise, Distillation(alpha=1)))
        history = training.fit(student, taught, settings(epochs=30, learning_rate=0.01), SEED, make_context(tmp_path))
        assert all(np.array_equal(a, b) for a, b in zip(loaded[0].get_weights(), teacher.get_weights(), strict=True))
        agree = (student(x[:72]).numpy().argmax(1) == teacher(x[:72]).numpy().argmax(1)).mean()
    assert history.loss[-1] < history.loss[0] / 4
    assert agree > 0.95


def test_hints_are_learnt_and_their_projections_thrown_away(tmp_path: Path, wise: Path) -> None:
    x, y = stripes(96)
    with tensorflow_turn(SEED, tmp_path / "log.txt"):
        student = build_model("small_cnn", (6, 6, 1), 3)
        count = len(student.variables)
        taught = replace(lesson(x, y, 72), teacher=Teacher(wise, Distillation(alpha=0.5, hints={"conv1": "relu1"})))
        history = training.fit(student, taught, settings(epochs=6), SEED, make_context(tmp_path))
        assert len(student.variables) == count
    assert history.loss[-1] < history.loss[0]


@pytest.mark.parametrize(("stage", "at", "given"), [
    (prune, 15, prune.Options(epochs=4, batch_size=16, sparsity=0.6, seed=SEED)),
    (quantize, 9, quantize.Options(format="int8qat", epochs=3, batch_size=16, seed=SEED))], ids=["prune", "qat"])
def test_a_taught_training_goes_on_with_its_projections_to_the_same_bytes(
        tmp_path: Path, prepared: Path, trained: Path, wise: Path, stage: Any, at: int, given: Any) -> None:
    with_hint = given.model_copy(update={"distil": Distillation(hints={"conv1": "conv2"})})  # 16 channels to 32
    broken, whole, steps = broken_and_whole(tmp_path, stage, at, model=trained, data=prepared, teacher=wise,
                                            options=with_hint)
    assert steps[0] > at - 6
    names = sorted(path.name for path in whole.iterdir())
    assert all((broken / name).read_bytes() == (whole / name).read_bytes() for name in names)


def test_a_teacher_of_another_shape_is_refused(tmp_path: Path, wise: Path) -> None:
    about = Preprocessing(inputs={"input": TensorSpec(shape=(8, 8, 1), dtype="float32")}, class_names=("a", "b", "c"))
    with tensorflow_turn(SEED, tmp_path / "log.txt"), pytest.raises(ModelError, match="the teacher does not fit: the "
                                                                    r"model takes inputs of shape \(6, 6, 1\)"):
        Teacher(wise, Distillation()).load(make_task(TaskSettings()), about)


def test_a_teacher_with_other_outputs_than_the_student_is_refused() -> None:
    with pytest.raises(ModelError, match=r"the teacher's output has the shape \(2,\), the student's \(1,\)"):
        loss_of(giving(1, 2), giving(1), "classification", np.array([0]))


def test_how_to_teach_without_a_teacher_is_refused(prepared: Path) -> None:
    with pytest.raises(StageError, match="no teacher"):
        training.read_lesson(prepared, TaskSettings(), None, Distillation())


def test_a_teacher_without_settings_teaches_by_the_defaults(prepared: Path, wise: Path) -> None:
    assert training.read_lesson(prepared, TaskSettings(), wise).teacher == Teacher(wise, Distillation())


@pytest.mark.parametrize("given", [{"temperature": 0}, {"temperature": -1}, {"alpha": 1.5},
                                   {"hints": {"conv": {"teacher": "conv", "weight": 0}}}, {"hints": {"conv": 3}}])
def test_settings_that_mean_nothing_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Distillation(**given)


def test_another_teacher_or_other_settings_make_another_training(wise: Path, trained: Path) -> None:
    prints = {Teacher(folder, given).fingerprint() for folder in (wise, trained)
              for given in (Distillation(), Distillation(temperature=2))}
    assert len(prints) == 4


def test_several_outputs_are_taught_inside_tfmots_wrappers_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(48, 4)).astype(np.float32)
    y = np.empty(48, [("kind", np.int64), ("size", np.float32, (1,))])
    y["kind"], y["size"] = x[:, 0] > 0, x[:, 1:2]
    spec = TensorSpec(shape=(4,), dtype="float32")
    about = Preprocessing(inputs={"input": spec}, targets={"size": TensorSpec(shape=(1,), dtype="float32"),
                                                           "kind": TensorSpec(shape=(2,), dtype="float32")})
    task = make_task(TaskSettings.model_validate({"outputs": {"kind": "classification", "size": "regression"}}))
    with tensorflow_turn(SEED, tmp_path / "log.txt"):
        save_model(two_outputs(giving(2, 0, activation="softmax", name="kind"), giving(3, name="size")), tmp_path)
        taught = training.Lesson(Split(x[:32], y[:32]), Split(x[32:], y[32:]), task, about,
                                 Teacher(tmp_path, Distillation(alpha=1)))
        student, _ = qat.quantize_aware(two_outputs(giving(0, 0, activation="softmax", name="kind"),
                                                    giving(0, name="size")))
        history = training.fit(student, taught, settings(epochs=20, learning_rate=0.05), SEED, make_context(tmp_path))
    assert history.loss[-1] < 0.6 * history.loss[0]
