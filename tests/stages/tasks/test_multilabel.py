"""Several labels a sample: by hand, against scikit-learn, and with brute force."""

from __future__ import annotations

import time

import numpy as np
import pytest

from device_profiles.errors import DataError, StageError
from stages.tasks import TaskSettings, Truth, make_task
from stages.tasks import multilabel as module

TASK = make_task(TaskSettings(kind="multilabel"))
# two labels, four samples; at 0.5 the first label is given to samples 0, 1 and the second to 1, 3
LABELS = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.uint8)
OUTPUTS = np.array([[0.9, 0.2], [0.6, 0.7], [0.4, 0.3], [0.1, 0.5]], np.float32)


def _made(samples: int, labels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = (rng.random((samples, labels)) < 0.2).astype(np.uint8)
    return y, np.round(np.clip(0.4 * y + 0.6 * rng.random(y.shape), 0, 1) * 255).astype(np.float32) / 255


def test_figures_equal_those_worked_out_by_hand() -> None:
    result = TASK.metrics(OUTPUTS, Truth(y=LABELS))
    found = {name: figure.value for name, figure in result.figures.items()}
    # first label: 1 hit of 2 given, 2 true; second: the same
    assert found["f1"] == found["micro_f1"] == pytest.approx(2 * 1 / (2 + 2))
    assert (found["precision"], found["recall"]) == (0.5, 0.5)
    assert found["subset_accuracy"] == 1 / 4  # only the first sample has both right
    assert found["hamming_loss"] == pytest.approx((0 + 1 + 2 + 1) / 8)
    # first label's order 0, 1, 2, 3 of which 0 and 2 are true: (1/1 + 2/3) / 2; second's 1, 3, 2, 0: (1/1 + 2/3) / 2
    assert found["mean_average_precision"] == pytest.approx(5 / 6)
    chosen = [0.9, 0.8, 0.4, 0.7, 0.4, 0.3, 0.9, 0.5]
    assert found["log_loss"] == pytest.approx(-np.log(chosen).mean(), rel=1e-6)
    assert result.per_class_recall == (0.5, 0.5)
    assert (result.task, result.score, result.headline.value) == ("multilabel", "f1", 0.5)


def test_figures_equal_scikit_learns() -> None:
    from sklearn import metrics

    y, outputs = _made(500, 7)
    given = outputs >= 0.5
    found = {name: figure.value for name, figure in TASK.metrics(outputs, Truth(y=y), resamples=0).figures.items()}
    assert found == pytest.approx({
        "f1": metrics.f1_score(y, given, average="macro"), "micro_f1": metrics.f1_score(y, given, average="micro"),
        "precision": metrics.precision_score(y, given, average="macro"),
        "recall": metrics.recall_score(y, given, average="macro"),
        "mean_average_precision": metrics.average_precision_score(y, outputs, average="macro"),
        "subset_accuracy": metrics.accuracy_score(y, given), "hamming_loss": metrics.hamming_loss(y, given),
        "log_loss": np.mean([metrics.log_loss(y[:, i], outputs[:, i]) for i in range(7)])}, rel=1e-6)


def test_intervals_match_a_bootstrap_over_sample_indexes() -> None:
    from sklearn.metrics import average_precision_score

    y, outputs = _made(300, 3, seed=4)
    figures = TASK.metrics(outputs, Truth(y=y)).figures
    generator, plain = np.random.default_rng(1), []
    for _ in range(400):
        rows = generator.integers(0, 300, 300)
        hits, sizes = (outputs[rows] >= 0.5) & (y[rows] > 0), (outputs[rows] >= 0.5).sum(axis=0) + y[rows].sum(axis=0)
        plain.append([(2 * hits.sum(axis=0) / sizes).mean(), average_precision_score(y[rows], outputs[rows])])
    low, high = np.quantile(plain, [0.025, 0.975], axis=0)
    assert figures["f1"].interval == pytest.approx((low[0], high[0]), abs=0.012)
    assert figures["mean_average_precision"].interval == pytest.approx((low[1], high[1]), abs=0.015)


def test_the_slopes_of_average_precision_are_its_derivatives() -> None:
    from sklearn.metrics import average_precision_score

    positive, outputs = np.array([1, 0, 1, 0, 1, 0], bool), np.array([0.9, 0.9, 0.5, 0.7, 0.2, 0.1])  # a tie at the top
    value, slopes = module.average_precision(positive, outputs)
    assert value == pytest.approx(average_precision_score(positive, outputs))
    for place, slope in enumerate(slopes):
        weights = np.ones(6)
        weights[place] += 1e-6
        nudged = average_precision_score(positive, outputs, sample_weight=weights)
        assert slope == pytest.approx((nudged - value) / 1e-6, abs=1e-4)
    assert slopes.sum() == pytest.approx(0, abs=1e-12)


def test_a_label_that_no_sample_has_is_left_out_and_said() -> None:
    y = np.concatenate([LABELS, np.zeros((4, 1), np.uint8)], axis=1)
    outputs = np.concatenate([OUTPUTS, np.ones((4, 1), np.float32)], axis=1)
    result = TASK.metrics(outputs, Truth(y=y, class_names=("cat", "dog", "emu")))
    assert result.figures["f1"].value == 0.5
    assert result.figures["mean_average_precision"].value == pytest.approx(5 / 6)
    assert "over 2 of 3 labels (no sample has emu)" in result.figures["f1"].method
    assert result.per_class_recall == (0.5, 0.5, 0.0)


def test_the_threshold_decides_and_logits_are_decided_alike() -> None:
    task, truth = make_task(TaskSettings(kind="multilabel", threshold=0.3)), Truth(y=LABELS)
    # given from 0.3 on: first label 0, 1, 2; second 1, 2, 3 (0.3 itself counts)
    outputs = OUTPUTS.astype(np.float64)
    assert task.metrics(outputs, truth).per_class_recall == (1.0, 1.0)
    logits = np.log(outputs / (1 - outputs)) + 1e-9
    assert task.metrics(logits, truth).figures["log_loss"].value == pytest.approx(
        task.metrics(outputs, truth).figures["log_loss"].value)
    assert task.metrics(logits, truth).per_class_recall == (1.0, 1.0)


def test_the_drop_is_in_points_of_macro_f1_and_its_interval_is_paired() -> None:
    y, outputs = _made(800, 4, seed=2)
    worse = np.where(np.random.default_rng(0).random(y.shape) < 0.03, 1 - outputs, outputs)
    truth = Truth(y=y)
    figure = TASK.drop(outputs, worse, truth)
    before, after = (TASK.metrics(each, truth).headline for each in (outputs, worse))
    assert figure.value == pytest.approx(100 * (before.value - after.value))
    assert figure.interval is not None
    assert before.interval is not None
    assert figure.interval[0] < figure.value < figure.interval[1]
    assert figure.interval[1] - figure.interval[0] < 100 * (before.interval[1] - before.interval[0])
    assert TASK.drop(worse, outputs, truth).value == pytest.approx(-figure.value)


def test_no_changed_decision_on_few_samples_does_not_claim_a_drop_of_exactly_zero() -> None:
    y, outputs = _made(60, 3)
    figure = TASK.drop(outputs, outputs, Truth(y=y))
    assert figure.value == 0
    assert figure.interval is not None
    assert figure.interval[0] < 0 < figure.interval[1]


def test_recalls_are_of_each_label_over_the_samples_that_have_it() -> None:
    better = OUTPUTS.copy()
    better[2] = 0.9  # both labels of the third sample are found now
    found = TASK.recalls(OUTPUTS, better, Truth(y=LABELS, class_names=("a", "b")))
    assert {name: (one.lost, one.gained, one.samples) for name, one in found.items()} == {
        "a": (0, 1, 2), "b": (0, 1, 2)}
    assert TASK.decided(OUTPUTS, Truth(y=LABELS)) == {}


def test_confidences_are_of_every_label() -> None:
    confidence, right = TASK.confidences(OUTPUTS, Truth(y=LABELS))["output"]
    assert confidence == pytest.approx(OUTPUTS)
    assert right.tolist() == LABELS.tolist()


def test_changed_counts_samples_with_another_set_of_labels() -> None:
    other = OUTPUTS.copy()
    other[0] = 1 - other[0]
    assert TASK.changed(OUTPUTS, other, Truth(y=LABELS)) == 1


def test_ten_thousand_samples_of_twenty_labels_are_resampled_within_seconds() -> None:
    y, outputs = _made(10_000, 20)
    start = time.process_time()
    TASK.metrics(outputs, Truth(y=y), resamples=2000)
    assert time.process_time() - start < 6  # 1 s on an idle core


def test_validation_gives_the_mean_loss_and_macro_f1() -> None:
    loss, score = TASK.validate(OUTPUTS, Truth(y=LABELS))
    assert score == 0.5
    assert loss == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.7, 0.4, 0.3, 0.9, 0.5]).mean(), rel=1e-6)
    assert np.isnan(TASK.validate(OUTPUTS * np.inf, Truth(y=LABELS))).all()


@pytest.mark.parametrize(("y", "words"), [
    (np.array([[1, 2], [0, 1]]), "sample 0 has 2 for label 1"),
    (np.array([[0.5, 1.0]]), "sample 0 has 0.5 for label 0"),
    (np.array([0, 1]), r"shape \(2,\)"),
    (np.zeros((2, 3)), r"shape \(2, 3\)"),
])
def test_labels_other_than_0_and_1_for_each_class_are_refused(y: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        TASK.encode(y, ("a", "b"))
    assert caught.value.next_step


def test_labels_are_stored_as_bytes_and_a_split_without_any_is_refused() -> None:
    assert TASK.encode(np.array([[True, False]]), ()).dtype == np.uint8
    with pytest.raises(DataError, match="no sample of the test split has any label"):
        TASK.metrics(OUTPUTS, Truth(y=LABELS * 0))
    with pytest.raises(StageError, match=r"outputs of shape \(4, 3\)"):
        TASK.metrics(np.zeros((4, 3)), Truth(y=LABELS))
