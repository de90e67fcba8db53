from __future__ import annotations

import pytest

from device_profiles.errors import StageError
from stages.npu.reading import NO_REASON, cycles_by_output, cycles_of, memory_of, operators_of, reasons_of, summary
from stages.npu.vela import Said
from stages.records.npu import NpuCycles, NpuMemory
from tests.stages.npu.small import int8_model

COLUMNS = {"core_clock": "5e8", "nn_macs": "8192", "cycles_npu": "1152", "cycles_total": "1152",
           "cycles_sram_access": "256", "cycles_dram_access": "0", "cycles_on_chip_flash_access": "0",
           "cycles_off_chip_flash_access": "416", "sram_memory_used": "1.5", "dram_memory_used": "0.0",
           "on_chip_flash_memory_used": "0.0", "off_chip_flash_memory_used": "0.203125"}
WORDS = """Warning: something else
Warning (supported operators) operator: RELU, ofm: 'first'
Reason: Operation has tensor with unsupported DataType Float32 (x)
Feature-map dataTypes must be one of {"INT8"}

Warning (supported operators) operator: COS, ofm: 'it's middle'
Reason: Unsupported opType

Warning (supported operators) operator: CONV_2D, ofm: 'first'
Reason: Unsupported opType
"""
PER_OPERATOR = """Original Operator,NNG Operator,Op Cycles,MAC Count,Name
Conv2D,Conv2D,500,4096,first
Conv2D,Relu,0,0,first
Softmax,MaxPool,30,0,first_softmax_0
Softmax,Sub,12,1,first_softmax_1
Softmax,Asr,8,0,last
Softmax,Copy,5,0,last_tail
"""


def said(compiled=b"", words="", per_operator="", columns=COLUMNS):
    text = f"{','.join(columns)}\n{','.join(columns.values())}\n"
    return Said(compiled=compiled, words=words, summary=text, per_operator=per_operator)


def test_cycles_and_memory_are_read_from_the_summary():
    row = summary(said())
    assert cycles_of(row) == NpuCycles(npu=1152, sram=256, dram=0, on_chip_flash=0, off_chip_flash=416, total=1152)
    assert memory_of(row) == NpuMemory(sram=1536, dram=0, on_chip_flash=0, off_chip_flash=208)


def test_a_summary_of_another_form_is_refused_with_the_columns_that_are_needed():
    with pytest.raises(StageError, match="another form") as caught:
        summary(said(columns={"network": "x"}))
    assert "cycles_total" in caught.value.allowed


def test_reasons_are_found_by_output_and_said_once():
    found = reasons_of(WORDS)
    assert found["it's middle"] == "Unsupported opType"
    assert found["first"] == ('Operation has tensor with unsupported DataType Float32 (x); Feature-map dataTypes must '
                              'be one of {"INT8"}; Unsupported opType')


def test_invented_steps_count_to_the_operator_whose_output_they_end_in():
    assert cycles_by_output(PER_OPERATOR, {"first", "last"}) == {"first": (500, 4096), "last": (55, 1)}


def test_without_rows_nothing_has_cycles():
    assert cycles_by_output("", {"first"}) == {}


def test_an_operator_is_on_the_cpu_when_its_output_is_still_written_there():
    # stands for a compiled model in which the first convolution is left, and nothing is the NPU's
    left = int8_model(names=("first", "middle", "other"))
    rows = "Op Cycles,MAC Count,Name\n7,4,first\n9,5,middle\n11,6,last\n"
    found, blocks = operators_of(int8_model("COS"), said(left, WORDS, rows))
    assert blocks == 0
    assert [(one.operator, one.on, one.cycles, one.macs) for one in found] == [
        ("CONV_2D", "cpu", 0, 0), ("COS", "npu", 9, 5), ("CONV_2D", "npu", 11, 6)]
    assert found[0].why.startswith("Operation has tensor")


def test_an_operator_that_vela_leaves_without_a_word_says_so():
    found, _ = operators_of(int8_model(), said(int8_model()))
    assert {one.why for one in found} == {NO_REASON}
