"""What families share: rounding, gates, the classifier."""

from __future__ import annotations

import pytest

from device_profiles.networks.blocks import Excite, classifier, excite, rounded
from device_profiles.networks.builder import NetworkBuilder
from device_profiles.workload import workload_of


@pytest.mark.parametrize(("channels", "expected"), [(16, 16), (11.2, 16), (33.6, 32), (8.4, 8), (4, 8), (44.8, 48),
                                                    (20, 24), (19.9, 24), (1792, 1792)])
def test_channels_are_rounded_to_eights_and_never_below_nine_tenths(channels: float, expected: int) -> None:
    assert rounded(channels) == expected
    assert rounded(channels) >= 0.9 * channels


@pytest.mark.parametrize(("gate", "names"), [
    ("sigmoid", ["MEAN", "CONV_2D", "CONV_2D", "LOGISTIC", "MUL"]),
    ("hard_sigmoid", ["MEAN", "CONV_2D", "CONV_2D", "MUL", "MUL"]),
    ("clipped_sigmoid", ["MEAN", "CONV_2D", "CONV_2D", "MINIMUM", "MAXIMUM", "LOGISTIC", "MUL"]),
])
def test_a_gate_is_a_mean_two_convolutions_and_its_activation(gate: str, names: list[str]) -> None:
    b = NetworkBuilder()
    work = workload_of(b.finish(excite(b, b.input(8, 8, 24), Excite(6, gate))))
    assert [op.name for op in work.operators] == names
    assert work.macs == 24 * 6 * 2
    assert work.outputs[0].shape == (1, 8, 8, 24)


@pytest.mark.parametrize("slim", [True, False])
def test_both_classifiers_multiply_the_same(slim: bool) -> None:
    b = NetworkBuilder()
    work = workload_of(b.finish(classifier(b, b.input(7, 7, 64), 10, slim, softmax=False)))
    assert (work.macs, work.parameters, work.outputs[0].shape) == (640, 650, (1, 10))
