from __future__ import annotations

import pytest

from device_profiles.records import Figure
from device_profiles.schema import Profile
from stages.checking.fit import Subject, fit
from stages.checking.npu import judge_npu, runs_on_npu, shipped_bytes
from stages.records import EngineEvaluation
from stages.records.npu import CompileResult, NpuCycles, NpuMemory, NpuOperator
from tests.stages.sample_profiles import fact, micro_profile, workload

NPU = {"accelerator": fact("ethos-u55-128"), "system_config": fact("A"), "memory_mode": fact("B"),
       "sram_bytes": fact(4096)}
RAN = EngineEvaluation(engine="tflm", engine_version="dev", status="ok")
WIDE = Figure(value=2.0, unit="ms", provenance="predicted", interval=(1.0, 4.0), level=0.8, method="Vela")


def profile(**limits: float) -> Profile:
    plain = micro_profile(**limits)
    return Profile.model_validate(plain.model_dump(by_alias=True) | {"npu": NPU})


def compiled(on: str = "npu", sram: int = 3000, dram: int = 0, **more: object) -> CompileResult:
    operator = NpuOperator(index=0, operator="CONV_2D", output="x", on=on, why="" if on == "npu" else "too wide")
    return CompileResult.model_validate({
        "summary": "", "status": "ok", "compiler": "Vela 5.2.0", "accelerator": "ethos-u55-128", "system_config": "A",
        "memory_mode": "B", "clock_hz": 5e8, "tflite_bytes": 700, "sha256": "0", "blocks": 1, "operators": (operator,),
        "cycles": NpuCycles(npu=1, sram=0, dram=0, on_chip_flash=0, off_chip_flash=0, total=1),
        "memory": NpuMemory(sram=sram, dram=dram, on_chip_flash=0, off_chip_flash=500), "latency": WIDE, **more})


def held(found: CompileResult | None, **limits: float) -> dict:
    subject = Subject(name="int8", tflite_bytes=1000, workload=workload(macs=1000), evaluated={}, measured={},
                      compiled={"micro": found} if found else {})
    return {limit.limit: limit for limit in fit(subject, profile(**limits)).check.limits}


def test_the_shipped_bytes_are_those_of_the_compiled_file():
    assert held(compiled(), tflite_bytes=800)["tflite_bytes"].found.value == 700
    assert held(compiled())["flash_bytes"].found.value == 700


def test_sram_is_held_against_the_npu_s_and_against_the_ram_that_is_free():
    fits, over = held(compiled(sram=4096)), held(compiled(sram=4097))
    assert fits["npu_sram_bytes"].verdict == "pass"
    assert (over["npu_sram_bytes"].verdict, over["npu_sram_bytes"].found.value) == ("fail", 4097)
    assert fits["ram_bytes"].allowed == 8192


def test_with_dedicated_sram_the_ram_holds_the_dram_of_the_plan():
    found = held(compiled(sram=100, dram=9000))
    assert found["npu_sram_bytes"].verdict == "pass"
    assert (found["ram_bytes"].verdict, found["ram_bytes"].found.value) == ("fail", 9000)


def test_the_latency_is_vela_s_and_undecided_where_the_bound_lies_inside_its_interval():
    assert held(compiled(), latency_median_ms=4.5)["latency_median_ms"].verdict == "pass"
    assert held(compiled(), latency_median_ms=3.0)["latency_median_ms"].verdict == "undecided"
    assert held(compiled(), latency_median_ms=0.9)["latency_median_ms"].verdict == "fail"


def test_a_latency_without_an_error_decides_nothing_not_even_a_p90():
    bare = compiled(latency=WIDE.model_copy(update={"interval": None}))
    found = held(bare, latency_median_ms=0.5, latency_p90_ms=0.5)
    assert found["latency_median_ms"].verdict == "undecided"
    assert "without a stated error" in found["latency_median_ms"].why
    assert found["latency_p90_ms"].verdict == "unknown"


def test_operators_on_the_npu_need_not_be_the_runtime_s():
    work = workload(operator="ATAN2")
    subject = Subject(name="int8", tflite_bytes=1000, workload=work, evaluated={}, measured={},
                      compiled={"micro": compiled()})
    verdicts = {limit.limit: limit for limit in fit(subject, profile()).check.limits}
    assert (verdicts["operators"].verdict, verdicts["operators"].found_text) == ("pass", "none on the CPU")
    on_cpu = subject.model_copy(update={"compiled": {"micro": compiled("cpu")}})
    assert {limit.limit: limit.verdict for limit in fit(on_cpu, profile()).check.limits}["operators"] == "fail"


@pytest.mark.parametrize(("status", "verdict"), [("refused", "fail"), ("crashed", "unknown"), ("timeout", "unknown"),
                                                 ("unavailable", "unknown")])
def test_what_vela_did_instead_of_compiling_is_said_in_its_words(status, verdict):
    found = judge_npu(compiled(status=status, message="as it said"))
    assert found.verdict == verdict
    assert found.why.startswith("Vela 5.2.0 ")
    assert found.why.endswith(": as it said")


def test_a_variant_that_was_not_compiled_is_unknown_and_a_float_one_runs_on_the_cpu():
    assert judge_npu(None).verdict == "unknown"
    skipped = compiled(status="skipped", message="it computes in float32", blocks=0)
    assert judge_npu(skipped).verdict == "pass"
    assert not runs_on_npu(skipped)
    assert shipped_bytes(skipped, 1000) == 1000
    assert held(skipped)["flash_bytes"].found.value == 1000
    assert "npu_sram_bytes" not in held(skipped)


def test_where_nothing_is_left_to_the_npu_the_plain_file_is_shipped():
    assert shipped_bytes(compiled("cpu", blocks=0), 1000) == 1000


def test_a_profile_without_an_npu_knows_nothing_of_it():
    subject = Subject(name="int8", tflite_bytes=1000, workload=workload(), evaluated={}, measured={},
                      compiled={"micro": compiled()})
    names = {limit.limit for limit in fit(subject, micro_profile()).check.limits}
    assert not {"npu", "npu_sram_bytes"} & names


@pytest.mark.parametrize("found", [None, compiled(status="crashed", message="ended by SIGFPE")],
                         ids=["not-compiled", "crashed"])
def test_without_a_compiled_model_the_core_s_own_latency_is_not_shown_for_it(found):
    verdict = held(found, latency_median_ms=50)["latency_median_ms"]
    assert verdict.verdict == "unknown"
    assert verdict.why == judge_npu(found).why


def test_a_float_model_takes_what_the_core_takes():
    # 1,000 MACs take 1 ms on the core of this profile
    verdict = held(compiled(status="skipped", blocks=0), latency_median_ms=50)["latency_median_ms"]
    assert (verdict.verdict, verdict.found.value) == ("pass", pytest.approx(1.0))


def test_the_smallest_is_the_one_whose_compiled_file_is():
    from stages.check import _check_profile

    def subject(name: str, plain: int, shipped: int) -> Subject:
        return Subject(name=name, tflite_bytes=plain, workload=workload(), evaluated={"tflm": RAN}, measured={},
                       compiled={"micro": compiled(tflite_bytes=shipped)})

    check = _check_profile([subject("int8", 900, 700), subject("pruned75-int8", 1000, 500)], profile(), "smallest",
                           required=True)
    assert check.winner == "pruned75-int8"
    assert "500 bytes" in check.reason
