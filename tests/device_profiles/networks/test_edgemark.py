"""EdgeMark's networks: parameters to the last one where no normalization adds any, as EdgeMark prints them."""

from __future__ import annotations

import pytest

from device_profiles.networks.catalog import network_workload
from device_profiles.networks.edgemark import CNNS, FULLY_CONNECTED


@pytest.mark.parametrize(("number", "parameters", "macs"), [
    (1, 792, 25_329), (2, 2_224, 45_146), (3, 6_666, 169_820), (4, 12_114, 744_574), (5, 21_178, 3_718_542),
    (6, 47_212, 7_573_221), (7, 171_354, 11_129_598),
])
def test_cnns_have_the_printed_parameters_and_just_less_than_the_printed_macs(number: int, parameters: int,
                                                                              macs: int) -> None:
    work = network_workload(f"edgemark_cnn number={number}".removesuffix(" number=1"))
    assert work.parameters == parameters
    assert 0.97 < work.macs / macs <= 1.0  # EdgeMark counts biases and activations as well


@pytest.mark.parametrize(("number", "parameters"), list(enumerate(
    [2, 16, 141, 1_042, 2_330, 3_521, 9_281, 11_034, 34_945, 49_750, 199_450])))
def test_fully_connected_networks_have_the_printed_parameters(number: int, parameters: int) -> None:
    assert network_workload(f"mlp layers={FULLY_CONNECTED[number]}").parameters == parameters


@pytest.mark.parametrize(("network", "printed", "averaged"), [
    ("mlp layers=1-10-10-1", 260, 0), ("mlp layers=50-16-8-10 softmax=yes", 2_100, 0),
    ("mlp layers=3072-64-32-16-10 softmax=yes", 398_828, 0), ("edgemark_cnn number=2", 90_292, 0),
    ("edgemark_cnn", 50_658, 4 * 4 * 8), ("edgemark_cnn number=4", 1_489_148, 7 * 7 * 32)])
def test_printed_operations_are_macs_biases_averages_and_five_for_each_class_of_a_softmax(
        network: str, printed: int, averaged: int) -> None:
    work = network_workload(network)
    softmax = sum(op.element_ops for op in work.operators if op.kernel == "softmax")
    biases = sum(op.output_elements for op in work.operators if op.macs)
    # EdgeMark rounds to whole millions of MACs, two operations each
    assert 2 * work.macs + biases + averaged + 5 * softmax == pytest.approx(printed, abs=2)


def test_there_are_seven_cnns_and_eleven_fully_connected_networks() -> None:
    assert (sorted(CNNS), len(FULLY_CONNECTED)) == ([1, 2, 3, 4, 5, 6, 7], 11)
