from __future__ import annotations

import json
import re

import pytest

from device_profiles.errors import StageError, TfliteError, UsageError
from pipeline import doctor
from pipeline.calls import Call
from pipeline.compiling import compile_file, describe
from pipeline.config import RunConfig, from_mapping
from pipeline.plan import build
from pipeline.session import Session
from stages import compile as stage
from stages.npu import configuration
from stages.npu.vela import Failure, Said
from tests.device_profiles.handmade import conv_model
from tests.pipeline.plans import AROUND, keys
from tests.stages.npu.small import int8_model
from tests.stages.npu.test_reading import COLUMNS

ROWS = "Op Cycles,MAC Count,Name\n576,4096,first\n576,4096,last\n"
WORDS = "Warning (supported operators) operator: COS, ofm: 'middle'\nReason: Unsupported opType\n"



@pytest.fixture
def vela(monkeypatch):
    """In Vela's place: leaves the middle operator to the CPU and says what `COLUMNS` hold."""
    left = int8_model("COS", names=("npu1", "middle", "npu2"))
    summary = f"{','.join(COLUMNS)}\n{','.join(COLUMNS.values())}\n"
    monkeypatch.setattr(stage, "compile_in", lambda *_: Said(compiled=left, words=WORDS, summary=summary,
                                                             per_operator=ROWS))


@pytest.fixture
def given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given.tflite").write_bytes(int8_model("COS"))
    return tmp_path / "given.tflite"


def compile_calls(plan) -> dict[str, Call]:
    return {label: plan.calls[label] for label in plan.of_stage("compile")}


# -- in a run ----------------------------------------------------------------------------------------------------------


def test_a_plan_without_an_npu_compiles_nothing_and_gives_check_nothing_new(default):
    assert default.of_stage("compile") == []
    assert set(default.calls["check"].inputs) == {"tflites", "evaluations", "benchmark"}


def test_every_variant_is_compiled_for_every_profile_with_an_npu():
    plan = build(from_mapping({"variants": ["float32", "int8"],
                               "profiles": ["cpu", "corstone-300", "imx93-ethos-u65"]}), AROUND)
    names = ["float32@corstone-300", "int8@corstone-300", "float32@imx93-ethos-u65", "int8@imx93-ethos-u65"]
    assert list(compile_calls(plan)) == [f"compile:{name}" for name in names]
    assert plan.calls["compile:int8@corstone-300"].inputs == {"tflite": "convert:int8"}
    for stage_name in ("check", "report"):
        assert list(plan.calls[stage_name].inputs["compilations"]) == names


def test_what_a_variant_is_compiled_to_depends_on_the_npu_and_not_on_limits(tmp_path):
    import device_profiles

    shipped = (tmp_path.__class__(device_profiles.__file__).parent / "profiles" / "corstone-300.yaml").read_text()

    def planned(text: str):
        (tmp_path / "board.yaml").write_text(text)
        return keys(build(from_mapping({"variants": ["int8"], "profiles": [str(tmp_path / "board.yaml")]}), AROUND))

    label = "compile:int8@corstone-300"
    before = planned(shipped)[label]
    assert planned(shipped.replace("accuracy_drop_points: 2", "accuracy_drop_points: 3"))[label] == before
    assert planned(shipped.replace("value: ethos-u55-128", "value: ethos-u55-256"))[label] != before


def test_an_npu_that_vela_does_not_know_is_refused_before_anything_runs(tmp_path):
    import device_profiles

    shipped = (tmp_path.__class__(device_profiles.__file__).parent / "profiles" / "corstone-300.yaml").read_text()
    (tmp_path / "board.yaml").write_text(shipped.replace("value: Shared_Sram", "value: Shared_Ram"))
    with pytest.raises(UsageError, match="did you mean 'Shared_Sram'"):
        build(from_mapping({"profiles": [str(tmp_path / "board.yaml")]}), AROUND)


