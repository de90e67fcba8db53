from __future__ import annotations

import hashlib

import pytest

from device_profiles.tflite import read_tflite
from stages import compile as stage
from stages.compile import Options, compile_model, next_step, why_nothing
from stages.context import StageContext
from stages.npu.vela import Failure
from stages.records.npu import NpuMemory
from tests.device_profiles.handmade import conv_model
from tests.stages.npu.small import int8_model, npu


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """Artifact folder and result of a model whose middle operator Vela leaves to the CPU; all names are one."""
    folder = tmp_path_factory.mktemp("compile")
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    (folder / "in" / "model.tflite").write_bytes(int8_model("COS", names=("same", "same", "last")))
    context = StageContext(out=folder / "out", scratch=folder, log=folder / "log.txt")
    return folder / "out", stage.run(tflite=folder / "in", options=Options(npu=npu(uncertainty_factor=2.0)),
                                     context=context)


def test_vela_says_who_runs_what_and_why(compiled):
    _, result = compiled
    assert result.status == "ok"
    assert [(one.operator, one.on, one.why) for one in result.operators] == [
        ("CONV_2D", "npu", ""), ("COS", "cpu", "Unsupported opType"), ("CONV_2D", "npu", "")]
    assert result.blocks == 2
    assert [one.macs for one in result.operators] == [4096, 0, 4096]
    assert sum(one.cycles for one in result.operators) == result.cycles.total


def test_the_latency_is_cycles_over_clock_with_the_profile_s_factor(compiled):
    _, result = compiled
    assert result.clock_hz == 500e6
    assert result.latency.value == pytest.approx(result.cycles.total / 500e6 * 1e3)
    assert result.latency.interval == pytest.approx((result.latency.value / 2, result.latency.value * 2))
    assert result.latency.provenance == "predicted"
    assert result.latency.method.startswith("Vela 5.2.0 for ethos-u55-128")


def test_the_compiled_model_is_kept_with_vela_s_words(compiled):
    out, result = compiled
    content = (out / "model.tflite").read_bytes()
    assert (result.tflite_bytes, result.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert [op.label for op in read_tflite(content).graphs[0].operators] == [
        "CUSTOM 'ethos-u'", "COS", "CUSTOM 'ethos-u'"]
    assert "NPU operators" in (out / "vela.txt").read_text()


def test_the_sram_is_that_of_the_arena_in_the_file(compiled):
    # two activations of 512 bytes live at the same time: input and output of each operator
    assert compiled[1].memory == NpuMemory(sram=1024, dram=0, on_chip_flash=0, off_chip_flash=208)


def test_the_same_model_gives_the_same_bytes(compiled):
    again, said = compile_model(int8_model("COS", names=("same", "same", "last")),
                                Options(npu=npu(uncertainty_factor=2.0)))
    assert again == compiled[1]
    assert said.compiled == (compiled[0] / "model.tflite").read_bytes()


def test_without_a_factor_of_the_profile_the_latency_has_no_interval():
    found = stage._latency(1.0, npu())
    assert found.interval is None
    assert found.method.endswith("Shared_Sram; Vela states no error")


def test_the_profile_s_overhead_is_added_before_its_factor():
    found = stage._latency(1.0, npu(overhead_s=5e-4, uncertainty_factor=3.0))
    assert found.value == pytest.approx(1.5)
    assert found.interval == pytest.approx((0.5, 4.5))
    assert "0.5 ms for each inference" in found.method


def test_a_float_model_is_passed_over_and_nothing_is_written(tmp_path):
    (tmp_path / "model.tflite").write_bytes(conv_model())
    out = tmp_path / "out"
    out.mkdir()
    result = stage.run(tflite=tmp_path, options=Options(npu=npu()),
                       context=StageContext(out=out, scratch=tmp_path, log=tmp_path / "log.txt"))
    assert result.status == "skipped"
    assert result.message == "it computes in float32, and the NPU in int8 and int16x8 alone"
    assert result.provisional == result.warnings == ()
    assert list(out.iterdir()) == []


def test_narrow_weights_and_packed_ones_are_not_given_to_vela():
    from device_profiles.workload import read_workload

    work = read_workload(int8_model())
    op = work.operators[0]
    narrow = op.model_copy(update={"inputs": (op.inputs[0], op.inputs[1].model_copy(update={"dtype": "int4"}))})
    packed = op.model_copy(update={"name": "CUSTOM", "custom_code": "TFLM_DECODE"})
    assert why_nothing(work) == ""
    assert "4 bits" in why_nothing(work.model_copy(update={"operators": (narrow,)}))
    assert "packed" in why_nothing(work.model_copy(update={"operators": (op, packed)}))


@pytest.mark.parametrize(("status", "again"), [("crashed", True), ("timeout", True), ("unavailable", True),
                                               ("refused", False)])
def test_a_failure_is_told_with_what_to_do_and_tried_again_where_it_may_pass(monkeypatch, status, again):
    monkeypatch.setattr(stage, "compile_in", lambda *_: Failure(status=status, message="as it said"))
    result, said = compile_model(int8_model(), Options(npu=npu()))
    assert said is None
    assert (result.status, bool(result.provisional)) == (status, again)
    assert result.warnings == (f"as it said; next: {next_step(status)}",)
    assert next_step(status)
