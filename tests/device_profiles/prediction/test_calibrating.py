"""A profile calibrated on a few measurements: the error that is proven, what is refused, what the file predicts."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from device_profiles.errors import LitesmithError, UsageError
from device_profiles.loader import load_profile
from device_profiles.networks import network_workload
from device_profiles.prediction.calibrating import calibrate, unsupported
from device_profiles.prediction.measurements import Measurement
from device_profiles.prediction.own_fit import SCALES
from device_profiles.predictor import predict_latency
from device_profiles.schema import Calibrated, Profile
from device_profiles.workload import read_workload
from device_profiles.writing import checked, profile_yaml
from tests.device_profiles.handmade import Handmade

NETWORKS = ("ds_cnn", "autoencoder", "resnet_cifar blocks=1", "visual_wake_words", "mobilenet_v1 size=96 width=0.25")


@pytest.fixture(scope="module")
def board() -> Profile:
    """A Cortex-M7 that nobody published."""
    published = load_profile("stm32h747i-disco")
    return published.model_copy(update={"name": "mine", "latency": Calibrated(kind="calibrated")})


def published_ms(profile: Profile, network: str) -> float:
    figure = predict_latency(network_workload(network, "int8"), profile).figure
    assert figure is not None
    return figure.value


def measured(profile: Profile, count: int, times: float) -> list[Measurement]:
    """So many networks, each `times` as long as the published fit says."""
    return [Measurement(model=each, sha256="", workload=network_workload(each, "int8"), threads=None,
                        latency_ms=times * published_ms(profile, each)) for each in NETWORKS[:count]]


def test_a_board_that_is_slower_throughout_is_found_out_and_proven(board: Profile) -> None:
    found = calibrate(board, measured(board, 5, 1.5), "a test of five networks")
    error = found.own.error
    assert error is not None
    assert (error.networks, error.rows) == (5, 5)
    assert error.median_before == pytest.approx(1 - 1 / 1.5, abs=1e-3)
    assert error.median_after < 0.05
    assert error.rows_inside_80 == 5
    assert found.known == "unmeasured"
    assert {each.format for each in found.prices} == {"int8"}
    assert all(1.2 < each.ratio < 1.6 for each in found.prices)
    assert "depthwise" not in found.unseen["int8"]
    assert "depthwise" in found.unseen["float32"]


def test_one_measurement_calibrates_and_proves_nothing(board: Profile) -> None:
    found = calibrate(board, measured(board, 1, 1.5), "a test of one network")
    assert found.own.error is None
    assert found.own.measurements[0].left_out_ms is None
    assert found.own.scales == SCALES["mcu"]
    before = published_ms(board, "visual_wake_words")
    assert 1.25 < published_ms(found.profile, "visual_wake_words") / before < 1.5


def test_measurements_that_do_not_fit_together_widen_the_intervals(board: Profile) -> None:
    rows = measured(board, 5, 1.0)
    odd = [Measurement(**{**vars(each), "latency_ms": each.latency_ms * (4 if number % 2 else 0.25)})
           for number, each in enumerate(rows)]
    found = calibrate(board, odd, "a test of odd networks")
    assert found.own.error is not None
    assert found.own.error.rows_inside_80 < 3
    assert found.own.scales.level_80 > 2 * SCALES["mcu"].level_80


def test_the_interval_is_narrower_than_before_where_it_was_measured(board: Profile) -> None:
    def factor(profile: Profile) -> float:
        figure = predict_latency(network_workload("visual_wake_words", "int8"), profile).figure
        assert figure is not None
        assert figure.interval is not None
        return figure.interval[1] / figure.value

    few, many = (calibrate(board, measured(board, count, 1.5), "a test of networks") for count in (1, 3))
    assert factor(many.profile) < factor(few.profile)


@pytest.mark.parametrize(("times", "found", "next_step"), [
    (1000.0, "1,000 times the", "if it is in microseconds"), (0.001, "1/1,000 of the", "if it is in seconds")])
def test_a_slip_of_the_unit_is_refused_unless_it_is_right(board: Profile, times: float, found: str,
                                                          next_step: str) -> None:
    rows = measured(board, 2, times)
    with pytest.raises(LitesmithError) as raised:
        calibrate(board, rows, "a test of units")
    assert found in raised.value.found
    assert "(and 1 more such)" in raised.value.found
    assert next_step in raised.value.next_step
    assert calibrate(board, rows, "a test of units", units_are_right=True).own.measurements[0].latency_ms > 0


def test_a_slow_build_is_no_slip(board: Profile) -> None:
    assert len(calibrate(board, measured(board, 2, 30.0), "a debug build").own.measurements) == 2


def test_models_that_cannot_be_priced_are_named_and_the_others_used(board: Profile) -> None:
    made = Handmade()
    a, b = made.activation((1, 4)), made.activation((1, 4))
    made.operator("CUSTOM", [a], [b], custom="Mine")
    custom = Measurement(model="custom.tflite", sha256="1", workload=read_workload(made.bytes([a], [b])), threads=None,
                         latency_ms=1.0)
    found = calibrate(board, [custom, *measured(board, 1, 1.0)], "a test of operators")
    assert [each.model for each in found.unused] == ["custom.tflite"]
    assert "CUSTOM 'Mine'" in found.unused[0].reason
    with pytest.raises(UsageError, match=r"no measurement can be used: custom\.tflite"):
        calibrate(board, [custom], "a test of operators")


def test_a_profile_without_hardware_cannot_be_calibrated(board: Profile) -> None:
    with pytest.raises(UsageError, match="the profile of 'this host' states no core and no clock"):
        calibrate(load_profile("cpu"), measured(board, 1, 1.0), "a test of the host")


def test_rows_with_other_threads_help_a_little() -> None:
    board = load_profile("raspberry-pi-4").model_copy(update={"latency": Calibrated(kind="calibrated")})
    before = published_ms(board, "mobilenet_v1")
    row = Measurement(model="mobilenet_v1", sha256="", workload=network_workload("mobilenet_v1", "int8"), threads=None,
                      latency_ms=1.5 * before)
    own = calibrate(board, [row], "four threads").profile
    single = Measurement(**{**vars(row), "threads": 1, "latency_ms": 3.0 * before})
    one = calibrate(board, [single], "one thread").profile
    assert published_ms(own, "mobilenet_v1") == pytest.approx(1.5 * before, rel=0.06)
    assert published_ms(one, "mobilenet_v1") != pytest.approx(before, rel=1e-3)


def test_what_nothing_prices_is_named(board: Profile) -> None:
    assert unsupported(board, ("float32", "int8", "int16x8")) == ["int4"]


def test_the_file_reads_back_and_predicts_within_50_ms(board: Profile, tmp_path: Path) -> None:
    found = calibrate(board, measured(board, 3, 1.5), "a test of three networks")
    text = profile_yaml(found.profile)
    assert checked(text, tmp_path / "mine.yaml") == found.profile
    workload = network_workload("mobilenet_v1 size=96 width=0.25", "int8")
    predict_latency(workload, found.profile)
    started = time.process_time()
    predict_latency(workload, found.profile)
    assert time.process_time() - started < 0.05


def test_a_prediction_from_the_file_needs_no_numpy(board: Profile, tmp_path: Path) -> None:
    found = calibrate(board, measured(board, 1, 1.5), "a test of one network")
    (tmp_path / "mine.yaml").write_text(profile_yaml(found.profile))
    probe = ("import sys\n"
             "from device_profiles.loader import load_profile\n"
             "from device_profiles.predictor import predict_latency\n"
             "from device_profiles.workload import Workload\n"
             "empty = Workload(operators=(), inputs=(), outputs=(), number_format='int8', macs=1000, parameters=0,\n"
             "    weight_bytes=0, sparsity=0.0, activation_peak_bytes=0, tflite_bytes=0, signatures=(), graphs=1)\n"
             f"found = predict_latency(empty, load_profile({str(tmp_path / 'mine.yaml')!r}))\n"
             "print(found.figure.method if found.figure else found.reason)\n"
             "print('numpy' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[3])
    method, numpy = done.stdout.splitlines()
    assert "own measurement" in method or "factor of" in method
    assert numpy == "False"
