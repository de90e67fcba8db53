"""Classification against numbers worked out by hand, and against the plain ways to compute the same."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import DataError, StageError
from device_profiles.records import Figure
from stages.paired import counts, drop_figure
from stages.records import Metrics
from stages.tasks import TaskSettings, Truth, make_task
from stages.tasks import classification as module

TASK = make_task(TaskSettings())


def one_hot(labels: list[int], classes: int) -> np.ndarray:
    """Outputs that put all weight on the given labels.  # (samples, classes)"""
    return np.eye(classes, dtype=np.float32)[labels]


def _metrics(outputs: np.ndarray, labels: np.ndarray | list[int], **more: int) -> Metrics:
    return TASK.metrics(outputs, Truth(y=np.asarray(labels)), **more)


def _drop(before: np.ndarray, after: np.ndarray, labels: np.ndarray, seed: int = 0) -> Figure:
    return TASK.drop(before, after, Truth(y=labels), seed=seed)


def test_metrics_equal_those_worked_out_by_hand() -> None:
    result = _metrics(one_hot([0, 0, 1, 1, 2, 2], 3), [0, 0, 0, 1, 1, 2])
    assert result.confusion == ((2, 1, 0), (0, 1, 1), (0, 0, 1))
    figures = result.figures
    assert list(figures) == ["accuracy", "precision", "recall", "f1", "log_loss"]
    assert figures["accuracy"].value == pytest.approx(4 / 6)
    assert figures["precision"].value == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert figures["recall"].value == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert figures["f1"].value == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)
    assert result.per_class_recall == pytest.approx((2 / 3, 1 / 2, 1.0))
    assert result.headline == figures["accuracy"]
    assert {figures["accuracy"].unit, figures["precision"].unit, figures["log_loss"].unit} == {"fraction", "nats"}


def test_accuracy_interval_is_wilsons() -> None:
    figure = module.accuracy_figure(81, 263)  # the example of Newcombe 1998, Statistics in Medicine 17:857-872
    assert figure.interval == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_a_class_without_samples_gets_recall_zero_and_is_left_out_of_the_mean() -> None:
    result = _metrics(one_hot([0, 1], 3), [0, 1])
    assert result.per_class_recall == (1.0, 1.0, 0.0)
    assert result.figures["recall"].value == 1.0
    assert result.figures["recall"].interval == (1.0, 1.0)


def test_macro_intervals_match_a_bootstrap_over_sample_indexes() -> None:
    from sklearn.metrics import f1_score

    generator = np.random.default_rng(3)
    labels = generator.integers(0, 4, 300)
    predicted = np.where(generator.random(300) < 0.7, labels, generator.integers(0, 4, 300))
    result = _metrics(one_hot(list(predicted), 4), labels, resamples=4000)
    plain = []
    for _ in range(600):
        picked = generator.integers(0, 300, 300)
        plain.append(f1_score(labels[picked], predicted[picked], average="macro"))
    assert result.figures["f1"].interval == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.012)


def test_log_loss_is_the_mean_of_minus_ln_of_the_true_class() -> None:
    outputs = np.array([[0.5, 0.5], [0.75, 0.25]], np.float32)
    figure = module.log_loss_figure(outputs, np.array([0, 1]))
    assert figure.value == pytest.approx((np.log(2) + np.log(4)) / 2)
    assert figure.interval is not None
    assert figure.interval[0] < figure.value < figure.interval[1]


def test_top5_accuracy_is_given_from_eleven_classes_on_and_ties_go_to_the_lower_label() -> None:
    outputs = np.tile(np.arange(12, dtype=np.float32)[::-1], (3, 1))  # the highest output is that of class 0
    figures = _metrics(outputs, [4, 5, 0]).figures
    assert list(figures)[:2] == ["accuracy", "top5_accuracy"]
    assert figures["top5_accuracy"].value == pytest.approx(2 / 3)
    assert module.top_figure(np.zeros((2, 12)), np.array([4, 5])).value == 0.5
    assert "top5_accuracy" not in _metrics(one_hot([0], 10), [0]).figures


def test_logits_are_found_and_softmaxed() -> None:
    logits = np.array([[2.0, 0.0], [-1.0, 1000.0]])
    assert module.are_logits(logits)
    shares = module.probabilities(logits)
    assert shares[0, 0] == pytest.approx(np.exp(2) / (np.exp(2) + 1))
    assert shares[1, 1] == pytest.approx(1.0)


def test_int8_softmax_that_sums_to_255_of_256_is_taken_as_probabilities_and_renormalized() -> None:
    outputs = np.array([[128, 127, 0, 0]]) / 256
    assert not module.are_logits(outputs)
    assert module.probabilities(outputs).sum() == pytest.approx(1.0)
    assert module.log_loss_figure(outputs, np.array([1])).value == pytest.approx(-np.log(127 / 255), abs=1e-6)


