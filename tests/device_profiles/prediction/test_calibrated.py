"""The calibrated prediction: sums worked out by hand, two intervals, and `unknown` with a reason."""

from __future__ import annotations

import math
import subprocess
import sys
import time

import pytest

from device_profiles.loader import load_profile
from device_profiles.networks import network_workload
from device_profiles.prediction import calibrated
from device_profiles.prediction.calibrated import predict_calibrated, setup_of
from device_profiles.prediction.fit_file import PredictorFit
from device_profiles.predictor import predict_latency
from device_profiles.schema import Calibrated, Profile
from device_profiles.strictyaml import loads
from device_profiles.workload import Workload, read_workload
from tests.device_profiles.handmade import Handmade, conv_model
from tests.device_profiles.prediction.handmade_fit import handmade_fit
from tests.device_profiles.test_schema import GOOD

HEAD = GOOD[:GOOD.index("latency:")]


def profile(device: str = "board", threads: int = 1, engine: str = "tflm", core: str = "Cortex-M4F") -> Profile:
    """A board that is predicted by the calibrated model."""
    text = HEAD.replace("threads: 1", f"threads: {threads}").replace("name: tflm", f"name: {engine}")
    text = text.replace("value: Cortex-M4F", f"value: {core}")
    return loads(f"{text}latency:\n  kind: calibrated\n  device: '{device}'\n", Profile, "board.yaml")


def model(of: Profile) -> Calibrated:
    assert isinstance(of.latency, Calibrated)
    return of.latency


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> PredictorFit:
    """A fit with round numbers instead of the shipped one."""
    fit = handmade_fit()
    monkeypatch.setattr(calibrated, "load_fit", lambda: fit)
    return fit


def conv() -> Workload:
    """216 MACs in one convolution of two channels, softmax over 12 elements, in float32."""
    return read_workload(conv_model())


@pytest.mark.usefixtures("small")
def test_the_latency_is_amounts_times_prior_prices_times_two() -> None:
    found = predict_latency(conv(), profile())
    assert found.figure is not None
    # cycles: 2500 an inference, 2000 an operator, 500 for threads (none); conv: 216 * 1.5 / 0.15 MACs a cycle,
    # window 36 taps * (8 + 2 * 4) bytes * 3, 108 loops * 12, 12 outputs * 20; bytes have no price of their own
    conv_cycles = 2000 + 216 * 1.5 / 0.15 + 36 * 16 * 3 + 108 * 12 + 12 * 20
    softmax_cycles = 2000 + 12 * 600
    assert [op.latency_ms for op in found.operators] == pytest.approx(
        [2 * conv_cycles / 120e3, 2 * softmax_cycles / 120e3])
    assert found.figure.value == pytest.approx(2 * (2500 + conv_cycles + softmax_cycles) / 120e3)
    assert [op.bound for op in found.operators] == ["compute", "compute"]


@pytest.mark.usefixtures("small")
def test_a_prediction_has_an_80_and_a_95_percent_interval_and_the_proven_error() -> None:
    found = predict_latency(conv(), profile())
    assert found.figure is not None
    ms = found.figure.value
    assert (found.figure.level, found.figure.provenance) == (0.8, "predicted")
    assert found.figure.interval == pytest.approx((ms / math.exp(0.1), ms * math.exp(0.1)))
    assert found.wide_interval == pytest.approx((ms / math.exp(0.2), ms * math.exp(0.2)))
    assert found.held_out is not None
    assert (found.held_out.rows, found.held_out.median_error) == (40, 0.1)
    assert "measured device" in found.figure.method
    assert not found.widened


@pytest.mark.usefixtures("small")
def test_a_device_that_was_never_measured_has_a_wider_interval_and_the_error_of_devices_left_out() -> None:
    known, other = predict_latency(conv(), profile()), predict_latency(conv(), profile(device=""))
    assert known.figure is not None
    assert other.figure is not None
    assert other.figure.value == pytest.approx(known.figure.value / 2)  # the prior: nothing says that it is slow
    assert other.figure.interval is not None
    assert other.figure.interval[1] / other.figure.value > 1.3
    assert other.held_out is not None
    assert other.held_out.rows == 300
    assert "unmeasured device" in other.figure.method


@pytest.mark.usefixtures("small")
def test_a_size_outside_the_rows_widens_and_says_so() -> None:
    work = conv().model_copy(update={"macs": 8_000_000})
    found = predict_latency(work, profile())
    assert found.widened
    assert found.figure is not None
    assert found.figure.interval is not None
    assert found.figure.interval[1] / found.figure.value == pytest.approx(math.exp(math.hypot(0.1, 0.15 * math.log(8))))
    assert "outside the fit's" in found.figure.method


def test_where_the_fit_doubts_too_much_the_answer_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrated, "load_fit", lambda: handmade_fit(covariance=4.0))
    found = predict_latency(conv(), profile())
    assert found.figure is None
    assert "the 80 % interval would reach a factor of 7.4 both ways" in found.reason


