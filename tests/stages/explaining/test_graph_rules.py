"""Rules on the graph, each on an operator whose numbers are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.explaining import graph_rules
from stages.explaining.structure import Unfolded
from tests.stages.explaining.evidence import evidence, tally


def test_a_norm_behind_an_activation_has_the_share_of_its_own_operators() -> None:
    norm = Unfolded("activation_before_norm", (1, 2), "0:CONV_2D conv", "RELU", 4)
    found = evidence(tally(), tally("MUL", index=1), tally("ADD", index=2), unfolded=[norm])
    (one,) = graph_rules.unfolded_norms(found)
    assert (one.kind, one.layer, round(one.share, 3)) == ("activation_before_norm", "0:CONV_2D conv", 0.667)
    assert "MUL and ADD (operators 1 and 2) are left" in one.found


def test_weights_that_must_take_uneven_factors_back_are_counted_to_the_normalization() -> None:
    norm = Unfolded("no_convolution", (1,), "0:ADD a", "", 2, np.array([1.0, 8.0]),
                    {2: np.array([[8.0, 1.0], [4.0, 0.5]])}, readers_are_all=True)
    scaled = tally("MUL", index=1, energy=np.array([1.0, 64.0]), distance=np.ones(2))
    # as they are: (64 + 16) * 65 = 5200; with the factors in them: (64 + 16) * 2 = 160
    (one,) = graph_rules.unfolded_norms(evidence(scaled, tally(index=2), unfolded=[norm]))
    noise = evidence(scaled, tally(index=2)).noise
    rest = 1 - 40 * 0.01 / 12 / 4  # of the reader's noise all but the rounding of its output
    assert one.share == pytest.approx(noise.share(scaled) + noise.share(tally(index=2)) * rest * (1 - 160 / 5200))
    assert "2:CONV_2D t must take the factors back by weights that are as uneven" in one.found
    assert one.changes[0].text.startswith("multiply its factors into the kernels that read it")


@pytest.mark.parametrize("changed", [{"factors": np.array([1.0, -8.0])}, {"readers_are_all": False}],
                         ids=["negative", "read-elsewhere"])
def test_factors_that_kernels_cannot_take_are_left_to_training(changed: dict) -> None:
    norm = replace(Unfolded("no_convolution", (1,), "0:ADD a", "", 2, np.array([1.0, 8.0]),
                            {2: np.array([[8.0, 1.0], [4.0, 0.5]])}, readers_are_all=True), **changed)
    scaled = tally("MUL", index=1, energy=np.array([1.0, 64.0]), distance=np.ones(2))
    (one,) = graph_rules.unfolded_norms(evidence(scaled, tally(index=2), unfolded=[norm]))
    assert "train again" in one.changes[0].text


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