def test_one_sigmoid_per_class_is_taken_as_shares_of_their_sum() -> None:
    assert module.probabilities(np.array([[0.9, 0.3]])) == pytest.approx(np.array([[0.75, 0.25]]))


def test_a_probability_of_zero_gives_a_finite_log_loss() -> None:
    figure = module.log_loss_figure(one_hot([0], 2), np.array([1]))
    assert figure.value == pytest.approx(-np.log(1e-7), rel=1e-3)


def test_what_the_truth_says_of_logits_overrides_what_the_outputs_look_like() -> None:
    outputs, labels = np.array([[1.0, 0.0]]), np.array([0])
    loss, _ = TASK.validate(outputs, Truth(y=labels, logits=True))
    assert loss == pytest.approx(np.log(1 + np.exp(-1)))
    assert TASK.validate(outputs, Truth(y=labels))[0] == pytest.approx(0, abs=1e-6)


def test_a_single_unit_is_the_second_of_two_classes() -> None:
    truth = Truth(y=np.array([0, 1, 1, 0]), class_names=("no", "yes"))
    shares = np.array([[0.1], [0.9], [0.3], [0.5]], np.float32)  # one half is not above one half
    result = TASK.metrics(shares, truth)
    assert result.confusion == ((2, 0), (1, 1))
    assert result.figures["log_loss"].value == pytest.approx(-np.log([0.9, 0.9, 0.3, 0.5]).mean(), rel=1e-6)
    logits = np.log(shares / (1 - shares))
    assert TASK.metrics(logits, truth).confusion == result.confusion
    assert TASK.metrics(logits, truth).figures["log_loss"].value == pytest.approx(result.figures["log_loss"].value)


def test_validation_gives_mean_loss_and_accuracy_and_nan_for_a_model_that_diverged() -> None:
    outputs = np.array([[0.5, 0.5], [0.75, 0.25]])
    loss, score = TASK.validate(outputs, Truth(y=np.array([0, 1])))
    assert (loss, score) == (pytest.approx((np.log(2) + np.log(4)) / 2), 0.5)
    assert np.isnan(TASK.validate(outputs * np.nan, Truth(y=np.array([0, 1])))).all()


def test_focal_loss_weighs_a_sample_by_the_square_of_what_is_missing() -> None:
    task = make_task(TaskSettings(loss="focal"))
    loss, _ = task.validate(np.array([[0.75, 0.25]]), Truth(y=np.array([0])))
    assert loss == pytest.approx(0.25**2 * -np.log(0.75))


def test_drop_is_in_points_and_positive_when_the_variant_is_worse() -> None:
    labels = np.zeros(200, np.int64)
    variant = one_hot([1] * 6 + [0] * 194, 2)
    baseline = one_hot([0] * 199 + [1], 2)
    figure = _drop(baseline, variant, labels)
    assert figure.value == pytest.approx(100 * (6 - 1) / 200)
    assert figure.unit == "points"
    assert _drop(variant, baseline, labels).value == pytest.approx(-2.5)


def test_drop_interval_matches_a_paired_bootstrap_over_sample_indexes() -> None:
    generator = np.random.default_rng(5)
    before, after = generator.random(1000) < 0.9, generator.random(1000) < 0.85
    figure = drop_figure(counts(before, after), level=0.95)
    picked = generator.integers(0, 1000, (2000, 1000))
    plain = 100 * (before[picked].mean(axis=1) - after[picked].mean(axis=1))
    assert figure.interval == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.4)


def test_pairing_makes_the_drop_interval_narrower_than_two_accuracies_would() -> None:
    labels = np.zeros(1000, np.int64)
    baseline = one_hot([1] * 200 + [0] * 800, 2)
    variant = one_hot([1] * 205 + [0] * 795, 2)
    low, high = _drop(baseline, variant, labels).interval or (0, 0)
    assert high - low < 2.5  # unpaired: 2 * 1.96 * sqrt(2 * 0.16 / 1000) = 7.0 points


def test_no_change_on_few_samples_does_not_claim_a_drop_of_exactly_zero() -> None:
    few = _drop(one_hot([0] * 100, 2), one_hot([0] * 100, 2), np.zeros(100, np.int64))
    assert few.value == 0.0
    assert few.interval is not None
    assert few.interval[0] < 0 < few.interval[1]


def test_nothing_of_the_drop_is_drawn_so_that_no_seed_changes_it() -> None:
    labels = np.array([0, 1] * 50)
    outputs, baseline = one_hot([0] * 100, 2), one_hot([0, 1] * 50, 2)
    first, other = (_drop(baseline, outputs, labels, seed=seed) for seed in (1, 2))
    assert first == other
    assert first.method.startswith("difference on 50 lost and 0 gained")
    assert TASK.drop(baseline, outputs, Truth(y=labels), resamples=0).interval is None


