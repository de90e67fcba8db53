"""Confident learning worked out by hand; folds keep groups whole; residuals that are far out."""

from __future__ import annotations

import numpy as np
import pytest

from stages.examining.labels import contradicted, predictions, probabilities


def test_a_sample_is_suspected_where_another_class_reaches_its_own_threshold() -> None:
    given = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.9, 0.1]])
    y = np.array([0, 0, 0, 1, 1])
    # Thresholds: class 0 (0.9 + 0.8 + 0.3) / 3 = 0.667, class 1 (0.9 + 0.1) / 2 = 0.5.
    rows, suggested, margin = contradicted(given, y)
    assert rows.tolist() == [2, 4]
    assert suggested[rows].tolist() == [1, 0]
    assert margin[rows] == pytest.approx([0.4, 0.8])


def test_a_doubtful_sample_below_every_threshold_is_not_suspected() -> None:
    given = np.array([[0.95, 0.05], [0.45, 0.55], [0.02, 0.98]])
    y = np.array([0, 0, 1])  # thresholds 0.7 and 0.98
    assert contradicted(given, y)[0].tolist() == []


def test_every_sample_gets_probabilities_from_a_model_that_did_not_see_it() -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(200, 5)).astype(np.float32)
    y = rng.integers(0, 2, 200)  # nothing to learn: who sees the labels would be right, who does not is not
    given = probabilities(seen, y, np.arange(200), seed=0)
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-9)
    assert 0.35 < (given.argmax(axis=1) == y).mean() < 0.65


def test_copies_in_one_group_cannot_confirm_each_others_wrong_label() -> None:
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(40, 8)) * 4
    seen = np.repeat(centres, 5, axis=0).astype(np.float32)  # 40 recordings of 5 windows that are equal
    y = np.repeat(rng.integers(0, 2, 40), 5)
    together = np.repeat(np.arange(40), 5)
    apart = probabilities(seen, y, together, seed=0).argmax(axis=1) == y
    cut = probabilities(seen, y, np.arange(200), seed=0).argmax(axis=1) == y
    assert cut.mean() > apart.mean() + 0.1


def test_values_are_predicted_out_of_sample() -> None:
    rng = np.random.default_rng(2)
    seen = rng.normal(size=(400, 4)).astype(np.float32)
    target = (seen[:, :1] * 3 - seen[:, 1:2]).astype(float)
    given = predictions(seen, target, np.arange(400), seed=0)
    assert given.shape == (400, 1)
    assert 1 - ((target - given)**2).sum() / ((target - target.mean())**2).sum() > 0.9
    noise = rng.normal(size=(400, 1))
    assert abs(np.corrcoef(predictions(seen, noise, np.arange(400), seed=0)[:, 0], noise[:, 0])[0, 1]) < 0.25
