"""What a user sees of a calibration."""

from __future__ import annotations

from pathlib import Path

from device_profiles.loader import load_profile
from device_profiles.networks import network_workload
from device_profiles.prediction.calibrating import CalibratedProfile, calibrate
from device_profiles.prediction.measurements import Measurement
from device_profiles.prediction.own_records import OwnError
from device_profiles.schema import Calibrated
from pipeline.calibrating_text import lines
from pipeline.measured_runs import Measured

ROWS = tuple(Measurement(model=name, sha256="", workload=network_workload(name, "int8"), threads=None, latency_ms=ms)
             for name, ms in (("ds_cnn", 14.0), ("autoencoder", 1.0), ("visual_wake_words", 40.0)))


def calibrated(count: int) -> CalibratedProfile:
    board = load_profile("stm32h747i-disco").model_copy(update={"latency": Calibrated(kind="calibrated")})
    return calibrate(board, ROWS[:count], "a test of so many networks")


def text(found: CalibratedProfile, count: int, **named: tuple[str, ...]) -> list[str]:
    return lines(found, Measured(ROWS[:count], "a test", **named), Path("mine.yaml"))


def test_each_row_stands_with_what_was_predicted_before_and_without_it() -> None:
    found = calibrated(3)
    shown = text(found, 3)
    row, kept = next(line for line in shown if line.startswith("ds_cnn")), found.own.measurements[0]
    assert kept.left_out_ms is not None
    assert f"{100 * (kept.published_ms / 14 - 1):+.0f} %" in row
    assert f"{100 * (kept.left_out_ms / 14 - 1):+.0f} %" in row
    assert "how far off, each of 3 networks predicted without its own 3 rows:" in shown
    assert " ".join(shown[:2]).replace("   ", " ").endswith("before it rested on its core and clock, no published row")


def test_one_network_is_too_few_to_say() -> None:
    shown = "\n".join(text(calibrated(1), 1))
    assert "calibrated on 1 measurement of 1 network" in shown
    assert "too few networks to say (under 3)" in shown
    assert "median" not in shown


def test_what_is_open_not_used_and_odd_is_said() -> None:
    shown = "\n".join(text(calibrated(1), 1, left_out=("x: not measured",), warnings=("under-voltage",)))
    assert "! under-voltage" in shown
    assert "not used: x: not measured" in shown
    assert "float32 and int16x8: not measured" in shown
    assert "still unknown: int4 models" in shown
    assert "int8: no measured model has" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_measurements_that_make_it_worse_are_told_so() -> None:
    found = calibrated(3)
    latency = found.profile.latency
    assert isinstance(latency, Calibrated)
    assert latency.own is not None
    worse = OwnError(networks=3, rows=3, median_before=0.1, worst_before=0.2, median_after=0.5, worst_after=0.9,
                     rows_inside_80=1)
    own = latency.own.model_copy(update={"error": worse})
    changed = found.model_copy(update={"profile": found.profile.model_copy(update={
        "latency": latency.model_copy(update={"own": own})})})
    shown = " ".join(" ".join(text(changed, 3)).split())
    assert "! the measurements make it worse" in shown
    assert "before 10.0 % median, 20.0 % at worst after 50.0 % median, 90.0 % at worst" in shown
