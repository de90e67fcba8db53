"""NASNet-A and PNASNet-5: sizes as published, and what their cells share."""

from __future__ import annotations

from collections import Counter

import pytest

from device_profiles.networks.catalog import network_workload


@pytest.mark.parametrize(("key", "macs", "parameters"), [
    # Zoph et al. 2017, tables 2 and 3: 564 million and 23.8 thousand million MACs, 5.3 and 88.9 million parameters
    ("nasnet", 564e6, 5.3e6), ("nasnet large=yes", 23.8e9, 88.9e6),
])
def test_nasnets_have_the_published_size(key: str, macs: float, parameters: float) -> None:
    work = network_workload(key)
    assert work.macs == pytest.approx(macs, rel=0.002)
    assert work.parameters == pytest.approx(parameters, rel=0.01)


def test_each_cell_joins_its_parts_once_and_fitted_inputs_once_more() -> None:
    operators = network_workload("nasnet").operators
    wide = Counter(len(op.inputs) for op in operators if op.name == "CONCATENATION")
    assert wide == {6: 12, 4: 4, 2: 4}  # 12 normal cells, 4 reductions; 4 cells follow one of another size
    assert operators[-3].inputs[0].shape == (1, 7, 7, 1056)


def test_no_tensor_is_rectified_twice() -> None:
    operators = network_workload("nasnet").operators
    rectified = [op.inputs[0].name for op in operators if op.name == "RELU"]
    assert len(set(rectified)) == len(rectified)


@pytest.mark.parametrize(("key", "macs", "parameters"), [
    # Liu et al. 2017, tables 4 and 5: 588 million and 25.0 thousand million MACs, 5.1 and 86.1 million parameters
    ("pnasnet", 588e6, 5.1e6), ("pnasnet large=yes", 25.0e9, 86.1e6),
])
def test_pnasnets_have_the_published_size(key: str, macs: float, parameters: float) -> None:
    work = network_workload(key)
    assert work.macs == pytest.approx(macs, rel=0.003)
    assert work.parameters == pytest.approx(parameters, rel=0.011)


def test_pnasnet_has_one_kind_of_cell_that_joins_five_parts() -> None:
    operators = network_workload("pnasnet").operators
    joined = [op for op in operators if op.name == "CONCATENATION" and len(op.inputs) == 5]
    assert len(joined) == 2 + 3 * 3
    assert [op.outputs[0].shape[1] for op in joined] == [56, 28, 28, 28, 28, 14, 14, 14, 7, 7, 7]
