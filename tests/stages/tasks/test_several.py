"""Several outputs: sums of losses, means of scores, the largest drop, and names that must agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device_profiles.errors import DataError, ModelError, StageError
from stages.datasets.prepared import Preprocessing
from stages.records import Normalization, TensorSpec
from stages.tasks import TaskSettings, Truth, make_task
from stages.tasks.matching import structured

TASK = make_task(TaskSettings.model_validate({"outputs": {
    "kind": "classification", "age": {"kind": "regression", "loss": "mae", "weight": 0.5}}}))
AGE = TensorSpec(shape=(1,), dtype="float32", normalization=Normalization(kind="x", offset=(10.0,), scale=(2.0,)))
SHARES = np.array([[0.5, 0.5], [0.75, 0.25], [0.1, 0.9], [0.2, 0.8]])
AGES = np.array([[1.0], [3.0], [3.0], [4.0]])
OUTPUTS = structured({"kind": SHARES, "age": AGES})
TRUTH = Truth(y=TASK.encode(np.array([(0, 1.0), (1, 2.0), (1, 3.0), (1, 6.0)], [("kind", "i4"), ("age", "f8")]), ()),
              class_names=("a", "b"), targets={"age": AGE})


def _model() -> Any:
    import tf_keras as keras

    inputs = keras.layers.Input((4,))
    return keras.Model(inputs, [keras.layers.Dense(1, name="age")(inputs),
                                keras.layers.Dense(2, activation="softmax", name="kind")(inputs)])


def _preprocessing() -> Preprocessing:
    return Preprocessing(inputs={"input": TensorSpec(shape=(4,), dtype="float32")}, class_names=("a", "b"),
                         targets={"age": AGE})


def test_labels_are_stored_field_by_field() -> None:
    assert TRUTH.y.dtype == np.dtype([("kind", np.int64), ("age", np.float32, (1,))])
    with pytest.raises(DataError, match="there is no 'age' in the labels, only kind, ages; did you mean 'ages'"):
        TASK.encode(np.zeros(2, [("kind", "i4"), ("ages", "f8")]), ())
    with pytest.raises(DataError, match="sample 0 has the label 5"):
        TASK.encode(np.array([(5, 1.0)], [("kind", "i4"), ("age", "f8")]), ("a", "b"))


def test_the_loss_is_the_weighted_sum_and_the_score_the_mean() -> None:
    loss, score = TASK.validate(OUTPUTS, TRUTH)
    entropy = -np.log([0.5, 0.25, 0.9, 0.8]).mean()
    assert loss == pytest.approx(entropy + 0.5 * 0.75, rel=1e-6)
    assert score == pytest.approx((3 / 4 + 9 / 14) / 2)


def test_every_output_has_its_metrics_in_its_own_units_and_the_first_stands_for_all() -> None:
    found = TASK.outputs_metrics(OUTPUTS, TRUTH)
    assert list(found) == ["kind", "age"]
    assert found["kind"].headline.value == 3 / 4
    assert found["age"].figures["mae"].value == pytest.approx(2 * 3 / 4)
    assert TASK.metrics(OUTPUTS, TRUTH) == found["kind"]


def test_the_drop_is_the_largest_of_any_output() -> None:
    worse = structured({"kind": SHARES, "age": AGES - 1})
    figure = TASK.drop(OUTPUTS, worse, TRUTH)
    assert figure.value == pytest.approx(100 * (-5 / 14 + (1 + 0 + 1 + 9) / 14))
    assert "of output 'age', the largest of 2" in figure.method
    assert TASK.drop(worse, OUTPUTS, TRUTH).value == 0  # the classes did not change


def test_the_drops_interval_reaches_as_high_as_any_outputs() -> None:
    worse = structured({"kind": SHARES, "age": AGES - 0.001})  # next to no drop of the values, none of the classes
    figure = TASK.drop(OUTPUTS, worse, TRUTH, level=0.9)
    z2 = 1.6448536269514722**2
    assert figure.interval is not None
    assert "of output 'age'" in figure.method
    assert figure.interval[1] == pytest.approx(100 * z2 / (4 + z2))  # that of four samples of which none changed


def test_classes_and_confidences_are_named_by_their_output() -> None:
    assert list(TASK.recalls(OUTPUTS, OUTPUTS, TRUTH)) == ["kind/a", "kind/b"]
    assert list(TASK.decided(OUTPUTS, TRUTH)) == ["kind"]
    assert TASK.confidences(OUTPUTS, TRUTH)["kind"][0][:, 0] == pytest.approx([0.5, 0.75, 0.9, 0.8])


def test_changed_counts_samples_of_which_any_output_is_decided_otherwise() -> None:
    other = structured({"kind": SHARES[:, ::-1], "age": AGES})
    assert TASK.changed(OUTPUTS, other, TRUTH) == 3  # a tie goes to the first class either way
    values = make_task(TaskSettings.model_validate({"outputs": {"a": "regression", "b": "regression"}}))
    y = structured({"a": AGES, "b": AGES})
    assert values.changed(y, y, Truth(y=y)) is None


def test_what_the_outputs_are_is_known_for_each() -> None:
    logits = structured({"kind": SHARES * 9, "age": AGES})
    assert TASK.with_logits(TRUTH, logits).logits == {"kind": True, "age": False}
    assert TASK.logits_of(_model()) == {"age": True, "kind": False}


def test_the_training_loss_is_the_same_from_a_list_and_from_a_dict() -> None:
    loss = TASK.make_loss(_model())
    y = {name: TRUTH.y[name] for name in ("kind", "age")}
    wanted = -np.log([0.5, 0.25, 0.9, 0.8]) + 0.5 * np.array([0, 1, 0, 2])
    shares, ages = SHARES.astype("f4"), AGES.astype("f4")
    assert loss(None, y, [ages, shares]).numpy() == pytest.approx(wanted, rel=1e-5)
    assert loss(None, y, {"kind": shares, "age": ages}).numpy() == pytest.approx(wanted, rel=1e-5)


def test_a_model_whose_outputs_have_the_names_and_shapes_is_taken_in_any_order() -> None:
    TASK.check_model(_model(), _preprocessing())
    assert TASK.output_shapes(_preprocessing()) == {"kind": (2,), "age": (1,)}


def test_an_output_that_only_one_side_knows_is_refused_with_the_near_miss() -> None:
    task = make_task(TaskSettings.model_validate({"outputs": {"kind": "classification", "ages": "regression"}}))
    with pytest.raises(ModelError, match="'age' is an output of the model alone; did you mean 'ages'") as caught:
        task.check_model(_model(), _preprocessing())
    assert caught.value.allowed == "the model's outputs: age, kind"


def test_an_output_of_another_shape_is_refused_by_name() -> None:
    more = _preprocessing().model_copy(update={"class_names": ("a", "b", "c")})
    with pytest.raises(ModelError, match=r"output 'kind' has the shape \(2,\)"):
        TASK.check_model(_model(), more)


def test_two_outputs_with_classes_go_by_numbers() -> None:
    task = make_task(TaskSettings.model_validate({"outputs": {"a": "classification", "b": "classification"}}))
    preprocessing = _preprocessing().model_copy(update={"targets": {}})
    assert task.output_shapes(preprocessing) == {"a": None, "b": None}
    y = np.array([(0, 6), (1, 3)], [("a", "i8"), ("b", "i8")])
    assert task.encode(y, ("x", "y"))["b"].tolist() == [6, 3]


def test_outputs_without_a_field_and_outputs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(StageError, match="there is no 'age' in what int8 gives, only kind"):
        TASK.check_outputs(OUTPUTS[["kind"]], TRUTH, "int8")
    with pytest.raises(StageError, match="there is no 'kind' in what int8 gives, only a single array"):
        TASK.check_outputs(SHARES, TRUTH, "int8")
    bad = structured({"kind": SHARES, "age": AGES * np.nan})
    with pytest.raises(DataError, match="int8, output 'age', gives NaN or infinity on 4 of 4"):
        TASK.check_outputs(bad, TRUTH, "int8")
