"""Classes of labels: what is united goes together, and what must stay says why."""

from __future__ import annotations

import numpy as np

from stages.slimming.labels import Labels


def test_labels_at_the_same_places_become_one_class() -> None:
    labels = Labels()
    one, other, third = labels.fresh(3), labels.fresh(3), labels.fresh(3)
    labels.unite(one, other)
    labels.unite(other, third[::-1])
    assert labels.roots(one).tolist() == labels.roots(other).tolist() == labels.roots(third[::-1]).tolist() == [0, 1, 2]
    assert len(labels) == 9


def test_a_class_stays_for_the_first_reason_that_any_of_its_labels_has() -> None:
    labels = Labels()
    one, other = labels.fresh(2), labels.fresh(2)
    labels.fix(other[:1], "first")
    labels.unite(one, other)
    labels.fix(one, "second")
    assert [labels.reason(int(label)) for label in (*one, *other)] == ["first", "second"] * 2


def test_a_reason_can_take_the_place_of_another() -> None:
    labels = Labels()
    one = labels.fresh(1)
    labels.fix(one, "first")
    labels.fix(one, "better", instead=True)
    assert labels.reason(0) == "better"


def test_uniting_keeps_the_reason_whichever_label_stands_for_the_class() -> None:
    for first, second in ((0, 1), (1, 0)):
        labels = Labels()
        each = labels.fresh(2)
        labels.fix(each[1:], "stays")
        labels.unite(each[[first]], each[[second]])
        assert labels.reason(0) == "stays"


def test_labels_that_nobody_fixed_may_go() -> None:
    labels = Labels()
    assert labels.reason(int(labels.fresh(1)[0])) == ""
    assert labels.roots(np.array([], np.int64)).tolist() == []
