"""Evaluation and benchmark at a target: a shell, a phone with Google's program, an emulated core, a lost device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_profiles.errors import TargetError, TargetLost
from stages import benchmark, evaluate
from stages.context import StageContext
from stages.engines import host
from stages.engines.targets.target import Target
from stages.records import BenchmarkResult
from tests.device_profiles.handmade import Handmade
from tests.stages.handmade_data import classes, write_data, write_tflite
from tests.stages.targets.adb_stand_in import StandIn
from tests.stages.targets.shell import Shell
from tests.stages.targets.test_benchmark_program import PRINTED
from tests.stages.targets.test_counting import Counted

SAMPLES = np.random.default_rng(5).normal(size=(40, 4)).astype(np.float32)
EXPECTED = np.exp(SAMPLES) / np.exp(SAMPLES).sum(axis=1, keepdims=True)
QUICK: dict[str, Any] = {"rounds": 5, "round_samples": 5, "warm_up_s": 0, "engines": ("litert",)}


@pytest.fixture
def artifacts(tmp_path: Path) -> dict[str, Path]:
    """Artifacts of convert (a softmax of four), prepare and baseline; every label is the largest output."""
    folders = {name: tmp_path / name for name in ("tflite", "data", "baseline")}
    write_data(folders["data"], SAMPLES, EXPECTED.argmax(axis=1).astype(np.int64), classes((4,), 4))
    folders["baseline"].mkdir()
    np.save(folders["baseline"] / "outputs.npy", EXPECTED)
    made = Handmade()
    x, y = made.activation((1, 4)), made.activation((1, 4))
    made.operator("SOFTMAX", [x], [y], "SoftmaxOptions", {"beta": 1.0})
    write_tflite(folders["tflite"], made.bytes([x], [y]))
    return folders


def at(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stages find this target whatever they ask for."""
    for stage in (benchmark, evaluate):
        monkeypatch.setattr(stage, "open_target", lambda text: target)


def measured(artifacts: dict[str, Path], context: StageContext, target: str) -> BenchmarkResult:
    options = benchmark.Options(target=target, **QUICK)
    return benchmark.run(tflites={"float32": artifacts["tflite"]}, data=artifacts["data"], options=options,
                         context=context)


def test_an_evaluation_there_gives_what_the_model_gives_and_says_where(
        artifacts: dict[str, Path], context: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(Shell(tmp_path), monkeypatch)
    options = evaluate.Options(engines=("litert", "tflm"), target="ssh:pi@pi")
    found = evaluate.run(**artifacts, options=options, context=context)
    assert found.target == "ssh:pi@pi"
    drop = found.engines["litert"].drop
    assert drop is not None
    assert (drop.value, drop.provenance) == (0.0, "measured")
    assert found.differences == {}
    np.testing.assert_allclose(np.load(context.out / "outputs_litert.npy"), EXPECTED, atol=1e-6)


def test_a_device_that_is_lost_in_mid_evaluation_fails_the_stage_and_a_second_try_goes_on(
        artifacts: dict[str, Path], context: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(tmp_path)
    at(shell, monkeypatch)
    options = evaluate.Options(engines=("litert",), target="ssh:pi@pi")
    shell.unplugged = lambda script: "sha256sum" in script and ".npy" in script
    with pytest.raises(TargetLost, match="the cable was pulled"):
        evaluate.run(**artifacts, options=options, context=context)
    shell.unplugged = lambda script: False
    assert evaluate.run(**artifacts, options=options, context=context).engines["litert"].status == "ok"


def test_a_device_that_is_not_there_fails_the_benchmark(artifacts: dict[str, Path], context: StageContext,
                                                        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(tmp_path)
    shell.unplugged = lambda script: True
    at(shell, monkeypatch)
    with pytest.raises(TargetError):
        measured(artifacts, context, "ssh:pi@pi")
    assert not (context.out / "samples.json").exists()


def test_a_benchmark_there_has_the_device_and_its_state_before_and_after(
        artifacts: dict[str, Path], context: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(Shell(tmp_path), monkeypatch)
    found = measured(artifacts, context, "ssh:pi@pi")
    run = found.variants["float32"]["litert"]
    assert run.median is not None
    assert (run.status, run.median.provenance, run.cpus) == ("ok", "measured", host.cores()[-1:])
    assert (found.target, found.host) == ("ssh:pi@pi", host.host())
    assert found.conditions is not None
    assert found.conditions.device.target == "ssh:pi@pi"
    assert found.conditions.before.boot_id == found.conditions.after.boot_id != ""


def test_a_phone_s_benchmark_is_of_the_means_that_google_s_program_prints(
        artifacts: dict[str, Path], context: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "phone").mkdir()
    phone = StandIn(tmp_path / "phone")
    program = tmp_path / "benchmark_model"
    program.write_text(f'#!/bin/sh\ncat <<"END" >&2\n{PRINTED}END\n')
    at(phone.target(benchmark_model=str(program)), monkeypatch)
    found = measured(artifacts, context, "adb")
    run = found.variants["float32"]["litert"]
    assert run.median is not None
    assert (run.median.value, run.median.provenance) == (pytest.approx(1.0205), "measured")
    assert run.median.method.startswith("of means of many inferences")
    assert (run.p90, run.rounds) == (None, 5)
    assert run.peak_memory is not None
    assert run.peak_memory.value == 4_718_592  # 4.5 MiB
    assert found.conditions is not None
    assert found.conditions.device.board == "Google Pixel 6"


def test_an_emulated_core_counts_instructions_and_shows_no_latency(
        artifacts: dict[str, Path], context: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(Counted(tmp_path), monkeypatch)
    found = measured(artifacts, context, "emulated:max")
    run = found.variants["float32"]["litert"]
    assert run.instructions is not None
    assert (run.instructions.value, run.instructions.provenance) == (1000, "emulated")
    assert (run.median, run.minimum, run.load, run.peak_memory) == (None, None, None, None)
    assert found.summary == "1 of 1 counted"


def test_more_variants_than_a_device_bears_are_measured_in_several_goes(
        artifacts: dict[str, Path], context: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(tmp_path)
    shell.most_workers = 1
    at(shell, monkeypatch)
    folders = dict.fromkeys(("one", "two"), artifacts["tflite"])
    found = benchmark.run(tflites=folders, data=artifacts["data"], context=context,
                          options=benchmark.Options(target="ssh:pi@pi", **QUICK))
    assert [found.variants[name]["litert"].status for name in folders] == ["ok", "ok"]


def test_settings_refuse_a_target_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="no target 'pi'"):
        benchmark.Settings(target="pi")
