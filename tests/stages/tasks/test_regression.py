"""Values: by hand, against scikit-learn, in the user's units."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import DataError
from stages.records import Normalization, TensorSpec
from stages.tasks import TaskSettings, Truth, make_task
from stages.tasks.regression import median_interval

TASK = make_task(TaskSettings.model_validate("regression"))
TARGET = np.array([[1.0], [2.0], [3.0], [6.0]], np.float32)
GIVEN = np.array([[1.0], [3.0], [3.0], [4.0]], np.float32)  # errors 0, 1, 0, -2


def _spec(offset: tuple[float, ...], scale: tuple[float, ...]) -> dict[str, TensorSpec]:
    normalization = Normalization(kind="standard", offset=offset, scale=scale)
    return {"output": TensorSpec(shape=(len(offset),), dtype="float32", normalization=normalization)}


def _values(outputs: np.ndarray, truth: Truth) -> dict[str, float]:
    return {name: figure.value for name, figure in TASK.metrics(outputs, truth).figures.items()}


def test_figures_equal_those_worked_out_by_hand() -> None:
    result = TASK.metrics(GIVEN, Truth(y=TARGET))
    assert {name: figure.value for name, figure in result.figures.items()} == pytest.approx(
        {"r2": 1 - 5 / 14, "rmse": (5 / 4) ** 0.5, "mae": 3 / 4, "median_error": 0.5, "bias": -1 / 4, "max_error": 2})
    assert [figure.unit for figure in result.figures.values()] == ["fraction"] + ["target"] * 5
    assert (result.score, result.headline.value, result.samples) == ("r2", pytest.approx(9 / 14), 4)
    assert (result.confusion, result.per_class_recall) == ((), ())


def test_errors_are_in_the_users_units_and_r2_is_not_touched() -> None:
    found = _values(GIVEN, Truth(y=TARGET, targets=_spec((100.0,), (10.0,))))
    assert found == pytest.approx({"r2": 9 / 14, "rmse": 10 * (5 / 4) ** 0.5, "mae": 7.5, "median_error": 5,
                                   "bias": -2.5, "max_error": 20})


def test_several_values_are_averaged_and_each_is_given_in_its_own_unit() -> None:
    from sklearn import metrics

    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 2)).astype(np.float32)
    outputs = (y + rng.normal(0, 0.5, y.shape)).astype(np.float32)
    found = _values(outputs, Truth(y=y, targets=_spec((0.0, 5.0), (1.0, 3.0))))
    user, given = (each * [1, 3] + [0, 5] for each in (y.astype(float), outputs.astype(float)))
    assert found["r2"] == pytest.approx(metrics.r2_score(user, given))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(user, given))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(user, given))
    assert found["median_error"] == pytest.approx(metrics.median_absolute_error(user, given))
    assert found["max_error"] == pytest.approx(abs(user - given).max())
    for place in range(2):
        assert found[f"r2_{place}"] == pytest.approx(metrics.r2_score(user[:, place], given[:, place]))
        assert found[f"mae_{place}"] == pytest.approx(abs(user - given)[:, place].mean())


def test_intervals_match_a_bootstrap_over_sample_indexes() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=(300, 1)) + 50  # far from 0: sums of squares must not cancel
    outputs = y + rng.normal(0, 0.6, y.shape)
    figures = TASK.metrics(outputs, Truth(y=y)).figures
    plain = []
    for _ in range(800):
        rows = rng.integers(0, 300, 300)
        errors = ((y - outputs)[rows] ** 2).mean()
        plain.append([1 - errors / y[rows].var(), errors**0.5])
    low, high = np.quantile(plain, [0.025, 0.975], axis=0)
    assert figures["r2"].interval == pytest.approx((low[0], high[0]), abs=0.015)
    assert figures["rmse"].interval == pytest.approx((low[1], high[1]), abs=0.01)


def test_the_median_lies_between_two_order_statistics() -> None:
    values = np.arange(100.0)
    assert median_interval(values) == (39.0, 60.0)  # the 40th and the 61st of 100: binomial(100, 1/2) has 40 at 2.8 %
    assert median_interval(np.arange(6.0)) == (0.0, 5.0)
    assert median_interval(np.arange(5.0)) is None


def test_the_drop_is_in_points_of_r2_with_a_paired_interval() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(size=(400, 1))
    outputs = y + rng.normal(0, 0.5, y.shape)
    worse = outputs + 0.1
    truth = Truth(y=y)
    figure = TASK.drop(outputs, worse, truth)
    before, after = (TASK.metrics(each, truth).headline for each in (outputs, worse))
    assert figure.value == pytest.approx(100 * (before.value - after.value))
    assert figure.interval is not None
    assert before.interval is not None
    assert figure.interval[0] < figure.value < figure.interval[1]
    assert figure.interval[1] - figure.interval[0] < 50 * (before.interval[1] - before.interval[0])
    assert TASK.changed(outputs, worse, truth) is None


@pytest.mark.parametrize(("loss", "value"), [("mse", 5 / 4), ("mae", 3 / 4), ("huber", (0 + 0.5 + 0 + 1.5) / 4)])
def test_validation_gives_the_loss_that_was_chosen_and_r2(loss: str, value: float) -> None:
    found = make_task(TaskSettings(kind="regression", loss=loss)).validate(GIVEN, Truth(y=TARGET))
    assert found == (pytest.approx(value), pytest.approx(9 / 14))


def test_a_model_that_diverged_has_no_score() -> None:
    loss, score = TASK.validate(GIVEN * np.nan, Truth(y=TARGET))
    assert np.isnan(loss)
    assert np.isnan(score)
    assert np.isnan(TASK.validate(GIVEN, Truth(y=np.ones((4, 1))))[1])


def test_values_are_stored_as_columns_and_nan_is_refused() -> None:
    found = TASK.encode(np.array([1.0, 2.5]), ())
    assert (found.dtype, found.tolist()) == (np.float32, [[1.0], [2.5]])
    with pytest.raises(DataError, match="target of sample 1 is NaN or infinite; 2 of 3 are"):
        TASK.encode(np.array([1.0, np.nan, np.inf]), ())
    with pytest.raises(DataError, match="type <U1"):
        TASK.encode(np.array(["a"]), ())


def test_a_constant_target_has_no_variance_to_explain() -> None:
    with pytest.raises(DataError, match="the target is 2 in all 4 samples of the test split"):
        TASK.metrics(GIVEN, Truth(y=np.full((4, 1), 2.0)))
    with pytest.raises(DataError, match="value 1 of the targets is 0"):
        TASK.check_split("test", np.array([[1.0, 0.0], [2.0, 0.0]]))
    TASK.check_split("train", np.full((4, 1), 2.0))


def test_the_same_seed_gives_the_same_figures() -> None:
    y = np.arange(60.0)[:, None]
    outputs, truth = y + np.sin(y), Truth(y=y)
    assert TASK.metrics(outputs, truth, seed=3) == TASK.metrics(outputs, truth, seed=3)
    assert TASK.metrics(outputs, truth, seed=3) != TASK.metrics(outputs, truth, seed=4)