def odd(name: str, custom: str = "", dtype: str = "FLOAT32") -> Workload:
    made = Handmade()
    data, out = made.activation((1, 4), dtype), made.activation((1, 4), dtype)
    made.operator(name, [data], [out], custom=custom)
    return read_workload(made.bytes([data], [out]))


def pool_in_int16() -> Workload:
    """A float model with a pooling of 16-bit integers, which multiplies nothing."""
    work = odd("MAX_POOL_2D")
    changed = tuple(op.model_copy(update={"arithmetic": "int16x8"}) for op in work.operators)
    return work.model_copy(update={"operators": changed})


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("work", "reason"), [
    (lambda: odd("CUSTOM", "Mystery"), "operator 0 (CUSTOM 'Mystery'): its cost is not known"),
    (lambda: odd("WHILE"), "the model has control flow"),
    (lambda: network_workload("ds_cnn", "int16x8"), "nothing was published for int16x8"),
    (lambda: network_workload("ds_cnn", "dynamic"), "nothing was published for hybrid arithmetic"),
    (pool_in_int16, "operator 0 (MAX_POOL_2D): nothing was published for int16x8 arithmetic"),
], ids=["custom", "control-flow", "int16x8", "dynamic", "int16x8 pool"])
def test_what_was_never_published_is_unknown_with_its_reason(work: object, reason: str) -> None:
    found = predict_latency(work(), profile())  # type: ignore[operator]
    assert found.figure is None
    assert reason in found.reason


@pytest.mark.usefixtures("small")
def test_a_core_that_nobody_knows_is_unknown() -> None:
    assert "nothing is known of a core 'Z80'" in predict_latency(conv(), profile(device="", core="Z80")).reason


@pytest.mark.usefixtures("small")
def test_a_class_without_rows_is_unknown() -> None:
    assert "nothing was published for float32" in predict_latency(conv(), profile(device="", core="Cortex-A53")).reason


def test_the_setup_is_the_profile_s_core_clock_and_threads_and_the_runtime_nearest_to_its_engine() -> None:
    board = profile(device="")
    setup = setup_of(board, model(board))
    assert (setup.device, setup.core, setup.clock_hz, setup.threads) == ("", "Cortex-M4F", 120e6, 1)
    assert (setup.runtime, setup.kernels) == ("tflm-cmsis-nn", "tflm")
    named = setup_of(board, Calibrated(kind="calibrated", device="nucleo-l4r5zi", runtime="x-cube-ai-9.0"))
    assert (named.runtime, named.kernels) == ("x-cube-ai-9.0", "x-cube-ai")


def test_a_device_is_predicted_with_its_own_runtime_nearest_to_the_engine() -> None:
    pi = profile("raspberry-pi-4-1500", threads=1, engine="litert", core="Cortex-A72")
    assert setup_of(pi, model(pi)).runtime == "xnnpack-2022"  # the default, xnnpack-2023, was measured on another board
    elsewhere = profile("odroid-n2-plus", threads=1, engine="litert", core="Cortex-A73")
    assert setup_of(elsewhere, model(elsewhere)).runtime == "xnnpack-2023"


def test_a_measured_device_has_the_core_and_clock_that_it_was_measured_at() -> None:
    phone = profile("pixel-4", engine="litert", core="Cortex-A76")
    setup = setup_of(phone, Calibrated(kind="calibrated", device="pixel-4", runtime="tflite-2020"))
    assert (setup.core, setup.clock_hz, setup.threads) == ("kryo-485-gold", 2.84e9, 1)


@pytest.mark.usefixtures("small")
def test_a_device_key_that_nobody_published_is_unknown_with_the_near_miss() -> None:
    assert "nothing was published of a device 'boart'; did you mean 'board'" in predict_latency(
        conv(), profile("boart")).reason


def test_a_profile_without_hardware_cannot_be_calibrated() -> None:
    host = load_profile("cpu")
    assert "states no core" in predict_calibrated(conv(), host, Calibrated(kind="calibrated")).reason


def test_the_shipped_fit_predicts_a_published_network_within_its_interval() -> None:
    board = profile("nucleo-l4r5zi")
    found = predict_latency(network_workload("resnet_cifar blocks=1", "int8"), board)
    assert found.figure is not None
    assert found.figure.interval is not None
    assert found.figure.interval[0] < 407.7 < found.figure.interval[1]  # EdgeMark, TFLM with CMSIS-NN at -O3


def test_a_prediction_takes_less_than_50_ms() -> None:
    work, board = network_workload("mobilenet_v3_large", "int8"), profile("nucleo-l4r5zi")
    predict_latency(work, board)
    times = []
    for _ in range(3):
        started = time.process_time()
        predict_latency(work, board)
        times.append(time.process_time() - started)
    assert min(times) < 0.05


def test_a_prediction_loads_no_numpy_scipy_scikit_learn_or_tensorflow() -> None:
    code = ("import sys\n"
            "from device_profiles.prediction.calibrated import predict_calibrated\n"
            "from device_profiles.prediction.fit_file import load_fit\n"
            "load_fit()\n"
            "heavy = {'numpy', 'scipy', 'sklearn', 'tensorflow'} & set(sys.modules)\n"
            "print(sorted(heavy))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
