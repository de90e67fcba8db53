"""MCUNet's networks: sizes as published."""

from __future__ import annotations

import pytest

from device_profiles.networks.catalog import network_workload


@pytest.mark.parametrize(("number", "size", "macs", "parameters"), [
    # github.com/mit-han-lab/mcunet, README; parameters there with the statistics of normalization
    (0, 48, 6.4, 0.75), (1, 96, 12.8, 0.64), (2, 160, 67.3, 0.73), (3, 176, 81.8, 0.74), (4, 160, 125.9, 1.73),
])
def test_networks_for_imagenet_have_the_published_macs(number: int, size: int, macs: float, parameters: float) -> None:
    work = network_workload(f"mcunet number={number}" if number else "mcunet")
    assert work.inputs[0].shape == (1, size, size, 3)
    assert round(work.macs / 1e6, 1) == macs
    assert parameters - 0.011 < work.parameters / 1e6 < parameters


def test_blocks_have_the_kernels_of_the_search() -> None:
    operators = network_workload("mcunet number=3").operators
    kernels = [op.inputs[1].shape[1] for op in operators if op.name == "DEPTHWISE_CONV_2D"]
    assert kernels == [3, 7, 3, 7, 5, 5, 5, 5, 3, 7, 5, 5, 7, 3, 3, 7, 3, 7]
    assert operators[-1].outputs[0].shape == (1, 1000)
