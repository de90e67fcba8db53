"""DenseNets: sizes as published."""

from __future__ import annotations

import pytest

from device_profiles.networks.catalog import network_workload


@pytest.mark.parametrize(("layers", "macs", "parameters"), [
    # what TFLiteConverter makes of tf_keras' DenseNet121; the others: torchvision's thousand million MACs and millions
    (121, 2_834_161_664, 7_903_624), (169, 3.36e9, 14.0e6), (201, 4.29e9, 19.8e6),
])
def test_densenets_have_the_published_size(layers: int, macs: float, parameters: float) -> None:
    work = network_workload(f"densenet layers={layers}" if layers != 121 else "densenet")
    tolerance = 0 if layers == 121 else 0.005
    assert work.macs == pytest.approx(macs, rel=tolerance)
    assert work.parameters == pytest.approx(parameters, rel=tolerance or 1e-9)


def test_each_layer_is_joined_to_all_before_it() -> None:
    operators = network_workload("densenet").operators
    joined = [op for op in operators if op.name == "CONCATENATION"]
    assert len(joined) == 6 + 12 + 24 + 16
    assert [joined[number].outputs[0].shape[-1] for number in (0, 5, 6, 17, 57)] == [96, 256, 160, 512, 1024]
    assert sum(op.name == "MUL" for op in operators) == 58 + 3 + 1