def test_compile_without_an_npu_among_the_profiles_says_what_to_type(tmp_path):
    with pytest.raises(UsageError, match="none of the profiles has an NPU: cpu") as caught:
        Session(RunConfig(profiles=("cpu",)), tmp_path / "runs", tmp_path / "store").plan("compile")
    assert caught.value.next_step == "litesmith compile --profile corstone-300"


@pytest.mark.parametrize(("version", "said", "good"), [
    (None, "not installed", False), ("5.2.0", "5.2.0", True), ("4.0.0", "4.0.0, tested with 5.2.0", False)])
def test_the_doctor_tells_whether_vela_is_there_and_what_installs_it(monkeypatch, version, said, good):
    monkeypatch.setattr(configuration, "vela_version", lambda: version)
    check = doctor._vela()
    assert (check.found, check.good, check.needed) == (said, good, False)
    assert check.mend == ("" if good else "pip install ethos-u-vela==5.2.0")


# -- one file ----------------------------------------------------------------------------------------------------------


def test_a_file_is_compiled_and_what_is_shipped_is_written_beside(given, vela):
    found = compile_file(given, "imx93-ethos-u65", None)
    assert found.output == "given@imx93-ethos-u65.tflite"
    assert (given.parent / found.output).read_bytes() == int8_model("COS", names=("npu1", "middle", "npu2"))
    assert [one.on for one in found.result.operators] == ["npu", "cpu", "npu"]


def test_the_lines_say_who_runs_what_why_and_what_it_takes(given, vela):
    lines = describe(compile_file(given, "corstone-300", None))
    text = "\n".join(lines)
    assert "sram                       1,536 bytes of 2,095,104" in text
    assert "cycles total               1,152" in text
    assert re.search(r"^1 +COS +cpu +0 +0 +Unsupported opType$", text, re.MULTILINE)
    assert any(line.startswith("latency") for line in lines)


def test_a_float_file_is_refused_with_what_to_compile_instead(given):
    given.write_bytes(conv_model())
    with pytest.raises(StageError, match=r"given\.tflite was not compiled for corstone-300: it computes in") as caught:
        compile_file(given, "corstone-300", None)
    assert "int8" in caught.value.next_step
    assert not (given.parent / "given@corstone-300.tflite").exists()


def test_a_crash_of_vela_is_told_in_its_words(given, monkeypatch):
    monkeypatch.setattr(stage, "compile_in", lambda *_: Failure(status="crashed", message="ended by SIGFPE"))
    with pytest.raises(StageError, match="ended by SIGFPE"):
        compile_file(given, "corstone-300", None)


def test_the_model_itself_is_never_written_over(given):
    with pytest.raises(UsageError, match="is the tflite model itself"):
        compile_file(given, "corstone-300", given)


def test_a_damaged_file_and_a_missing_one_are_named(given):
    given.write_bytes(b"no model")
    with pytest.raises(TfliteError, match=r"given\.tflite: "):
        compile_file(given, "corstone-300", None)
    with pytest.raises(UsageError, match="no such file"):
        compile_file(given.with_name("other.tflite"), "corstone-300", None)


# -- typed -------------------------------------------------------------------------------------------------------------


def test_compile_prints_one_document_with_json(typed, given, vela):
    done = typed("compile", "given.tflite", "--profile", "corstone-300", "--json", folder=given.parent)
    assert done.code == 0
    found, = json.loads(done.out)
    assert found["result"]["cycles"]["total"] == 1152
    assert found["output"] == "given@corstone-300.tflite"


@pytest.mark.parametrize(("words", "said"), [
    (("given.tflite",), "which NPU?"), (("given.tflite", "--profile", "iot"), "has no NPU"),
    (("given.tflite", "--profile", "corstone-30"), "did you mean 'corstone-300'"), (("-o", "x.tflite"), "goes with a"),
    (("given.tflite", "--profile", "a", "--profile", "b", "-o", "x"), "several profiles")],
    ids=["no-profile", "no-npu", "near-miss", "output-of-a-run", "one-output-for-two"])
def test_wrong_words_are_answered_with_code_2(typed, given, words, said):
    done = typed("compile", *words, folder=given.parent)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
