"""One tflite model on several devices: what each says, in what order, and how sure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_profiles.errors import TfliteError, UsageError
from device_profiles.loader import load_profile, names
from device_profiles.predictor import predict_latency
from device_profiles.records import Figure
from device_profiles.schema import Limits, Profile
from device_profiles.workload import read_workload
from pipeline import side_by_side as module
from pipeline.side_by_side import SideBySide, Sort, chosen_profiles, side_by_side
from stages.records import EngineBenchmark
from tests.device_profiles.handmade import Handmade, conv_model

INT8 = conv_model(np.ones((3, 3, 3, 2), np.int8), "INT8", scales=(1.0,), zero_points=(0,))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "conv.tflite"
    path.write_bytes(INT8)
    return path


@pytest.fixture
def arena(monkeypatch: pytest.MonkeyPatch) -> None:
    """A TFLM that needs 1,000 bytes."""
    figure = Figure(value=1000, unit="bytes", provenance="measured")
    monkeypatch.setattr(module, "_ask_tflm", lambda file: EngineBenchmark(
        engine="tflm", engine_version="1", status="ok", arena=figure))


def compared(model: Path, *profiles: str | Profile, sort: Sort = "latency", tflm: bool = True) -> SideBySide:
    loaded = [load_profile(each) if isinstance(each, str) else each for each in profiles]
    return side_by_side(model, loaded, sort, tflm)


@pytest.mark.usefixtures("arena")
def test_latency_throughput_and_energy_are_those_of_the_predictor(model: Path) -> None:
    profile = load_profile("nucleo-l4r5zi")
    row = compared(model, profile).devices[0]
    expected = predict_latency(read_workload(INT8), profile).figure
    assert row.latency == expected
    assert expected is not None
    assert expected.interval is not None
    assert row.throughput is not None
    assert row.throughput.value == pytest.approx(1e3 / expected.value)
    assert row.throughput.interval == pytest.approx((1e3 / expected.interval[1], 1e3 / expected.interval[0]))
    assert row.energy is not None
    assert row.energy.unit == "uJ"
    assert row.latency_basis == "board"


@pytest.mark.usefixtures("arena")
def test_the_arena_is_the_runtime_s_where_it_runs_and_a_lower_bound_elsewhere(model: Path) -> None:
    micro, phone = sorted(compared(model, "nucleo-l4r5zi", "pixel-4").devices, key=lambda row: row.profile)
    assert micro.ram is not None
    assert phone.ram is not None
    assert (micro.ram.value, micro.ram_exact) == (1000, True)
    assert (phone.ram.value, phone.ram_exact) == (read_workload(INT8).activation_peak_bytes, False)
    assert (phone.flash.value, phone.flash_free_bytes) == (len(INT8), None)


def test_without_tflm_the_arena_is_unknown_and_so_is_the_verdict(model: Path) -> None:
    row = compared(model, "nucleo-l4r5zi", tflm=False).devices[0]
    limits = {limit.limit: limit.verdict for limit in row.limits}
    assert limits["ram_bytes"] == "unknown"
    assert "engine" not in limits  # whether it runs was not tried
    assert row.verdict == "unknown"
    assert not row.ram_exact


@pytest.mark.usefixtures("arena")
def test_limits_have_verdicts_and_what_needs_data_is_open(model: Path) -> None:
    profile = load_profile("nucleo-l4r5zi")

    def verdict(ms: float) -> str:
        limited = profile.model_copy(update={"limits": Limits(latency_median_ms=ms, accuracy_drop_points=2)})
        row = compared(model, limited).devices[0]
        assert row.open == ("accuracy_drop_points",)
        return row.verdict

    figure = predict_latency(read_workload(INT8), profile).figure
    assert figure is not None
    assert figure.interval is not None
    assert [verdict(ms) for ms in (figure.interval[1] * 1.01, figure.value, figure.interval[0] * 0.99)] == [
        "pass", "undecided", "fail"]


@pytest.mark.usefixtures("arena")
def test_a_custom_operator_fails_by_name_and_has_no_latency(tmp_path: Path) -> None:
    made = Handmade()
    a, b = made.activation((1, 4)), made.activation((1, 4))
    made.operator("CUSTOM", [a], [b], custom="Mine")
    (tmp_path / "custom.tflite").write_bytes(made.bytes([a], [b]))
    row = compared(tmp_path / "custom.tflite", "pixel-4").devices[0]
    assert (row.runs, row.verdict, row.latency, row.latency_reason) == (False, "fail", None, "the device cannot run it")
    failed = next(limit for limit in row.limits if limit.verdict == "fail")
    assert (failed.limit, "CUSTOM 'Mine'" in failed.why) == ("operators", True)


def test_a_model_that_is_too_large_does_not_run(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = Figure(value=1 << 20, unit="bytes", provenance="measured")
    monkeypatch.setattr(module, "_ask_tflm", lambda file: EngineBenchmark(
        engine="tflm", engine_version="1", status="ok", arena=figure))
    row = compared(model, "nucleo-l4r5zi").devices[0]
    assert (row.runs, row.verdict, row.latency) == (False, "fail", None)


def test_what_tflm_says_against_it_is_kept(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ask_tflm", lambda file: EngineBenchmark(
        engine="tflm", engine_version="1", status="refused", message="no kernel"))
    found = compared(model, "nucleo-l4r5zi", "pixel-4")
    assert found.tflm == "no kernel"
    assert {row.profile: row.verdict for row in found.devices} == {"nucleo-l4r5zi": "fail", "pixel-4": "pass"}


@pytest.mark.usefixtures("arena")
def test_rows_are_ordered_and_what_is_not_known_comes_last(model: Path) -> None:
    chosen = ("cpu", "nucleo-l4r5zi", "pixel-4", "arduino-nano-33-ble")
    orders = {sort: [row.profile for row in compared(model, *chosen, sort=sort).devices]
              for sort in ("latency", "name", "class", "verdict")}
    assert orders["latency"] == ["pixel-4", "nucleo-l4r5zi", "arduino-nano-33-ble", "cpu"]
    assert orders["name"] == sorted(chosen)
    assert orders["class"] == ["cpu", "pixel-4", "arduino-nano-33-ble", "nucleo-l4r5zi"]
    assert orders["verdict"][-1] == "cpu"


def test_a_measured_profile_has_no_latency_and_says_why(model: Path) -> None:
    row = compared(model, "cpu").devices[0]
    assert (row.latency, row.latency_basis) == (None, "none")
    assert "measured, not predicted" in row.latency_reason


def test_profiles_are_chosen_by_name_and_path_each_once(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("name: mine\nlike: pixel-4\n")
    assert [each.name for each in chosen_profiles(["iot", str(mine), "iot"], False)] == ["iot", "mine"]
    assert [each.name for each in chosen_profiles([], False)] == list(names())
    assert len(chosen_profiles([str(mine)], True)) == len(names()) + 1
    mine.write_text("name: iot\nlike: pixel-4\n")
    with pytest.raises(UsageError, match="two profiles are called 'iot'"):
        chosen_profiles(["iot", str(mine)], False)
    with pytest.raises(UsageError, match="did you mean 'pixel-4'"):
        chosen_profiles(["pixel4"], False)


@pytest.mark.usefixtures("arena")
def test_files_that_are_no_tflite_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.tflite").write_bytes(INT8[:300])
    with pytest.raises(TfliteError, match="damaged"):
        compared(tmp_path / "cut.tflite", "pixel-4")
    with pytest.raises(UsageError, match="no such file"):
        compared(tmp_path / "none.tflite", "pixel-4")
