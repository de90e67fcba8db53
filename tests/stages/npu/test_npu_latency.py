from __future__ import annotations

import pytest

from device_profiles.records import Figure
from stages.npu.latency import left_to_cpu, whole_latency
from stages.records.npu import CompileResult, NpuOperator
from tests.stages.sample_profiles import micro_profile, workload

BARE = Figure(value=2.0, unit="ms", provenance="predicted", method="Vela")
WIDE = Figure(value=2.0, unit="ms", provenance="predicted", interval=(1.0, 4.0), level=0.9, method="Vela")


def compiled(latency, *places):
    operators = tuple(NpuOperator(index=number, operator="CONV_2D", output=f"t{number}", on=place)
                      for number, place in enumerate(places))
    return CompileResult(summary="", status="ok", compiler="Vela 5.2.0", accelerator="ethos-u55-128",
                         system_config="A", memory_mode="B", blocks=1, operators=operators, latency=latency)


def test_all_on_the_npu_takes_what_vela_says():
    work = workload(macs=1000)
    found = compiled(WIDE, "npu")
    assert whole_latency(left_to_cpu(work, found), micro_profile(), found) == (WIDE, "")


def test_the_cpu_s_part_is_added_end_by_end():
    # 1,000 MACs take 1 ms [0.5, 2] at level 0.8 on this profile
    found = compiled(WIDE, "cpu")
    figure, missing = whole_latency(left_to_cpu(workload(macs=1000), found), micro_profile(), found)
    assert missing == ""
    assert figure.value == pytest.approx(3.0)
    assert figure.interval == pytest.approx((1.5, 6.0))
    assert figure.level == 0.8
    assert "1 CONV_2D" in figure.method


def test_without_an_error_of_vela_the_sum_has_none():
    found = compiled(BARE, "cpu")
    figure, _ = whole_latency(left_to_cpu(workload(macs=1000), found), micro_profile(), found)
    assert figure.value == pytest.approx(3.0)
    assert figure.interval is None


def test_what_the_cpu_takes_longer_for_is_named_where_it_cannot_be_predicted():
    found = compiled(WIDE, "cpu")
    work = workload(operator="COS")
    work = work.model_copy(update={"operators": (work.operators[0].model_copy(update={"kernel": "other"}),)})
    figure, missing = whole_latency(left_to_cpu(work, found), micro_profile(), found)
    assert figure is None
    assert missing.startswith("2 ms on the NPU by Vela 5.2.0, but the time of what stays on the CPU (1 COS) is not")


def test_nothing_on_the_npu_has_no_latency_of_its_own():
    found = compiled(None, "cpu")
    assert whole_latency(left_to_cpu(workload(), found), micro_profile(), found) == (None, "nothing runs on the NPU")
