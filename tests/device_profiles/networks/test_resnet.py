"""ResNets: sizes as published, and where the strides and zeros stand."""

from __future__ import annotations

import pytest

from device_profiles.networks.catalog import network_workload
from device_profiles.workload import OperatorWork

MILLION = 1e6


def strided(key: str) -> list[OperatorWork]:
    return [op for op in network_workload(key).operators if op.name == "CONV_2D" and op.options["stride_w"] == 2]


@pytest.mark.parametrize(("key", "macs", "parameters"), [
    # He et al. 2015, table 1, in thousand million MACs: 1.8, 3.6, 3.8, 7.6, 11.3; parameters as torchvision states
    ("resnet layers=18", 1.8, 11.7), ("resnet layers=34", 3.6, 21.8), ("resnet", 3.8, 25.6),
    ("resnet layers=101", 7.6, 44.5), ("resnet layers=152", 11.3, 60.2), ("resnet late=yes", 4.1, 25.6),
    ("resnet_v2 layers=101", 7.2, 44.6),
])
def test_resnets_have_the_published_size(key: str, macs: float, parameters: float) -> None:
    work = network_workload(key)
    assert work.macs / MILLION / 1000 == pytest.approx(macs, abs=0.07)
    assert work.parameters / MILLION == pytest.approx(parameters, rel=0.006)


def test_version_one_and_a_half_takes_the_stride_in_the_3x3_convolution() -> None:
    assert [op.inputs[1].shape[1] for op in strided("resnet")] == [7, 1, 1, 1, 1, 1, 1]
    assert [op.inputs[1].shape[1] for op in strided("resnet late=yes")] == [7, 1, 3, 1, 3, 1, 3]


def test_version_two_normalizes_before_its_convolutions_and_pads_where_same_would_not() -> None:
    names = [op.name for op in network_workload("resnet_v2").operators]
    assert names.count("MUL") == 17  # 16 blocks and the end
    assert names.count("PAD") == 2 + 3
    assert names.count("MAX_POOL_2D") == 1 + 3


@pytest.mark.parametrize(("blocks", "macs", "parameters"), [(1, 12_501_632, 77_706), (3, 40_813_184, 271_690)])
def test_cifar_resnets_are_right_to_the_mac(blocks: int, macs: int, parameters: int) -> None:
    # 8 layers: the reference tflite model of MLPerf Tiny; 20 layers by hand:
    # 442,368 + 6 * 2,359,296 + 2 * (1,179,648 + 5 * 2,359,296 + 131,072) + 640
    work = network_workload(f"resnet_cifar blocks={blocks}" if blocks != 3 else "resnet_cifar")
    assert (work.macs, work.parameters) == (macs, parameters)


def test_resnet_8_has_the_operators_of_the_reference_model_in_its_order() -> None:
    block = ["CONV_2D", "CONV_2D", "CONV_2D", "ADD"]  # the first holds the stem, the others the way around
    end = ["AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    work = network_workload("resnet_cifar blocks=1", "int8")
    assert [op.name for op in work.operators] == [*block * 3, *end]
    assert [op.activation for op in work.operators if op.name == "ADD"] == ["RELU"] * 3
