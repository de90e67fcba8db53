"""The worst of several, and why one end of its interval is corrected for their number and the other is not."""

from __future__ import annotations

import numpy as np
import pytest

from stages.paired import score_interval
from stages.records import PairedCounts
from stages.safety.members import classes_worst, family_level, paired_candidate, share_candidate, worst_of
from stages.statistics import clopper_pearson


def _table(lost: int, gained: int, samples: int) -> PairedCounts:
    return PairedCounts(lost=lost, gained=gained, samples=samples)


def test_a_family_of_ten_looks_at_each_lower_end_at_half_a_percent() -> None:
    assert family_level(1) == pytest.approx(0.9)
    assert family_level(10) == pytest.approx(0.99)


def test_the_worst_class_is_the_one_with_the_largest_drop_of_recall() -> None:
    found = classes_worst({"a": _table(1, 0, 50), "b": _table(6, 1, 50), "c": _table(0, 0, 40),
                           "none": _table(0, 0, 0)})
    assert found is not None
    assert (found.name, found.figure.value, found.figure.samples) == ("b", 10.0, 50)
    assert [(one.name, one.judged, one.note) for one in found.members][-1] == ("none", False, "no test sample")
    assert found.figure.interval is not None
    low, high = found.figure.interval
    assert low == pytest.approx(100 * score_interval(6, 1, 50, 1 - 0.1 / 3)[0])  # three classes are judged
    assert high == pytest.approx(100 * score_interval(6, 1, 50, 0.9)[1])


def test_the_upper_end_may_be_that_of_a_smaller_class_with_a_smaller_drop() -> None:
    found = classes_worst({"large": _table(20, 0, 1000), "small": _table(0, 0, 10)})
    assert found is not None
    assert found.name == "large"
    z2 = 1.6448536269514722**2
    assert found.figure.interval is not None
    assert found.figure.interval[1] == pytest.approx(100 * z2 / (10 + z2))


def test_few_samples_are_reported_and_not_judged_and_none_judged_is_none() -> None:
    few = paired_candidate("few", _table(9, 0, 29), least=30)
    assert worst_of([few], "points", "drop") is None
    found = worst_of([few, paired_candidate("many", _table(0, 0, 30), least=30)], "points", "drop")
    assert found is not None
    assert (found.name, found.members[0].note) == ("many", "fewer than 30 samples")
    assert (found.members[0].interval, found.members[0].value) == (None, pytest.approx(900 / 29))
    assert classes_worst({}) is None


def test_a_corruptions_share_has_exact_ends() -> None:
    found = worst_of([share_candidate("noise", 4, 100), share_candidate("blur", 1, 100)], "fraction", "share changed")
    assert found is not None
    assert (found.name, found.figure.value) == ("noise", 0.04)
    assert found.figure.interval == (clopper_pearson(4, 100, 0.95)[0], clopper_pearson(4, 100)[1])


def test_where_every_class_drops_by_the_bound_few_runs_pass_and_few_fail() -> None:
    """Both errors of the worst of eight classes, simulated at the edge: each is at most 5 %, and noise."""
    draws = np.random.default_rng(1).multinomial(300, [0.05, 0.02, 0.93], (400, 8))
    passed = failed = 0
    for run in draws:
        found = classes_worst({str(place): _table(int(lost), int(gained), 300)
                               for place, (lost, gained, _) in enumerate(run)})
        assert found is not None
        assert found.figure.interval is not None
        passed += found.figure.interval[1] <= 3.0
        failed += found.figure.interval[0] > 3.0
    assert passed / 400 <= 0.07
    assert failed / 400 <= 0.07
