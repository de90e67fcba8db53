"""SqueezeNet and VGG: parameters to the last one, as they are published."""

from __future__ import annotations

import pytest

from device_profiles.networks.catalog import network_workload


@pytest.mark.parametrize(("key", "parameters"), [
    ("squeezenet", 1_235_496), ("squeezenet version=1.0", 1_248_424),  # torchvision's tables
    ("vgg", 138_357_544), ("vgg layers=19", 143_667_240),  # tf_keras' tables
])
def test_parameters_are_those_of_the_published_tables(key: str, parameters: int) -> None:
    assert network_workload(key).parameters == parameters


def test_vgg_16_has_its_macs_by_hand() -> None:
    layers = [(224, 3, 64), (224, 64, 64), (112, 64, 128), (112, 128, 128), (56, 128, 256), *[(56, 256, 256)] * 2,
              (28, 256, 512), (28, 512, 512), (28, 512, 512), *[(14, 512, 512)] * 3]
    dense = 25088 * 4096 + 4096 * 4096 + 4096 * 1000
    convolutions = sum(size * size * before * after * 9 for size, before, after in layers)
    assert network_workload("vgg").macs == convolutions + dense


def test_a_fire_module_joins_a_1x1_and_a_3x3_convolution_of_the_same_width() -> None:
    first = next(op for op in network_workload("squeezenet").operators if op.name == "CONCATENATION")
    assert [use.shape for use in first.inputs] == [(1, 55, 55, 64), (1, 55, 55, 64)]
