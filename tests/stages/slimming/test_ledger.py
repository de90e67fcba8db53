"""What two calls of one layer must agree on, and how work is counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from stages.slimming.labels import Channels, Fixed
from stages.slimming.ledger import Call, Ledger, positions


def layer(name: str = "layer") -> Any:
    weight = SimpleNamespace(shape=(3, 4))
    return SimpleNamespace(name=name, weights=[weight], kernel=weight)


def test_the_second_cut_of_an_axis_is_united_with_the_first() -> None:
    ledger, one = Ledger(), layer()
    first, second = ledger.labels.fresh(4), ledger.labels.fresh(4)
    ledger.cut(one, one.kernel, -1, first, "makes")
    ledger.cut(one, one.kernel, 1, Channels(0, second), "makes")
    assert ledger.labels.roots(second).tolist() == first.tolist()
    assert [(cut.layer, cut.weight, cut.axis) for cut in ledger.cuts] == [("layer", 0, 1)]


def test_a_cut_that_meets_what_stays_stays_whichever_came_first() -> None:
    for fixed_first in (True, False):
        ledger, one = Ledger(), layer()
        labels = ledger.labels.fresh(4)
        found = [Fixed("stays"), Channels(0, labels)]
        for each in found if fixed_first else found[::-1]:
            ledger.cut(one, one.kernel, 1, each, "reads")
            ledger.set(one, "filters", each)
        assert [ledger.labels.reason(int(label)) for label in labels] == ["stays"] * 4
        assert len(ledger.cuts) == len(ledger.settings) == (0 if fixed_first else 1)


def test_a_weight_that_a_layer_does_not_have_is_not_cut() -> None:
    ledger = Ledger()
    ledger.cut(layer(), None, 0, ledger.labels.fresh(4), "follows")
    assert ledger.cuts == []


def test_a_layer_s_own_channels_are_the_same_for_each_call() -> None:
    ledger = Ledger()
    assert ledger.make(layer("a"), 3).tolist() == ledger.make(layer("a"), 3).tolist() == [0, 1, 2]
    assert ledger.make(layer("b"), 2).tolist() == [3, 4]


def test_the_channels_of_a_fixed_input_are_counted_into_the_factor() -> None:
    ledger = Ledger()
    makes = ledger.labels.fresh(2)
    call = Call(layer(), (Fixed("input"),), ((5, 7),), (5, 2))
    ledger.count(call, 10, call.flow, makes)
    ledger.count(call, 10, Channels(1, np.arange(2)), None)
    assert [(work.factor, work.reads is None, work.makes is None) for work in ledger.work] == [
        (70, True, False), (10, False, True)]


def test_an_open_axis_counts_as_one() -> None:
    assert (positions((4, None, 8)), positions((3,)), positions((None, None, 2))) == (4, 1, 1)
