"""Which samples calibrate, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages import calibration
from stages.datasets.rows import Rows


def by_turns(y: np.ndarray, classes: int, samples: int, seed: int) -> np.ndarray:
    """The draw as it has been from the first version on, spelt out."""
    shuffled = [np.random.default_rng((seed, label)).permutation(np.flatnonzero(y == label))
                for label in range(classes)]
    turns = sorted((place, label, int(row)) for label, rows in enumerate(shuffled) for place, row in enumerate(rows))
    return np.sort(np.array([row for _, _, row in turns[:samples]], np.int64))


@pytest.mark.parametrize("samples", [1, 7, 40, 1000])
def test_classes_are_drawn_as_ever(samples: int) -> None:
    y = np.random.default_rng(0).integers(0, 7, 300)
    y = y[y != 3]  # a class without samples
    np.testing.assert_array_equal(calibration.choose(y, samples, 11), by_turns(y, 7, samples, 11))


def test_small_classes_give_all_and_the_others_give_more() -> None:
    y = np.array([0] * 50 + [1] * 3 + [2] * 50)
    rows = calibration.choose(y, 23, seed=1)
    assert np.bincount(y[rows]).tolist() == [10, 3, 10]
    assert rows.tolist() == sorted(set(rows.tolist()))


def test_a_larger_set_holds_every_smaller_one() -> None:
    rng = np.random.default_rng(2)
    labels = {"classification": rng.integers(0, 4, 90), "multilabel": (rng.random((90, 5)) < 0.2).astype(np.uint8),
              "regression": rng.normal(size=(90, 2)).astype(np.float32), "anomaly": np.zeros(90, np.int64)}
    for kind, y in labels.items():
        order = calibration.draw(y, 3, kind=kind)  # type: ignore[arg-type]
        assert sorted(order.tolist()) == list(range(90))
        small, large = (set(calibration.choose(y, n, 3, kind=kind).tolist()) for n in (20, 50))  # type: ignore[arg-type]
        assert small == set(order[:20].tolist())
        assert small < large


def test_several_labels_stay_about_equally_frequent() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random((2000, 4)) < [0.5, 0.3, 0.05, 0.02]).astype(np.uint8)
    rows = calibration.choose(y, 60, seed=5, kind="multilabel")
    counts, random = y[rows].sum(axis=0), y[:60].sum(axis=0)
    assert counts.min() >= 11  # five kinds of sample (none of the labels is one) share sixty
    assert random.min() <= 4
    assert (~y[rows].any(axis=1)).sum() >= 11


def test_a_label_that_runs_out_lets_the_others_go_on() -> None:
    y = np.zeros((10, 2), np.uint8)
    y[0, 0], y[1:6, 1] = 1, 1
    assert len(calibration.choose(y, 10, 0, kind="multilabel")) == 10


def test_values_are_balanced_over_tenths_of_their_ranks() -> None:
    y = np.concatenate([np.linspace(0, 1, 990), np.linspace(100, 200, 10)]).astype(np.float32)[:, None]
    rows = calibration.choose(y, 100, seed=0, kind="regression")
    tenths = np.searchsorted(np.quantile(y, np.linspace(0, 1, 11)[1:-1]), y[rows, 0], side="right")
    assert np.bincount(tenths, minlength=10).tolist() == [10] * 10


def test_equal_values_do_not_stop_the_draw() -> None:
    assert len(calibration.choose(np.zeros((30, 1), np.float32), 30, 0, kind="regression")) == 30


def test_anomalies_never_calibrate() -> None:
    y = np.array([0, 1] * 20)
    rows = calibration.choose(y, 100, 0, kind="anomaly")
    assert rows.tolist() == list(range(0, 40, 2))


def test_strategies_random_and_all() -> None:
    y = np.array([0] * 95 + [1] * 5)
    one, other = (calibration.choose(y, 20, seed, strategy="random") for seed in (0, 1))
    assert len(one) == 20
    assert one.tolist() != other.tolist()
    assert (y[one] == 1).sum() < 5  # not balanced
    assert calibration.choose(y, 20, 0, strategy="all").tolist() == list(range(100))


def test_the_first_output_counts_where_there_are_several() -> None:
    y = np.zeros(30, [("kind", np.int64), ("value", np.float32, (1,))])
    y["kind"] = np.arange(30) % 3
    assert np.bincount(y["kind"][calibration.choose(y, 9, 0)]).tolist() == [3, 3, 3]


@pytest.fixture
def spiky(tmp_path: Path) -> Rows:
    """200 samples of 12 values in about 0..1, of which row 17 reaches 50 and row 90 reaches -30, in a file."""
    x = np.random.default_rng(1).random((200, 4, 3), np.float32)
    x[17, 0, 0], x[90, 3, 2] = 50, -30
    np.save(tmp_path / "x.npy", x)
    return Rows(tmp_path / "x.npy")


def test_outliers_are_dropped_when_asked(spiky: Rows) -> None:
    y = np.arange(200) % 2
    kept = calibration.choose(y, 198, 0, strategy="outliers-dropped", x=spiky)
    assert set(range(200)) - set(kept.tolist()) == {17, 90}
    assert len(calibration.choose(y, 198, 0, x=spiky)) == 198


def test_the_report_names_who_sets_the_range_and_how_far_out(spiky: Rows) -> None:
    y = np.arange(200) % 2
    report = calibration.describe(spiky, y, np.arange(0, 200), 2)
    found = report.inputs["input"]
    assert (found.low, found.high, found.low_row, found.high_row) == (-30.0, 50.0, 90, 17)
    low, high = np.quantile(spiky.load(), [0.001, 0.999])
    assert found.beyond_high == pytest.approx((50 - high) / (high - low))
    assert found.beyond_low == pytest.approx((low + 30) / (high - low))
    assert (report.outliers, report.outlier_count, report.class_counts) == ((17, 90), 2, (100, 100))


def test_the_report_says_what_of_other_samples_lies_outside() -> None:
    x = np.linspace(0, 1, 100, dtype=np.float32)[:, None]
    report = calibration.describe(x, np.zeros(100, np.int64), np.arange(25, 75), 1)
    assert report.inputs["input"].outside == 1.0  # the ends of the line, all of them
    assert calibration.describe(x, np.zeros(100, np.int64), np.arange(0, 100), 1).inputs["input"].outside == 0.0


def test_exact_duplicates_are_counted() -> None:
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    x[3], x[5] = x[0], x[0]
    assert calibration.describe(x, np.zeros(6, np.int64), np.arange(6), 1).duplicates == 2


def test_samples_of_one_range_have_no_outliers() -> None:
    x = np.random.default_rng(0).random((300, 5), np.float32)
    x[:, 0] = 1  # every image has a white pixel
    x[7, 0] = 0.99
    assert calibration.describe(x, np.zeros(300, np.int64), np.arange(300), 1).outlier_count == 0


def test_several_inputs_are_described_by_name() -> None:
    x = np.zeros(4, [("a", "f4", (2,)), ("b", "f4", (1,))])
    x["b"][:, 0] = [1, 2, 3, 4]
    report = calibration.describe(x, np.zeros(4, np.int64), np.array([1, 2]), 1)
    assert (report.inputs["b"].low, report.inputs["b"].high) == (2.0, 3.0)
    assert report.inputs["b"].outside == 1.0
    assert report.inputs["a"].beyond_high == 0.0
