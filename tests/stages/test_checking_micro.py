"""Arena and flash of a variant on a microcontroller, and the verdicts on them."""

from __future__ import annotations

from pathlib import Path

from device_profiles.microcontrollers import ArenaSplit, host_arena
from device_profiles.schema import Profile
from device_profiles.tflite import Model, read_tflite
from stages.checking.fit import Subject, fit
from stages.checking.micro import MicroFootprint, footprint, footprints, measured_split
from stages.records import EngineBenchmark, EngineEvaluation, LimitVerdict
from tests.device_profiles.microcontrollers.graphs import model, single, tensor
from tests.stages.sample_profiles import measured_profile, micro_profile, workload
from tests.stages.sample_run import figure, latency, metrics


def _limits(profile: Profile, micro: MicroFootprint | None, arena: int = 4096,
            size: int = 10_000) -> dict[str, LimitVerdict]:
    evaluated = {"tflm": EngineEvaluation(engine="tflm", engine_version="dev", status="ok", metrics=metrics(350),
                                          drop=figure(0.5, "points", samples=360, spread=0.4))}
    subject = Subject(name="int8", tflite_bytes=size, workload=workload(), evaluated=evaluated,
                      measured={"tflm": latency(40.0, "tflm", "dev", arena)},
                      micro={profile.name: micro} if micro else {})
    return {limit.limit: limit for limit in fit(subject, profile).check.limits}


def _run(**parts: int) -> EngineBenchmark:
    figures = {name: figure(value, "bytes") for name, value in parts.items()}
    return EngineBenchmark.model_validate({"engine": "tflm", "engine_version": "dev", "status": "ok"} | figures)


def test_the_two_parts_of_a_measured_arena_are_read_from_the_benchmark() -> None:
    assert measured_split(_run(arena_persistent=100, arena_non_persistent=300)) == ArenaSplit(
        persistent_bytes=100, non_persistent_bytes=300)


def test_a_benchmark_without_the_parts_anchors_nothing() -> None:
    assert measured_split(None) is None
    assert measured_split(_run(arena=400)) is None


def test_a_device_is_predicted_with_the_kernels_of_its_core() -> None:
    found = footprint(model(), micro_profile())

    assert found.arena is not None
    assert (found.arena.family, found.arena.scratch_bytes) == ("cmsis-nn-dsp", 48)
    assert found.flash is not None
    assert found.flash.tflite_bytes == model().size_bytes


def test_a_scratch_that_is_not_known_gives_no_arena_until_it_was_measured() -> None:
    graph = single("BATCH_MATMUL", [tensor(0, (1, 4, 4)), tensor(1, (1, 4, 4)), tensor(2, (1, 4, 4))], (0, 1), (2,))
    unknown = Model((graph,), (), (), "", 0)

    assert footprint(unknown, micro_profile()).arena is None
    assert footprint(unknown, micro_profile(), host_arena(graph)).arena is not None


def test_only_profiles_that_run_tflm_have_a_footprint(tiny_tflites: dict[str, bytes]) -> None:
    content = tiny_tflites["int8"]
    split = host_arena(read_tflite(content).graphs[0])
    run = _run(arena_persistent=split.persistent_bytes, arena_non_persistent=split.non_persistent_bytes)
    found = footprints(content, [measured_profile(), micro_profile()], run)

    assert list(found) == ["micro"]
    arena = found["micro"].arena
    assert arena is not None
    assert (arena.anchored, arena.unexplained_bytes) == (True, 0)


def test_the_device_s_arena_is_judged_and_not_the_host_s() -> None:
    micro = footprint(model(), micro_profile())
    limits = _limits(micro_profile(ram=8192, arena_bytes=8192), micro, arena=100_000)

    assert (limits["ram_bytes"].verdict, limits["ram_bytes"].provenance) == ("pass", "predicted")
    assert limits["arena_bytes"].verdict == "pass"


def test_an_arena_whose_interval_spans_the_ram_is_undecided() -> None:
    micro = footprint(model(), micro_profile())
    assert micro.arena is not None
    limits = _limits(micro_profile(ram=max(2048, micro.arena.least_bytes + 100)), micro)

    assert limits["ram_bytes"].verdict in ("undecided", "pass")
    assert _limits(micro_profile(arena_bytes=micro.arena.least_bytes), micro)["arena_bytes"].verdict == "undecided"
    assert _limits(micro_profile(arena_bytes=500), micro)["arena_bytes"].verdict == "fail"


def test_without_a_prediction_the_host_s_arena_is_judged() -> None:
    nothing = MicroFootprint(arena=None, flash=None)

    assert _limits(micro_profile(ram=8192), nothing, arena=9000)["ram_bytes"].verdict == "fail"
    assert _limits(micro_profile(flash=65_536), nothing, size=65_537)["flash_bytes"].verdict == "fail"


def test_flash_counts_the_runtime_s_code() -> None:
    micro = footprint(model(), micro_profile())
    assert micro.flash is not None
    low, high = micro.flash.runtime_interval

    # the file alone would fit all of these
    assert _limits(micro_profile(flash=high + 10_000), micro)["flash_bytes"].verdict == "pass"
    assert _limits(micro_profile(flash=(low + high) // 2), micro)["flash_bytes"].verdict == "undecided"
    found = _limits(micro_profile(flash=low), micro)["flash_bytes"]
    assert (found.verdict, found.provenance) == ("fail", "predicted")


def test_the_parts_are_what_the_runtime_reports(tiny_tflites: dict[str, bytes], tmp_path: Path) -> None:
    from stages.engines.client import EngineWorker

    with EngineWorker("tflm", log=tmp_path / "log.txt", model="tiny") as worker:
        loaded = worker.load(tiny_tflites["int8"])

    foreseen = host_arena(read_tflite(tiny_tflites["int8"]).graphs[0])
    assert loaded.arena_persistent_bytes + loaded.arena_non_persistent_bytes == loaded.arena_bytes
    assert loaded.arena_non_persistent_bytes == foreseen.non_persistent_bytes
    assert abs(loaded.arena_persistent_bytes - foreseen.persistent_bytes) <= 16
