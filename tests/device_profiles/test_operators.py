"""The tables of operators agree with each other; `test_tflite` holds them against the schema."""

from __future__ import annotations

from device_profiles.operators import (
    ACTIVATIONS,
    BUILTIN_NAMES,
    CONTROL_FLOW,
    KERNEL_CLASSES,
    OPTION_FIELDS,
    UNREGISTERED,
    VIEWS,
)
from device_profiles.workload_macs import macs_rules


def test_every_table_speaks_of_builtin_operators() -> None:
    known = set(BUILTIN_NAMES.values())
    for table in (KERNEL_CLASSES, OPTION_FIELDS, VIEWS, CONTROL_FLOW, UNREGISTERED, macs_rules()):
        assert set(table) <= known


def test_views_are_copies_that_cost_nothing() -> None:
    assert {KERNEL_CLASSES[name] for name in VIEWS} == {"copy"}


def test_every_operator_with_macs_has_a_kernel_class_that_multiplies() -> None:
    assert {KERNEL_CLASSES[name] for name in macs_rules()} == {"conv", "depthwise", "fully_connected", "recurrent"}


def test_activations_stand_in_the_schemas_order() -> None:
    assert ACTIVATIONS[1:4] == ("RELU", "RELU_N1_TO_1", "RELU6")
