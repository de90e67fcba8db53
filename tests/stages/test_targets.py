"""The records of devices keep what they hold through JSON, and start out saying nothing."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from stages.records import BenchmarkResult, Host
from stages.records.targets import Conditions, CoreGroup, Device, DeviceState, OperatorDifference

HOST = Host(cpu="Cortex-A72", architecture="aarch64", cores=4, memory_bytes=4 << 30, system="Linux 6.1", python="3.11")
STATE = DeviceState(groups=(CoreGroup(cores=(0, 1), governor="performance", frequency_hz=1.5e9),),
                    temperatures_c={"cpu-thermal": 48.2}, throttle={"get_throttled": 0}, load_1min=0.1, boot_id="x")


def test_conditions_come_back_from_json_as_they_were() -> None:
    device = Device(target="ssh:pi@pi", board="Raspberry Pi 4", core_names=("4 Cortex-A72",), host=HOST)
    found = Conditions(device=device, before=STATE, after=STATE, throttling=("under-voltage",))
    assert Conditions.model_validate_json(found.model_dump_json()) == found


def test_a_benchmark_without_a_target_is_this_host_s_under_conditions_that_nobody_noted() -> None:
    found = BenchmarkResult(summary="", host=HOST, variants={})
    assert (found.target, found.conditions) == ("host", None)


def test_a_state_of_which_nothing_is_known_is_empty_and_not_zero_degrees() -> None:
    assert DeviceState().temperatures_c == {}
    assert DeviceState().groups == ()


def test_an_unknown_fact_is_refused() -> None:
    with pytest.raises(ValidationError, match="fan_speed"):
        DeviceState.model_validate({"fan_speed": 3})


def test_no_difference_is_one_without_an_operator() -> None:
    assert OperatorDifference(operators_equal=12, versions=("2.3.0", "2.0.2")).index is None
