"""Metrics against numbers worked out by hand, and against the plain ways to compute the same."""

from __future__ import annotations

import numpy as np
import pytest

from device_profiles.errors import DataError, StageError
from stages import metrics


def one_hot(labels: list[int], classes: int) -> np.ndarray:
    """Outputs that put all weight on the given labels.  # (samples, classes)"""
    return np.eye(classes, dtype=np.float32)[labels]


def test_metrics_equal_those_worked_out_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    result = metrics.classification_metrics(one_hot([0, 0, 1, 1, 2, 2], 3), labels)
    assert result.confusion == ((2, 1, 0), (0, 1, 1), (0, 0, 1))
    assert result.accuracy.value == pytest.approx(4 / 6)
    assert result.precision.value == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert result.recall.value == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert result.f1.value == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)
    assert result.per_class_recall == pytest.approx((2 / 3, 1 / 2, 1.0))
    assert {result.accuracy.unit, result.precision.unit, result.log_loss.unit} == {"fraction", "nats"}


def test_accuracy_interval_is_wilsons() -> None:
    figure = metrics.accuracy_figure(81, 263)  # the example of Newcombe 1998, Statistics in Medicine 17:857-872
    assert figure.interval == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_accuracy_interval_stays_open_when_every_sample_is_right() -> None:
    assert metrics.accuracy_figure(20, 20).interval == (pytest.approx(0.8389, abs=5e-5), 1.0)  # n / (n + z²)


def test_a_class_without_samples_gets_recall_zero_and_is_left_out_of_the_mean() -> None:
    result = metrics.classification_metrics(one_hot([0, 1], 3), np.array([0, 1]))
    assert result.per_class_recall == (1.0, 1.0, 0.0)
    assert result.recall.value == 1.0
    assert result.recall.interval == (1.0, 1.0)


def test_macro_intervals_match_a_bootstrap_over_sample_indexes() -> None:
    from sklearn.metrics import f1_score

    generator = np.random.default_rng(3)
    labels = generator.integers(0, 4, 300)
    predicted = np.where(generator.random(300) < 0.7, labels, generator.integers(0, 4, 300))
    result = metrics.classification_metrics(one_hot(list(predicted), 4), labels, resamples=4000)
    plain = []
    for _ in range(600):
        picked = generator.integers(0, 300, 300)
        plain.append(f1_score(labels[picked], predicted[picked], average="macro"))
    assert result.f1.interval == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.012)


def test_log_loss_is_the_mean_of_minus_ln_of_the_true_class() -> None:
    outputs = np.array([[0.5, 0.5], [0.75, 0.25]], np.float32)
    figure = metrics.log_loss_figure(outputs, np.array([0, 1]))
    assert figure.value == pytest.approx((np.log(2) + np.log(4)) / 2)
    assert figure.interval is not None
    assert figure.interval[0] < figure.value < figure.interval[1]


def test_logits_are_found_and_softmaxed() -> None:
    logits = np.array([[2.0, 0.0], [-1.0, 1000.0]])
    assert metrics.are_logits(logits)
    shares = metrics.probabilities(logits)
    assert shares[0, 0] == pytest.approx(np.exp(2) / (np.exp(2) + 1))
    assert shares[1, 1] == pytest.approx(1.0)


def test_int8_softmax_that_sums_to_255_of_256_is_taken_as_probabilities_and_renormalized() -> None:
    outputs = np.array([[128, 127, 0, 0]]) / 256
    assert not metrics.are_logits(outputs)
    assert metrics.probabilities(outputs).sum() == pytest.approx(1.0)
    assert metrics.log_loss_figure(outputs, np.array([1])).value == pytest.approx(-np.log(127 / 255), abs=1e-6)


def test_a_probability_of_zero_gives_a_finite_log_loss() -> None:
    figure = metrics.log_loss_figure(one_hot([0], 2), np.array([1]))
    assert figure.value == pytest.approx(-np.log(1e-7), rel=1e-3)


def test_from_logits_overrides_what_the_outputs_look_like() -> None:
    outputs = np.array([[1.0, 0.0]])
    assert metrics.probabilities(outputs, from_logits=True)[0, 0] == pytest.approx(np.e / (np.e + 1))


