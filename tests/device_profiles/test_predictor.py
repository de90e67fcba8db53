"""The roofline: sums worked out by hand, an interval always, and never a bare number for what is not known."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from device_profiles.loader import load_profile
from device_profiles.predictor import predict_energy, predict_latency
from device_profiles.records import Figure
from device_profiles.schema import Profile
from device_profiles.strictyaml import loads
from device_profiles.workload import Workload, read_workload
from tests.device_profiles.handmade import Handmade, conv_model
from tests.device_profiles.test_schema import GOOD

RATES = """\
    int8: {value: {conv: 1e8, softmax: 1e6, copy: 1e5}, source: the datasheet}
    float32: {value: {conv: 1e6, softmax: 1e5, copy: 1e6}, source: the datasheet}
  loops_per_s:
    float32: {value: {output_taps: 1e6, outputs: 1e5}, source: the datasheet}
"""


def profile(**changes: str) -> Profile:
    """A board with round numbers; `bandwidth`, `threads`, ... replace what stands there."""
    text = GOOD.replace("    int8: {value: {conv: 1e8}, source: the datasheet}\n", RATES)
    text = text.replace("inference_overhead_s: {value: 0,", "inference_overhead_s: {value: 2e-5,")
    for old, new in changes.items():
        assert old.replace("__", " ") in text
        text = text.replace(old.replace("__", " "), new)
    return loads(text, Profile, "board.yaml")


def conv(dtype: str = "FLOAT32") -> Workload:
    """216 MACs, 108 output taps, 12 outputs; softmax over 12 elements."""
    if dtype == "FLOAT32":
        return read_workload(conv_model())
    return read_workload(conv_model(np.ones((3, 3, 3, 2), np.int8), dtype, scales=(1.0,), zero_points=(0,)))


def test_the_latency_is_the_sum_over_the_operators_and_the_overheads() -> None:
    prediction = predict_latency(conv(), profile())
    # conv: 216/1e6 + 108/1e6 + 12/1e5 + 1e-5 = 454 us; softmax: 12/1e5 + 1e-5 = 130 us; inference: 20 us
    assert [op.latency_ms for op in prediction.operators] == pytest.approx([0.454, 0.130])
    assert [op.bound for op in prediction.operators] == ["compute", "compute"]
    assert prediction.figure is not None
    assert prediction.figure.value == pytest.approx(0.604)
    assert (prediction.figure.unit, prediction.figure.provenance, prediction.figure.level) == ("ms", "predicted", 0.9)


def test_the_interval_is_the_stated_factor_both_ways() -> None:
    figure = predict_latency(conv(), profile()).figure
    assert figure is not None
    assert figure.interval == pytest.approx((0.302, 1.208))
    assert "factor 2" in figure.method


def test_outside_the_validated_range_the_factor_is_squared_and_said_so() -> None:
    prediction = predict_latency(conv(), profile(**{"[1,__1000000]": "[1000, 1000000]"}))
    assert prediction.widened
    assert prediction.figure is not None
    assert prediction.figure.interval == pytest.approx((0.151, 2.416))
    assert "outside the validated range" in prediction.figure.method


def test_an_operator_that_moves_more_than_it_computes_is_bound_by_memory() -> None:
    slow = profile(**{"bandwidth_bytes_per_s:__{value:__4e8": "bandwidth_bytes_per_s: {value: 1e6"})
    prediction = predict_latency(conv(), slow)
    # conv: 128 in + 48 out + 228 weights = 404 bytes: 404 us < 444 us; softmax: 96 bytes = 96 us < 120 us
    assert [op.bound for op in prediction.operators] == ["compute", "compute"]
    slower = profile(**{"bandwidth_bytes_per_s:__{value:__4e8": "bandwidth_bytes_per_s: {value: 1e5"})
    prediction = predict_latency(conv(), slower)
    assert [op.bound for op in prediction.operators] == ["memory", "memory"]
    assert [op.latency_ms for op in prediction.operators] == pytest.approx([4.05, 0.97])


def test_threads_divide_compute_and_not_the_overhead() -> None:
    four = profile(**{"cores:__{value:__1,": "cores: {value: 4,", "name:__tflm": "name: litert",
                      "threads:__1": "threads: 4",
                      "parallel_efficiency:__{value:__0": "parallel_efficiency: {value: 1"})
    assert [op.latency_ms for op in predict_latency(conv(), four).operators] == pytest.approx([0.121, 0.040])


def test_a_convolution_without_stated_loops_costs_its_macs_alone() -> None:
    prediction = predict_latency(conv("INT8"), profile())
    assert prediction.operators[0].latency_ms == pytest.approx(216 / 1e8 * 1e3 + 0.01)
    assert prediction.operators[0].bound == "overhead"


@pytest.mark.parametrize(("workload", "words"), [
    (lambda: conv("INT16"), "operator 0 (CONV_2D): the profile states no throughput for conv in int16x8 arithmetic"),
    (lambda: conv("UINT8"), "no throughput for conv in uint8 arithmetic"),
    (lambda: read_workload(conv_model(np.ones((3, 3, 3, 2), np.int8), "FLOAT32", scales=(1.0,), zero_points=(0,))),
     "no throughput for conv in hybrid arithmetic"),
    (lambda: odd("CUSTOM", "MyOp"), "operator 0 (CUSTOM 'MyOp'): its cost is not known"),
    (lambda: odd("HASHTABLE"), "operator 0 (HASHTABLE): its cost is not known"),
    (lambda: odd("RELU"), "no throughput for elementwise in float32 arithmetic"),
    (lambda: odd("WHILE"), "control flow"),
])
def test_what_the_profile_does_not_state_gives_a_reason_and_no_number(workload: object, words: str) -> None:
    prediction = predict_latency(workload(), profile())  # type: ignore[operator]
    assert prediction.figure is None
    assert prediction.operators == ()
    assert words in prediction.reason


def odd(name: str, custom: str = "", dtype: str = "FLOAT32") -> Workload:
    made = Handmade()
    a, b = made.activation((1, 4), dtype), made.activation((1, 4), dtype)
    made.operator(name, [a], [b], custom=custom)
    return read_workload(made.bytes([a], [b]))


def test_work_on_shapes_goes_at_the_slowest_stated_rate() -> None:
    # four int32 elements at the slower of the two rates for copies, 1e5 a second
    prediction = predict_latency(odd("PACK", dtype="INT32"), profile())
    assert prediction.operators[0].latency_ms == pytest.approx(4 / 1e5 * 1e3 + 0.01)


def test_a_view_costs_the_call_alone() -> None:
    assert predict_latency(odd("RESHAPE"), profile()).operators[0].latency_ms == pytest.approx(0.01)


@pytest.mark.parametrize(("engine", "latency_ms"), [("tflm", 0.01), ("litert", 0.0)])
def test_an_operator_on_constants_costs_nothing_in_an_engine_that_runs_it_once(engine: str, latency_ms: float) -> None:
    made = Handmade()
    stored, unpacked = made.constant(np.ones(4, np.float16)), made.activation((4,))
    made.operator("DEQUANTIZE", [stored], [unpacked])
    board = profile(**{"name:__tflm": f"name: {engine}"})
    prediction = predict_latency(read_workload(made.bytes([], [unpacked])), board)
    assert prediction.operators[0].latency_ms == pytest.approx(latency_ms)


def test_a_measured_profile_is_not_predicted() -> None:
    prediction = predict_latency(conv(), load_profile("cpu"))
    assert (prediction.figure, prediction.reason) == (None, "profile 'cpu' is measured, not predicted")


def test_energy_is_power_times_latency_with_the_same_spread() -> None:
    board = profile(**{"threads:__1\n": "threads: 1\nactive_power_w: {value: 0.04, source: the datasheet}\n"})
    latency = Figure(value=10, unit="ms", provenance="measured", interval=(9, 12), level=0.95)
    energy = predict_energy(board, latency)
    assert energy is not None
    # 0.04 W x 10 ms = 0.4 mJ
    assert (energy.value, energy.interval, energy.unit, energy.level) == (pytest.approx(400), (360, 480), "uJ", 0.95)
    assert (energy.provenance, energy.method) == ("predicted", "0.04 W times the measured latency")


@pytest.mark.parametrize(("latency", "power"), [
    (None, True), (Figure(value=1, unit="ms", provenance="measured"), False)])
def test_without_a_latency_or_a_power_there_is_no_energy(latency: Figure | None, power: bool) -> None:
    assert predict_energy(load_profile("iot") if power else profile(), latency) is None


def test_a_prediction_takes_less_than_50_ms() -> None:
    made = Handmade()
    tensors = [made.activation((1, 8, 8, 8)) for _ in range(301)]
    kernel = made.constant(np.ones((8, 3, 3, 8), np.float32))
    for left, right in pairwise(tensors):
        made.operator("CONV_2D", [left, kernel], [right])
    workload = read_workload(made.bytes([tensors[0]], [tensors[-1]]))
    board = load_profile("iot")
    start = time.process_time()  # of this process: other load on the machine is none of the predictor's
    assert len(predict_latency(workload, board).operators) == 300
    assert time.process_time() - start < 0.05


@pytest.mark.parametrize(("name", "number_format", "published_ms"), [
    # github.com/Black3rror/EdgeMark, Experiments.xlsx, "TFLM + STM": CNN_4, 120 MHz, -O3
    ("iot", "float32", 179.914), ("iot", "int8", 40.1088),
])
def test_a_published_latency_lies_inside_the_interval(name: str, number_format: str, published_ms: float) -> None:
    """EdgeMark CNN_4: 28x28x1, five 3x3 convolutions (8, 8/2, 16, 16/2, 32), average, dense 64-16-10."""
    dtype, kind = ("FLOAT32", np.float32) if number_format == "float32" else ("INT8", np.int8)
    scales = () if dtype == "FLOAT32" else (1.0,)
    made = Handmade()
    last, side, width = made.activation((1, 28, 28, 1), dtype), 28, 1
    for channels, stride in ((8, 1), (8, 2), (16, 1), (16, 2), (32, 1)):
        kernel = made.constant(np.ones((channels, 3, 3, width), kind), scales, (0,) * len(scales))
        side, width = side // stride, channels
        out = made.activation((1, side, side, channels), dtype)
        made.operator("CONV_2D", [last, kernel], [out], "Conv2DOptions")
        last = out
    out = made.activation((1, 32), dtype)
    made.operator("MEAN", [last, made.constant(np.array([1, 2], np.int32))], [out])
    for units in (64, 16, 10):
        last, kernel = out, made.constant(np.ones((units, made.graph.tensors[out].shape[1]), kind), scales,
                                          (0,) * len(scales))
        out = made.activation((1, units), dtype)
        made.operator("FULLY_CONNECTED", [last, kernel], [out])
    workload = read_workload(made.bytes([0], [out]))
    assert workload.macs == 737_056
    figure = predict_latency(workload, load_profile(name)).figure
    assert figure is not None
    assert figure.interval is not None
    assert figure.interval[0] < published_ms < figure.interval[1]


def test_the_profile_files_are_package_data() -> None:
    text = (Path(__file__).parents[2] / "setup.cfg").read_text()
    assert "device_profiles = profiles/*.yaml" in text


def test_a_calibrated_profile_without_a_power_takes_what_was_published_for_its_device() -> None:
    text = GOOD[:GOOD.index("latency:")] + "latency: {kind: calibrated, device: nucleo-l4r5zi}\n"
    board = loads(text, Profile, "board.yaml")
    latency = Figure(value=10.0, unit="ms", provenance="predicted", interval=(8.0, 12.0), level=0.8)
    energy = predict_energy(board, latency)
    assert energy is not None
    # MLPerf Tiny's submissions on this board draw 33 to 78 mW at the chip's rail
    assert 330 < energy.value < 780
    assert energy.interval is not None
    assert energy.interval[1] / energy.value > 1.2
    assert "the chip's supply rail" in energy.method


def test_a_calibrated_profile_of_a_device_without_published_power_has_no_energy() -> None:
    board = loads(GOOD[:GOOD.index("latency:")] + "latency: {kind: calibrated}\n", Profile, "b.yaml")
    assert predict_energy(board, Figure(value=10.0, unit="ms", provenance="predicted")) is None
