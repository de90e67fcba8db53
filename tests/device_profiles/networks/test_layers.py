"""Single layers: work by hand."""

from __future__ import annotations

import pytest

from device_profiles.errors import UsageError
from device_profiles.networks.catalog import network_workload


@pytest.mark.parametrize(("key", "name", "macs", "element_ops", "moved"), [
    ("layer_conv", "CONV_2D", 100 * 64 * 64, 0, 6400 + 6400),
    ("layer_conv channels=3 kernel=3", "CONV_2D", 64 * 64 * 27, 0, 300 + 4096),
    ("layer_depthwise", "DEPTHWISE_CONV_2D", 196 * 16 * 9, 0, 4096 + 3136),
    ("layer_depthwise channels=8 kernel=5 multiplier=4 size=14", "DEPTHWISE_CONV_2D", 100 * 32 * 25, 0, 1568 + 3200),
    ("layer_elementwise", "ADD", 0, 1615, 3 * 1615),
    ("layer_elementwise kind=mul", "MUL", 0, 1615, 3 * 1615),
    ("layer_elementwise kind=hard_swish size=12544", "HARD_SWISH", 0, 12544, 2 * 12544),
])
def test_a_layer_is_one_operator_with_its_work(key: str, name: str, macs: int, element_ops: int, moved: int) -> None:
    (op,) = network_workload(key, "int8").operators
    assert (op.name, op.macs, op.element_ops, op.input_bytes + op.output_bytes) == (name, macs, element_ops, moved)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="'div' is no elementwise layer"):
        network_workload("layer_elementwise kind=div")
