"""A run's benchmark as measurements: of this device alone, in the engine of the profile, each file once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from device_profiles.errors import UsageError
from device_profiles.loader import load_profile
from device_profiles.records import Figure
from device_profiles.schema import Profile
from pipeline.measured_runs import FIGURES, load_measurements
from stages.records import BenchmarkResult, EngineBenchmark
from stages.records.targets import Conditions, Device, DeviceState, Host
from tests.device_profiles.handmade import conv_model

HOST = Host(cpu="BCM2711", architecture="aarch64", cores=4, memory_bytes=1 << 32, system="Linux", python="3.11")
PI = "ssh:pi@raspberrypi"


def engine(ms: float | None = 2.0, status: Any = "ok", message: str = "") -> EngineBenchmark:
    median = None if ms is None else Figure(value=ms, unit="ms", provenance="measured", samples=100,
                                            interval=(ms * 0.98, ms * 1.02))
    return EngineBenchmark(engine="litert", engine_version="2.3.0", status=status, message=message, threads=4,
                           median=median)


def run(folder: Path, target: str = PI, cores: tuple[str, ...] = (), throttling: tuple[str, ...] = (),
        **variants: EngineBenchmark) -> Path:
    """A run folder with a benchmark; each variant has a file of its own."""
    device = Device(target=target, core_names=cores, host=HOST)
    conditions = Conditions(device=device, before=DeviceState(), after=DeviceState(), throttling=throttling)
    result = BenchmarkResult(summary="measured", host=HOST, target=target, conditions=conditions,
                             variants={name: {"litert": each} for name, each in variants.items()})
    (folder / FIGURES).parent.mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / FIGURES).write_text(result.model_dump_json())
    for number, name in enumerate(variants):
        (folder / "models" / f"{name}.tflite").write_bytes(conv_model() + bytes(16 * number))
    return folder


@pytest.fixture
def pi() -> Profile:
    return load_profile("raspberry-pi-4")


def test_the_medians_of_a_remote_run_are_measurements(tmp_path: Path, pi: Profile) -> None:
    folder = run(tmp_path, throttling=("under-voltage",), float32=engine(), int8=engine(1.5))
    found = load_measurements(folder, pi, False)
    assert [(row.model, row.latency_ms, row.threads) for row in found.rows] == [
        ("float32.tflite", 2.0, 4), ("int8.tflite", 1.5, 4)]
    # an interval of 2 % on both sides is 1.96 standard errors
    assert found.rows[0].variance == pytest.approx((0.02 / 1.96) ** 2)
    assert found.warnings == ("under-voltage",)
    assert found.source.endswith(f"litert on {PI}")


def test_a_profile_s_own_benchmark_in_a_run_comes_first(tmp_path: Path, pi: Profile) -> None:
    folder = run(tmp_path, float32=engine())
    own = run(tmp_path / "own", float32=engine(7.0)) / FIGURES
    own.rename(folder / FIGURES.with_name(f"{pi.name}.json"))
    assert [row.latency_ms for row in load_measurements(folder, pi, False).rows] == [7.0]


def test_the_file_in_the_folder_does_as_well(tmp_path: Path, pi: Profile) -> None:
    folder = run(tmp_path, float32=engine())
    assert load_measurements(folder / FIGURES, pi, False).rows == load_measurements(folder, pi, False).rows


def test_what_has_no_latency_is_named_and_the_same_bytes_count_once(tmp_path: Path, pi: Profile) -> None:
    folder = run(tmp_path, a=engine(), b=engine(1.0), crashed=engine(None, "crashed", "signal 11"), gone=engine())
    (folder / "models" / "b.tflite").write_bytes((folder / "models" / "a.tflite").read_bytes())
    (folder / "models" / "gone.tflite").unlink()
    found = load_measurements(folder, pi, False)
    assert [row.model for row in found.rows] == ["a.tflite"]
    assert sorted(text.partition(":")[0] for text in found.left_out) == ["b.tflite", "crashed", "gone"]
    assert "crashed: not measured in litert (signal 11)" in found.left_out


def test_an_engine_that_the_run_does_not_have_is_an_error_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no latency in tflm") as raised:
        load_measurements(run(tmp_path, float32=engine()), load_profile("nucleo-l4r5zi"), False)
    assert raised.value.next_step == "litesmith benchmark --set benchmark.engines=[tflm]"


def test_a_run_of_this_machine_says_nothing_of_a_board_unless_it_is_the_board(tmp_path: Path, pi: Profile) -> None:
    folder = run(tmp_path / "x", "host", float32=engine())
    with pytest.raises(UsageError, match="nothing says that it is Raspberry Pi 4") as raised:
        load_measurements(folder, pi, False)
    assert "--on-device" in raised.value.next_step
    assert len(load_measurements(folder, pi, True).rows) == 1
    on_it = run(tmp_path / "y", "host", cores=("4 Cortex-A72",), float32=engine())
    assert len(load_measurements(on_it, pi, False).rows) == 1


def test_an_emulator_s_times_and_another_board_s_are_refused(tmp_path: Path, pi: Profile) -> None:
    with pytest.raises(UsageError, match="whose times are the emulator's"):
        load_measurements(run(tmp_path / "x", "emulated:cortex-a72", float32=engine()), pi, False)
    other = pi.model_copy(update={"target": "ssh:pi@other"})
    with pytest.raises(UsageError, match="'raspberry-pi-4' is 'ssh:pi@other'"):
        load_measurements(run(tmp_path / "y", float32=engine()), other, False)


def test_what_is_no_benchmark_is_refused(tmp_path: Path, pi: Profile) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(UsageError, match="is no benchmark of a run"):
        load_measurements(tmp_path / "x.json", pi, False)
    with pytest.raises(UsageError, match=r"has no figures/benchmark/benchmark\.json"):
        load_measurements(tmp_path, pi, False)


def test_a_table_is_read_with_its_digest_as_the_source(tmp_path: Path, pi: Profile) -> None:
    (tmp_path / "m.csv").write_text("model,latency_ms,format\nds_cnn,2,int8\n")
    found = load_measurements(tmp_path / "m.csv", pi, False)
    assert [row.model for row in found.rows] == ["ds_cnn"]
    assert found.source.startswith("m.csv, sha256 ")
