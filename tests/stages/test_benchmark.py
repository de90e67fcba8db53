"""The benchmark stage on real engines, and what it does when a model or an engine fails."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from device_profiles.errors import EngineCrash, StageError, StoreError
from stages import benchmark
from stages.benchmarking import trial as trials
from stages.benchmarking.settings import pinned
from stages.context import StageContext
from stages.datasets.prepared import Preprocessing, write_preprocessing
from stages.engines import host, registry
from stages.engines.client import EngineWorker
from stages.records import ConvertResult, TensorSpec
from tests.stages import two_by_two

QUICK = benchmark.Options(rounds=6, round_samples=20, warm_up_s=0.05)


@pytest.fixture
def data(tmp_path: Path, tiny_samples: np.ndarray) -> Path:
    """A prepare artifact."""
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "x_test.npy", tiny_samples)
    spec = TensorSpec(shape=(6, 6, 2), dtype="float32")
    write_preprocessing(tmp_path / "data", Preprocessing(inputs={"input": spec}))
    return tmp_path / "data"


def artifacts(tmp_path: Path, contents: dict[str, bytes]) -> dict[str, Path]:
    """Convert artifacts."""
    for name, content in contents.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.tflite").write_bytes(content)
        result = ConvertResult(summary=name, format=name, converter="a test", tflite_bytes=len(content), sha256="0")
        (tmp_path / name / "result.json").write_text(result.model_dump_json())
    return {name: tmp_path / name for name in contents}


@pytest.fixture
def two(tmp_path: Path, tiny_tflites: dict[str, bytes]) -> dict[str, Path]:
    """Two variants, of which tflm takes one."""
    return artifacts(tmp_path, {name: tiny_tflites[name] for name in ("float16", "int8")})


def test_every_variant_is_measured_in_every_engine(two: dict[str, Path], data: Path, context: StageContext) -> None:
    result = benchmark.run(tflites=two, data=data, options=QUICK, context=context)
    assert result.host == host.host()
    assert [(name, list(found)) for name, found in result.variants.items()] == [
        (name, list(registry.ENGINES)) for name in two]
    found = result.variants["int8"]["tflm"]
    assert (found.status, found.rounds, found.threads, found.cpus) == ("ok", 6, 1, (max(os.sched_getaffinity(0)),))
    assert found.engine_version == registry.engine_info("tflm").version
    assert found.median is not None
    assert (found.median.samples, found.median.unit, found.median.provenance) == (120, "ms", "measured")
    assert found.p90 is not None
    assert found.p99 is None  # 120 samples leave one beyond it
    assert found.minimum is not None
    assert found.minimum.value <= found.median.value <= found.p90.value
    assert found.throughput is not None
    assert 0 < found.throughput.value <= 1e3 / found.minimum.value  # of the mean, which a busy machine makes long
    assert [figure.samples for figure in (found.load, found.first_inference, found.peak_memory) if figure] == [1, 1, 1]
    assert len(found.deciles_ms) == 11


def test_a_refusal_is_the_variants_own_and_not_provisional(two: dict[str, Path], data: Path,
                                                           context: StageContext) -> None:
    result = benchmark.run(tflites=two, data=data, options=QUICK, context=context)
    refused = result.variants["float16"]["tflm"]
    assert (refused.status, refused.median) == ("refused", None)
    assert "DEQUANTIZE" in refused.message
    assert result.variants["float16"]["litert"].status == "ok"
    assert result.provisional == ()
    assert result.summary.startswith("5 of 6 measured, fastest ")


def test_raw_samples_are_kept_in_order_by_round(two: dict[str, Path], data: Path, context: StageContext) -> None:
    result = benchmark.run(tflites=two, data=data, options=QUICK, context=context)
    kept = json.loads((context.out / "samples.json").read_text())
    assert kept["unit"] == "ms"
    rounds = kept["samples"]["int8"]["litert"]
    assert [len(each) for each in rounds] == [20] * 6
    median = result.variants["int8"]["litert"].median
    assert median is not None
    assert np.median(np.concatenate(rounds)) == pytest.approx(median.value)
    assert kept["samples"]["float16"]["tflm"] == []


def test_arena_is_the_one_that_tflm_needs_and_other_engines_have_none(
        two: dict[str, Path], data: Path, context: StageContext) -> None:
    result = benchmark.run(tflites=two, data=data, options=QUICK, context=context)
    with EngineWorker("tflm", log=context.log) as worker:
        worker.load((two["int8"] / "model.tflite").read_bytes())
        expected = worker.arena()
    arena = result.variants["int8"]["tflm"].arena
    assert arena is not None
    assert (arena.value, arena.unit, arena.interval) == (expected.least_bytes, "bytes", None)
    assert f"{expected.used_bytes:,} bytes in use" in arena.method
    assert result.variants["int8"]["litert"].arena is None


def test_variants_take_turns_in_every_round(two: dict[str, Path], data: Path, context: StageContext) -> None:
    seen: list[tuple[int, int, str]] = []
    watched = replace(context, progress=lambda done, total, text: seen.append((done, total, text)))
    benchmark.run(tflites=two, data=data, options=QUICK.model_copy(update={"engines": ("litert",)}), context=watched)
    measured = [text for done, _, text in seen if done]
    assert [done for done, _, _ in seen if done] == list(range(1, 13))
    assert {total for _, total, _ in seen} == {12}
    for first in range(0, 12, 2):
        assert sorted(measured[first:first + 2]) == ["float16 in litert", "int8 in litert"]
    assert len({tuple(measured[first:first + 2]) for first in range(0, 12, 2)}) == 2  # and not always in one order


def test_a_crash_in_mid_measurement_drops_that_variant_and_the_others_go_on(
        two: dict[str, Path], data: Path, context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = EngineWorker.measure, {"float16": 0}

    def killed_on_the_fourth(self: EngineWorker, count: int, seconds: float | None = None) -> Any:
        if self.model == "float16":
            calls["float16"] += 1
            if calls["float16"] == 4:
                self.kill()
        return real(self, count, seconds)

    monkeypatch.setattr(EngineWorker, "measure", killed_on_the_fourth)
    options = QUICK.model_copy(update={"engines": ("litert",), "warm_up_s": 0.0})
    result = benchmark.run(tflites=two, data=data, options=options, context=context)
    dead = result.variants["float16"]["litert"]
    assert (dead.status, dead.median, dead.load) == ("crashed", None, None)
    assert "SIGKILL in measure" in dead.message
    assert result.provisional == (f"float16 in litert: {dead.message}",)
    assert result.variants["int8"]["litert"].rounds == 6


def test_a_damaged_model_that_kills_the_runtime_is_recorded(
        tmp_path: Path, tiny_tflites: dict[str, bytes], data: Path, context: StageContext) -> None:
    folders = artifacts(tmp_path, {"whole": tiny_tflites["int8"], "cut": tiny_tflites["int8"][:1500]})
    options = QUICK.model_copy(update={"engines": ("tflite-runtime",)})
    result = benchmark.run(tflites=folders, data=data, options=options, context=context)
    assert [found["tflite-runtime"].status for found in result.variants.values()] == ["ok", "crashed"]


def test_an_engine_that_is_not_installed_has_a_reason_in_every_variant(
        two: dict[str, Path], data: Path, context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = registry.Engine("tflm", "no-such-distribution", "x", "x", False, "nowhere")
    monkeypatch.setitem(registry.ENGINES, "tflm", gone)
    options = QUICK.model_copy(update={"engines": ("tflm",)})
    result = benchmark.run(tflites=two, data=data, options=options, context=context)
    assert {found["tflm"].status for found in result.variants.values()} == {"unavailable"}
    assert "pip install no-such-distribution" in result.variants["int8"]["tflm"].message
    assert result.summary == "0 of 2 measured"


def test_a_slow_model_stops_at_its_budget_but_not_before_five_rounds() -> None:
    trial = trials.Trial("litert", "int8")
    options = benchmark.Options(budget_s=1.0, rounds=30)
    trial.rounds, trial.spent_s = [np.array([1])] * 4, 99.0
    assert trial.is_due(options)
    trial.rounds = [np.array([1])] * 5
    assert not trial.is_due(options)
    trial.spent_s = 0.9
    assert trial.is_due(options)
    trial.rounds = [np.array([1])] * 30
    assert not trial.is_due(options)
    trial.rounds = []
    trial.fail(EngineCrash("litert", "int8", "gone"))
    assert not trial.is_due(options)


class Scripted:
    """A worker whose windows have the given medians, in ms."""

    def __init__(self, medians: list[float]) -> None:
        self.medians, self.asked = medians, 0

    def measure(self, count: int, seconds: float | None = None) -> np.ndarray:
        value = self.medians[min(self.asked, len(self.medians) - 1)]
        self.asked += 1
        return np.full(3, int(1e6 * value))


def test_warm_up_ends_when_three_windows_agree_within_three_percent() -> None:
    worker = Scripted([9.0, 5.0, 1.03, 1.0, 1.02, 0.5])
    assert trials.warm_up(worker, 5.0)  # type: ignore[arg-type]
    assert worker.asked == 5


def test_warm_up_that_never_settles_says_so_and_ends_in_time() -> None:
    worker = Scripted([1.0, 2.0] * 100_000)
    assert not trials.warm_up(worker, 0.02)  # type: ignore[arg-type]


def test_a_model_that_is_not_steady_is_warned_of(two: dict[str, Path], data: Path, context: StageContext,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "warm_up", lambda worker, limit_s: worker.model != "int8")
    options = QUICK.model_copy(update={"engines": ("litert",)})
    result = benchmark.run(tflites=two, data=data, options=options, context=context)
    assert len(result.warnings) == 1
    assert "int8 in litert" in result.warnings[0]
    assert "float16" not in result.warnings[0]


def test_pinning_takes_the_last_cores_all_or_those_named() -> None:
    cores = host.cores()
    assert pinned(benchmark.Settings()) == cores[-1:]
    assert pinned(benchmark.Settings(threads=2)) == cores[-2:]
    assert pinned(benchmark.Settings(cpus="any")) == ()
    assert pinned(benchmark.Settings(cpus=(0,))) == (0,)


def test_a_core_that_is_not_there_is_refused_with_those_that_are(two: dict[str, Path], data: Path,
                                                                 context: StageContext) -> None:
    options = QUICK.model_copy(update={"cpus": (4095,)})
    with pytest.raises(StageError, match=r"cores \[4095\] cannot be had"):
        benchmark.run(tflites=two, data=data, options=options, context=context)


def test_samples_of_another_shape_are_refused(two: dict[str, Path], data: Path, context: StageContext) -> None:
    np.save(data / "x_test.npy", np.zeros((4, 5), np.float32))
    with pytest.raises(StageError, match="do not fit"):
        benchmark.run(tflites=two, data=data, options=QUICK, context=context)


def test_a_model_with_several_inputs_is_fed_every_one(tmp_path: Path, context: StageContext) -> None:
    folder = artifacts(tmp_path, {"pair": two_by_two.convert(two_by_two.build(), two_by_two.stored(), "int8")})
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "x_test.npy", two_by_two.stored())
    write_preprocessing(tmp_path / "data", Preprocessing(inputs={
        "image": TensorSpec(shape=(6, 6, 1), dtype="uint8"), "age": TensorSpec(shape=(2,), dtype="float32")}))
    result = benchmark.run(tflites=folder, data=tmp_path / "data", options=QUICK, context=context)
    assert {name: found.status for name, found in result.variants["pair"].items()} == dict.fromkeys(
        registry.ENGINES, "ok")


@pytest.mark.parametrize("gone", ["int8/model.tflite", "int8/result.json", "data/x_test.npy"])
def test_an_artifact_without_its_file_is_named(gone: str, two: dict[str, Path], data: Path, context: StageContext,
                                               tmp_path: Path) -> None:
    (tmp_path / gone).unlink()
    with pytest.raises(StoreError, match=gone):
        benchmark.run(tflites=two, data=data, options=QUICK, context=context)


def test_settings_refuse_what_cannot_be_measured() -> None:
    for wrong in ({"rounds": 4}, {"threads": 0}, {"engines": ("onnx",)}, {"cpus": "first"}, {"round": 3}):
        with pytest.raises(ValidationError):
            benchmark.Settings(**wrong)
    assert all(field.description for field in benchmark.Settings.model_fields.values())
