"""The check stage on real tflite models: verdicts, picks, files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from device_profiles.errors import StageError, StoreError, TfliteError, UsageError
from device_profiles.loader import load_profile
from stages import check
from stages.context import StageContext
from stages.records import BenchmarkResult, CheckResult, EngineEvaluation, EvaluateResult
from tests.stages.sample_profiles import measured_profile, micro_profile
from tests.stages.sample_run import figure, latency, metrics, sources


@pytest.fixture
def artifacts(tmp_path: Path, tiny_tflites: dict[str, bytes]) -> dict[str, object]:
    """Artifacts of two variants: `int8` is twice as fast as `float32` in litert; the evaluation is the same.

    So small a model grows as int8: its quantization parameters weigh more than its weights.
    """
    folders: dict[str, dict[str, Path]] = {"tflites": {}, "evaluations": {}}
    host = sources().benchmark.host
    measured = {}
    for name, median in (("float32", 1.0), ("int8", 0.5)):
        run = EngineEvaluation(engine="litert", engine_version="2.3.0", status="ok", metrics=metrics(354),
                               drop=figure(0.2, "points", samples=360, spread=0.1))
        tflm = run.model_copy(update={"engine": "tflm"})
        result = EvaluateResult(summary="", engines={"litert": run, "tflm": tflm})
        for kind, places in folders.items():
            places[name] = tmp_path / f"{kind}-{name}"
            places[name].mkdir()
        (folders["tflites"][name] / "model.tflite").write_bytes(tiny_tflites[name])
        (folders["evaluations"][name] / "result.json").write_text(result.model_dump_json())
        measured[name] = {"litert": latency(median, "litert", "2.3.0"), "tflm": latency(9.0, "tflm", "dev", 2000)}
    benchmark = tmp_path / "benchmark"
    benchmark.mkdir()
    (benchmark / "result.json").write_text(BenchmarkResult(summary="", host=host, variants=measured).model_dump_json())
    return {**folders, "benchmark": benchmark}


def _run(artifacts: dict[str, object], context: StageContext, **options: object) -> CheckResult:
    return check.run(**artifacts, options=check.Options.model_validate(options), context=context)  # type: ignore[arg-type]


def test_the_smallest_that_passes_wins_and_the_reason_counts_its_bytes(
        artifacts: dict[str, object], context: StageContext, tiny_tflites: dict[str, bytes]) -> None:
    result = _run(artifacts, context, profiles=(measured_profile(latency_median_ms=2),))
    found = result.profiles["here"]
    assert (found.winner, result.fits) == ("float32", True)
    assert found.reason == f"float32: {len(tiny_tflites['float32']):,} bytes, the smallest of 2 that pass."
    assert found.picks == {"smallest": "float32", "fastest": "int8", "most-accurate": "float32"}
    assert result.summary == "1 of 1 profile has a variant that fits: here float32"


def test_the_choice_decides_the_winner(artifacts: dict[str, object], context: StageContext) -> None:
    assert _run(artifacts, context, profiles=(measured_profile(),), choice="fastest").profiles["here"].winner == "int8"


def test_the_mean_over_several_outputs_decides_which_is_most_accurate(artifacts: dict[str, dict[str, Path]],
                                                                      context: StageContext) -> None:
    for name, second in (("float32", 300), ("int8", 310)):
        path = artifacts["evaluations"][name] / "result.json"
        result = EvaluateResult.model_validate_json(path.read_text())
        first = result.engines["litert"].metrics
        assert first is not None
        several = result.engines["litert"].model_copy(update={"outputs": {"a": first, "b": metrics(second)}})
        path.write_text(result.model_copy(update={"engines": {"litert": several}}).model_dump_json())
    found = _run(artifacts, context, profiles=(measured_profile(),), choice="most-accurate")  # type: ignore[arg-type]
    mean = (354 + 310) / 2 / 360
    assert found.profiles["here"].reason == (
        f"int8: {100 * mean:.1f} % (measured), the most-accurate of 2 that pass.")


def test_a_board_that_takes_int8_alone_refuses_float32_by_format(artifacts: dict[str, object],
                                                                 context: StageContext) -> None:
    profile = load_profile("iot").model_copy(update={"formats": micro_profile().formats})
    found = _run(artifacts, context, profiles=(profile,)).profiles["iot"]
    assert found.variants["float32"].verdict == "fail"
    assert {limit.limit: limit.verdict for limit in found.variants["float32"].limits}["formats"] == "fail"
    assert found.latency["float32"] is None


def test_a_required_profile_without_a_winner_does_not_fit_and_the_nearest_miss_is_told(
        artifacts: dict[str, object], context: StageContext) -> None:
    profiles = (measured_profile(tflite_bytes=100),)
    result = _run(artifacts, context, profiles=profiles)
    assert (result.fits, result.profiles["here"].winner) == (False, None)
    assert "Nearest is float32, fail on tflite_bytes" in result.profiles["here"].reason
    assert _run(artifacts, context, profiles=profiles, require=[]).fits


def test_limits_of_the_run_file_replace_those_of_the_profile(artifacts: dict[str, object],
                                                             context: StageContext) -> None:
    profile = measured_profile(tflite_bytes=100)
    assert _run(artifacts, context, profiles=(profile,), limits={"here": {"tflite_bytes": 100_000}}).fits
    assert _run(artifacts, context, profiles=(profile,), limits={"here": {"tflite_bytes": None}}).fits


def test_a_name_of_no_checked_profile_is_refused_with_the_near_miss(artifacts: dict[str, object],
                                                                    context: StageContext) -> None:
    with pytest.raises(UsageError, match=r"check\.require names the profile 'hera'.*did you mean 'here'"):
        _run(artifacts, context, profiles=(measured_profile(),), require=["hera"])
    with pytest.raises(UsageError, match="unknown limit 'tflite_byte'; did you mean 'tflite_bytes'"):
        _run(artifacts, context, profiles=(measured_profile(),), limits={"here": {"tflite_byte": 3}})


def test_a_variant_without_an_evaluation_is_an_error_that_names_it(artifacts: dict[str, object],
                                                                   context: StageContext) -> None:
    with pytest.raises(StageError, match="variant 'float32' has no evaluation"):
        _run(artifacts | {"evaluations": {}}, context, profiles=(measured_profile(),))


def test_a_truncated_tflite_model_and_a_damaged_result_are_errors(artifacts: dict[str, dict[str, Path]],
                                                                  context: StageContext) -> None:
    path = artifacts["tflites"]["int8"] / "model.tflite"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(TfliteError):
        _run(artifacts, context, profiles=(measured_profile(),))  # type: ignore[arg-type]
    (artifacts["evaluations"]["float32"] / "result.json").write_text("{}")
    with pytest.raises(StoreError, match="is not a EvaluateResult"):
        _run(artifacts, context, profiles=(measured_profile(),))  # type: ignore[arg-type]


def test_verdicts_json_holds_a_row_for_each_limit_and_junit_a_case(artifacts: dict[str, object],
                                                                   context: StageContext) -> None:
    result = _run(artifacts, context, profiles=(measured_profile(tflite_bytes=100), micro_profile()))
    count = sum(len(one.limits) for profile in result.profiles.values() for one in profile.variants.values())
    rows = json.loads((context.out / "verdicts.json").read_text())
    assert len(rows) == count
    assert rows[3] == {
        "profile": "here", "variant": "float32", "limit": "tflite_bytes", "verdict": "fail", "provenance": "measured",
        "allowed": 100.0, "allowed_text": "at most 100 bytes", "found_text": rows[3]["found_text"],
        "found": rows[3]["found"], "why": rows[3]["why"], "deciding_samples": None,
        "deciding_rounds": None}
    root = ElementTree.parse(context.out / "junit.xml").getroot()
    assert root.get("tests") == str(count)
    assert len(root.findall("testsuite")) == 4


def test_the_same_inputs_give_the_same_bytes(artifacts: dict[str, object], context: StageContext) -> None:
    files = []
    for _ in range(2):
        _run(artifacts, context, profiles=(measured_profile(tflite_bytes=100),))
        files.append({path.name: path.read_bytes() for path in context.out.iterdir()})
    assert files[0] == files[1]


def test_another_engine_version_than_the_profile_names_is_a_warning(artifacts: dict[str, object],
                                                                    context: StageContext) -> None:
    profile = measured_profile()
    older = profile.model_copy(update={"engine": profile.engine.model_copy(update={"version": "1.0"})})
    assert _run(artifacts, context, profiles=(older,)).warnings == (
        "profile here names litert 1.0; measured with 2.3.0",)
    elsewhere = older.model_copy(update={"target": "ssh:pi@zero"})
    assert not any("measured with" in each for each in _run(artifacts, context, profiles=(elsewhere,)).warnings)
    assert _run(artifacts, context, profiles=(profile,)).warnings == ()


def test_a_device_that_could_be_measured_and_was_not_is_a_warning_with_the_command(
        artifacts: dict[str, object], context: StageContext) -> None:
    pi = measured_profile().model_copy(update={"target": "ssh:pi@zero"})
    assert _run(artifacts, context, profiles=(pi,)).warnings == (
        "profile here names the target ssh:pi@zero, where nothing was measured (only on this host); litesmith "
        "benchmark measures there unless benchmark.devices is false",)
    assert _run(artifacts, context, profiles=(measured_profile(),)).warnings == ()


def test_each_profile_is_held_against_its_own_device(artifacts: dict[str, object], context: StageContext,
                                                     tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    runs = {name: {"litert": latency(median, "litert", "2.2.0")} for name, median in (("float32", 8.0), ("int8", 3.0))}
    host = sources().benchmark.host
    (there / "result.json").write_text(
        BenchmarkResult(summary="", host=host, target="ssh:pi@zero", variants=runs).model_dump_json())
    here = measured_profile(latency_median_ms=2)
    pi = measured_profile(latency_median_ms=5).model_copy(update={"name": "pi", "target": "ssh:pi@zero"})
    result = _run({**artifacts, "devices": {"pi": there}}, context, profiles=(here, pi))
    found = {name: {variant: figure.value for variant, figure in check.latency.items() if figure is not None}
             for name, check in result.profiles.items()}
    assert found == {"here": {"float32": 1.0, "int8": 0.5}, "pi": {"float32": 8.0, "int8": 3.0}}
    assert (result.profiles["here"].winner, result.profiles["pi"].winner) == ("float32", "int8")
    assert result.warnings == ("profile pi names litert 2.3.0; measured with 2.2.0",)
