"""What all tasks share: a model that does not fit is refused, a loss follows the last layer, a truth is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device_profiles.errors import ModelError
from stages.datasets.prepared import Preprocessing, Split
from stages.records import TensorSpec
from stages.tasks import TaskSettings, Truth, make_task, read_truth


def _spec(*shape: int) -> TensorSpec:
    return TensorSpec(shape=shape, dtype="float32")


def _data(classes: int = 3, **more: Any) -> Preprocessing:
    return Preprocessing(inputs={"input": _spec(6, 6, 2)}, class_names=tuple("abcdef"[:classes]), **more)


def _dense(units: int, activation: str | None = None, inputs: int = 4) -> Any:
    import tf_keras as keras

    return keras.Sequential([keras.layers.Input((inputs,)), keras.layers.Dense(units, activation=activation)])


def test_a_model_that_fits_is_taken(tiny_keras: Any) -> None:
    make_task(TaskSettings()).check_model(tiny_keras, _data())
    make_task(TaskSettings(kind="multilabel")).check_model(tiny_keras, _data())
    values = _data(0, targets={"output": _spec(3)})
    make_task(TaskSettings(kind="regression")).check_model(tiny_keras, values)


@pytest.mark.parametrize(("kind", "found"), [
    ("classification", "the model's output has the shape (3,); the data has 4 classes"),
    ("multilabel", "the model's output has the shape (3,); the data has 4 labels"),
    ("regression", "the model's output has the shape (3,); the data has targets of shape (2,)"),
    ("anomaly", "the model's output has the shape (3,); its input, which it is to rebuild, has the shape (6, 6, 2)"),
])
def test_another_output_is_refused_with_both_shapes(kind: str, found: str, tiny_keras: Any) -> None:
    data = _data(4, targets={"output": _spec(2)} if kind == "regression" else {})
    with pytest.raises(ModelError) as caught:
        make_task(TaskSettings.model_validate(kind)).check_model(tiny_keras, data)
    assert caught.value.found == found
    assert caught.value.allowed.startswith("one output of shape (")
    assert caught.value.next_step


def test_another_input_is_refused_with_both_shapes(tiny_keras: Any) -> None:
    data = Preprocessing(inputs={"input": _spec(6, 6, 1)}, class_names=("a", "b", "c"))
    with pytest.raises(ModelError, match=r"inputs of shape \(6, 6, 2\); the samples have the shape \(6, 6, 1\)"):
        make_task(TaskSettings()).check_model(tiny_keras, data)


def test_a_second_output_wants_a_task_of_its_own() -> None:
    import tf_keras as keras

    inputs = keras.layers.Input((4,))
    two = keras.Model(inputs, [keras.layers.Dense(3, name="a")(inputs), keras.layers.Dense(3, name="b")(inputs)])
    with pytest.raises(ModelError, match="the model has 2 outputs: a, b") as caught:
        make_task(TaskSettings()).check_model(two, Preprocessing(inputs={"input": _spec(4)}, class_names=("x", "y")))
    assert "task.outputs" in caught.value.next_step


def test_a_single_unit_will_do_for_two_classes_and_for_no_more() -> None:
    one = _dense(1, "sigmoid")
    task, inputs = make_task(TaskSettings()), {"input": _spec(4)}
    task.check_model(one, Preprocessing(inputs=inputs, class_names=("a", "b")))
    with pytest.raises(ModelError, match="3 classes"):
        task.check_model(one, Preprocessing(inputs=inputs, class_names=("a", "b", "c")))


def test_the_loss_follows_from_the_models_last_layer() -> None:
    task, y = make_task(TaskSettings()), np.array([1])
    outputs = np.array([[0.2, 0.8]], np.float32)
    assert task.make_loss(_dense(2, "softmax"))(None, y, outputs).numpy() == pytest.approx(-np.log(0.8))
    assert task.make_loss(_dense(2))(None, y, outputs).numpy() == pytest.approx(np.log(1 + np.exp(-0.6)))


def test_an_autoencoder_is_trained_towards_its_input() -> None:
    task = make_task(TaskSettings(kind="anomaly"))
    x, outputs = np.array([[1.0, 3.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
    assert task.make_loss(_dense(2, inputs=2))(x, np.array([0]), outputs).numpy() == pytest.approx([(1 + 4) / 2])


def test_multilabel_and_values_are_trained_by_their_own_losses() -> None:
    labels = make_task(TaskSettings(kind="multilabel")).make_loss(_dense(2, "sigmoid"))
    assert labels(None, np.array([[1, 0]], np.uint8), np.array([[0.5, 0.75]], np.float32)).numpy() == pytest.approx(
        [-(np.log(0.5) + np.log(0.25)) / 2])
    values = make_task(TaskSettings(kind="regression", loss="mae")).make_loss(_dense(1))
    assert values(None, np.array([[1.0]]), np.array([[3.5]], np.float32)).numpy() == [2.5]


def test_a_truth_has_what_the_split_and_the_data_say() -> None:
    split = Split(x=np.zeros((2, 6, 6, 2), np.float32), y=np.array([0, 1]), groups=("g", "h"), clips=np.array([4, 5]))
    truth = read_truth(split, _data())
    assert (truth.class_names, truth.groups, truth.logits) == (("a", "b", "c"), ("g", "h"), None)
    assert truth.x is split.x
    assert truth.clips is split.clips


def test_a_part_of_a_truth_has_the_labels_clips_and_groups_of_its_rows_and_inputs_where_they_are_wanted() -> None:
    truth = Truth(y=np.arange(4), x=np.arange(8).reshape(4, 2), clips=np.array([5, 5, 6, 7]), groups=tuple("abcd"))
    part = truth.part(np.array([3, 1]))
    assert (part.y.tolist(), part.x, part.groups) == ([3, 1], None, ("d", "b"))
    assert part.clips is not None
    assert part.clips.tolist() == [7, 5]
    whole = truth.part(np.array([3]), inputs=True)
    assert np.asarray(whole.x).tolist() == [[6, 7]]


def test_values_have_no_classes_and_no_confidence() -> None:
    task, truth, outputs = make_task(TaskSettings(kind="regression")), Truth(y=np.zeros((2, 1))), np.ones((2, 1))
    assert (task.decided(outputs, truth), task.recalls(outputs, outputs, truth), task.confidences(outputs, truth)) == (
        {}, {}, {})
