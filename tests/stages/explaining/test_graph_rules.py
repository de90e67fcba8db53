"""Rules on the graph, each on an operator whose numbers are given."""

from __future__ import annotations

import numpy as np

from stages.explaining import graph_rules
from stages.explaining.structure import Unfolded
from tests.stages.explaining.evidence import evidence, tally


def test_a_norm_behind_an_activation_has_the_share_of_its_own_operators() -> None:
    norm = Unfolded("activation_before_norm", (1, 2), "0:CONV_2D conv", "RELU", 4)
    found = evidence(tally(), tally("MUL", index=1), tally("ADD", index=2), unfolded=[norm])
    (one,) = graph_rules.unfolded_norms(found)
    assert (one.kind, one.layer, round(one.share, 3)) == ("activation_before_norm", "0:CONV_2D conv", 0.667)
    assert "MUL and ADD (operators 1 and 2) are left" in one.found


def test_channels_that_die_in_the_variant_alone_are_lost() -> None:
    one = tally(made_lows=np.array([0.0, -12, -12, -12]), made_highs=np.array([0.0, 12, 12, 12]))
    (found,) = graph_rules.lost_channels(evidence(one))
    assert found.short == "1 of 4 channels are lost in one step"
    assert found.share == 0.25


def test_channels_that_are_dead_in_the_float_model_cost_no_accuracy() -> None:
    one = tally(lows=np.array([0.0, -12, -12, -12]), highs=np.array([0.0, 12, 12, 12]))
    (found,) = graph_rules.dead_channels(evidence(one))
    assert (found.kind, found.share) == ("dead_channels", 0.0)
    assert "channel 0" in found.found
    assert graph_rules.lost_of(one) == ()
    assert list(graph_rules.dead_channels(evidence(tally("SOFTMAX", lows=np.zeros(4), highs=np.zeros(4))))) == []
