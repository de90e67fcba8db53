"""EfficientNets and their kin: sizes as published."""

from __future__ import annotations

import pytest

from device_profiles.networks.catalog import network_workload

MILLION = 1e6


@pytest.mark.parametrize(("number", "macs", "parameters"), [
    # Tan and Le 2019, table 2 (the paper's FLOPS are MACs); parameters without the statistics of normalization
    (0, 390, 5.3), (1, 700, 7.8), (2, 1000, 9.2), (3, 1800, 12), (4, 4200, 19), (5, 9900, 30), (6, 19000, 43),
    (7, 37000, 66),
])
def test_b0_to_b7_have_the_published_size(number: int, macs: int, parameters: float) -> None:
    work = network_workload(f"efficientnet number={number}" if number else "efficientnet")
    assert work.macs / MILLION == pytest.approx(macs, rel=0.05)
    assert work.parameters / MILLION == pytest.approx(parameters, rel=0.03)


@pytest.mark.parametrize(("number", "size", "macs", "parameters"), [
    # the lite README prints 407, 631, 899, 1440 and 2640 million MACs: 3 to 6 % above what its layers multiply
    (0, 224, 407, 4.7), (1, 240, 631, 5.4), (2, 260, 899, 6.1), (3, 280, 1440, 8.2), (4, 300, 2640, 13.0),
])
def test_lite0_to_lite4_have_the_published_size(number: int, size: int, macs: int, parameters: float) -> None:
    work = network_workload(f"efficientnet_lite number={number}" if number else "efficientnet_lite")
    assert work.inputs[0].shape == (1, size, size, 3)
    assert 0.94 < work.macs / MILLION / macs < 0.97
    assert work.parameters / MILLION == pytest.approx(parameters, rel=0.016)


def test_lite_has_neither_gates_nor_swish() -> None:
    assert {op.name for op in network_workload("efficientnet_lite number=4").operators} == {
        "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED", "SOFTMAX"}


@pytest.mark.parametrize(("width", "macs", "parameters"), [
    # tensorflow/tpu models/official/mnasnet/README.md
    ("1.4", 591.5, 6.1), ("1", 315.2, 3.9), ("0.75", 226.7, 2.9), ("0.5", 105.2, 2.1), ("0.35", 63.2, 1.7),
])
def test_mnasnet_has_the_published_size_at_every_width(width: str, macs: float, parameters: float) -> None:
    work = network_workload(f"mnasnet_a1 classes=1001 width={width}")
    assert work.macs / MILLION == pytest.approx(macs, rel=0.025)
    assert work.parameters / MILLION == pytest.approx(parameters, abs=0.05)


def test_proxyless_for_mobile_has_the_published_size() -> None:
    work = network_workload("proxyless")  # Cai et al. 2018: 320 million MACs, 4.1 million parameters
    assert (round(work.macs / MILLION), round(work.parameters / MILLION, 1)) == (320, 4.1)


def test_sts_low_cost_network_clips_before_each_gate() -> None:
    work = network_workload("st_efficientnet_lc")
    names = [op.name for op in work.operators]
    assert names.count("MINIMUM") == names.count("MAXIMUM") == names.count("LOGISTIC") == 16
    assert work.macs / MILLION == pytest.approx(62.492, rel=0.035)  # ST counts biases and activations as well