def test_drop_is_in_points_and_positive_when_the_variant_is_worse() -> None:
    labels = np.zeros(200, np.int64)
    variant = one_hot([1] * 6 + [0] * 194, 2)
    baseline = one_hot([0] * 199 + [1], 2)
    figure = metrics.drop_figure(baseline, variant, labels)
    assert figure.value == pytest.approx(100 * (6 - 1) / 200)
    assert figure.unit == "points"
    assert metrics.drop_figure(variant, baseline, labels).value == pytest.approx(-2.5)


def test_drop_interval_matches_a_paired_bootstrap_over_sample_indexes() -> None:
    generator = np.random.default_rng(5)
    before, after = generator.random(1000) < 0.9, generator.random(1000) < 0.85
    labels = np.zeros(1000, np.int64)
    outputs = [one_hot(list((~right).astype(int)), 2) for right in (before, after)]
    figure = metrics.drop_figure(outputs[0], outputs[1], labels)
    picked = generator.integers(0, 1000, (2000, 1000))
    plain = 100 * (before[picked].mean(axis=1) - after[picked].mean(axis=1))
    assert figure.interval == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.4)


def test_pairing_makes_the_drop_interval_narrower_than_two_accuracies_would() -> None:
    labels = np.zeros(1000, np.int64)
    baseline = one_hot([1] * 200 + [0] * 800, 2)
    variant = one_hot([1] * 205 + [0] * 795, 2)
    low, high = metrics.drop_figure(baseline, variant, labels).interval or (0, 0)
    assert high - low < 2.5  # unpaired: 2 * 1.96 * sqrt(2 * 0.16 / 1000) = 7.0 points


def test_no_change_on_few_samples_does_not_claim_a_drop_of_exactly_zero() -> None:
    labels = np.zeros(100, np.int64)
    few = metrics.drop_figure(one_hot([0] * 100, 2), one_hot([0] * 100, 2), labels)
    assert few.value == 0.0
    assert few.interval is not None
    assert few.interval[0] < 0 < few.interval[1]


def test_the_same_seed_gives_the_same_interval() -> None:
    labels = np.array([0, 1] * 50)
    outputs, baseline = one_hot([0] * 100, 2), one_hot([0, 1] * 50, 2)
    first, again, other = (metrics.drop_figure(baseline, outputs, labels, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.interval != other.interval


def test_changed_labels_counts_other_predictions_right_or_wrong() -> None:
    assert metrics.changed_labels(one_hot([0, 1, 2, 2], 3), one_hot([0, 2, 1, 2], 3)) == 2


@pytest.mark.parametrize(("outputs", "labels", "classes", "words"), [
    (np.zeros((4, 3)), [0, 1, 2, 3], 4, "shape (4, 3)"),
    (np.zeros((4, 1)), [0, 1, 0, 1], 2, "shape (4, 1)"),
    (np.zeros((4, 2, 2)), [0, 1, 0, 1], 2, "shape (4, 2, 2)"),
    (np.zeros((3, 2)), [0, 1, 0, 1], 2, "shape (3, 2)"),
    (np.zeros((2, 3)), [0, 7], 3, "run from 0 to 7"),
])
def test_outputs_that_do_not_fit_the_labels_are_refused_with_both_shapes(
        outputs: np.ndarray, labels: list[int], classes: int, words: str) -> None:
    with pytest.raises(StageError, match="int8") as caught:
        metrics.check_outputs(outputs, np.array(labels), classes, "int8")
    assert words in caught.value.found
    assert caught.value.allowed
    assert caught.value.next_step


def test_nan_outputs_are_refused_with_how_many_samples() -> None:
    outputs = one_hot([0, 1, 1], 2)
    outputs[1, 0] = np.nan
    with pytest.raises(DataError, match="on 1 of 3 samples"):
        metrics.classification_metrics(outputs, np.array([0, 1, 1]))


def test_an_empty_test_split_is_refused() -> None:
    with pytest.raises(DataError, match="no samples"):
        metrics.classification_metrics(np.zeros((0, 2)), np.zeros(0, np.int64))
