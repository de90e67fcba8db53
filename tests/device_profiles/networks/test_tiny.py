"""MLPerf Tiny's networks, right to the MAC by the shapes of the reference tflite models."""

from __future__ import annotations

import pytest

from device_profiles.networks.catalog import network_workload


@pytest.mark.parametrize(("key", "macs", "parameters", "operators"), [
    ("ds_cnn", 2_656_768, 22_604, 13),
    ("resnet_cifar blocks=1", 12_501_632, 77_706, 16),
    ("autoencoder", 2 * (640 * 128 + 3 * 128 * 128 + 128 * 8), 264_192 + 8 * 128 + 8 + 640, 10),
    ("visual_wake_words", 7_489_664, 210_850, 31),
])
def test_reference_networks_are_right_to_the_mac(key: str, macs: int, parameters: int, operators: int) -> None:
    work = network_workload(key, "int8")
    assert (work.macs, work.parameters, len(work.operators)) == (macs, parameters, operators)


def test_wake_words_are_spotted_by_a_quarter_of_mobilenet_v1() -> None:
    same = network_workload("mobilenet_v1 classes=2 size=96 width=0.25")
    assert network_workload("visual_wake_words").macs == same.macs


def test_keywords_are_spotted_in_the_shapes_of_the_reference_model() -> None:
    operators = network_workload("ds_cnn", "int8").operators
    assert operators[0].inputs[1].shape == (64, 10, 4, 1)
    assert {op.outputs[0].shape for op in operators[:9]} == {(1, 25, 5, 64)}
    assert [op.name for op in operators[9:]] == ["AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]


def test_fully_connected_networks_have_no_activation_behind_the_last_layer() -> None:
    operators = network_workload("mlp layers=4-10-3 softmax=yes").operators
    assert [(op.name, op.activation, op.macs) for op in operators] == [
        ("FULLY_CONNECTED", "RELU", 40), ("FULLY_CONNECTED", "NONE", 30), ("SOFTMAX", "NONE", 0)]