def test_recalls_count_what_each_class_lost_and_gained() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    before, after = one_hot([0, 0, 1, 1, 1, 2], 4), one_hot([0, 1, 0, 0, 1, 2], 4)
    found = TASK.recalls(before, after, Truth(y=labels, class_names=("a", "b", "c", "d")))
    assert {name: (one.lost, one.gained, one.samples) for name, one in found.items()} == {
        "a": (1, 1, 3), "b": (1, 0, 2), "c": (0, 0, 1), "d": (0, 0, 0)}
    assert list(TASK.recalls(before, after, Truth(y=labels))) == ["0", "1", "2", "3"]
    assert TASK.decided(after, Truth(y=labels))["output"].tolist() == [True, False, True, False, True, True]


def test_confidence_is_the_probability_of_the_label_that_is_given() -> None:
    outputs = np.array([[0.6, 0.4], [0.1, 0.9], [0.7, 0.3]])
    confidence, right = TASK.confidences(outputs, Truth(y=np.array([0, 0, 0])))["output"]
    assert confidence[:, 0] == pytest.approx([0.6, 0.9, 0.7])
    assert right[:, 0].tolist() == [1, 0, 1]
    single = TASK.confidences(np.array([[0.2], [0.8]]), Truth(y=np.array([0, 0])))["output"]
    assert single[0][:, 0] == pytest.approx([0.8, 0.8])
    assert single[1][:, 0].tolist() == [1, 0]


def test_changed_counts_other_predictions_right_or_wrong() -> None:
    truth = Truth(y=np.zeros(4, np.int64))
    assert TASK.changed(one_hot([0, 1, 2, 2], 3), one_hot([0, 2, 1, 2], 3), truth) == 2


@pytest.mark.parametrize(("outputs", "labels", "classes", "words"), [
    (np.zeros((4, 3)), [0, 1, 2, 3], 4, "shape (4, 3)"),
    (np.zeros((4, 1)), [0, 1, 2, 0], 3, "shape (4, 1)"),
    (np.zeros((4, 2, 2)), [0, 1, 0, 1], 2, "shape (4, 2, 2)"),
    (np.zeros((3, 2)), [0, 1, 0, 1], 2, "shape (3, 2)"),
    (np.zeros((2, 3)), [0, 7], 3, "run from 0 to 7"),
])
def test_outputs_that_do_not_fit_the_labels_are_refused_with_both_shapes(
        outputs: np.ndarray, labels: list[int], classes: int, words: str) -> None:
    truth = Truth(y=np.array(labels), class_names=tuple("abcd"[:classes]))
    with pytest.raises(StageError, match="int8") as caught:
        TASK.check_outputs(outputs, truth, "int8")
    assert words in caught.value.found
    assert caught.value.allowed
    assert caught.value.next_step


def test_nan_outputs_are_refused_with_how_many_samples() -> None:
    outputs = one_hot([0, 1, 1], 2)
    outputs[1, 0] = np.nan
    with pytest.raises(DataError, match="on 1 of 3 samples"):
        _metrics(outputs, [0, 1, 1])


def test_an_empty_test_split_is_refused() -> None:
    with pytest.raises(DataError, match="no samples"):
        _metrics(np.zeros((0, 2)), np.zeros(0, np.int64))


@pytest.mark.parametrize("y", [
    np.array([2, 0, 1], np.int32), np.array([[2], [0], [1]]), np.array([2.0, 0.0, 1.0]),
    np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], np.float32)])
def test_labels_and_one_hot_rows_are_stored_as_the_same_numbers(y: np.ndarray) -> None:
    found = TASK.encode(y, ("a", "b", "c"))
    assert found.dtype == np.int64
    assert found.tolist() == [2, 0, 1]


@pytest.mark.parametrize(("y", "words"), [
    (np.array([0, 3, 1]), "sample 1 has the label 3"),
    (np.array([0, 1, -1]), "sample 2 has the label -1"),
    (np.array([[1, 0, 0], [1, 1, 0]]), "row of sample 1 sums to 2"),
    (np.array([[0.2, 0.8, 0.0]]), "1 rows are not one-hot"),
    (np.eye(4), "have 4 columns"),
    (np.array([0.5, 1.0]), "some are no whole numbers"),
    (np.zeros((2, 2, 3)), r"shape \(2, 2, 3\)"),
    (np.array([np.nan, 1.0]), "some are no whole numbers"),
])
def test_labels_that_no_class_has_are_refused(y: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        TASK.encode(y, ("a", "b", "c"))
    assert caught.value.allowed
    assert caught.value.next_step


def test_outputs_that_come_in_parts_are_validated_as_all_at_once_here_too() -> None:
    outputs, truth = np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]), Truth(y=np.array([0, 1, 1]))
    assert TASK.validate_parts(iter([outputs[:1], outputs[1:]]), truth) == TASK.validate(outputs, truth)
