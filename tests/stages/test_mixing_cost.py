"""What formats cost: bytes as they are stored, milliseconds as a profile predicts them, conversions between types."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.errors import StageError
from device_profiles.loader import load_profile
from device_profiles.predictor import Prediction, predict_latency
from device_profiles.schema import Profile
from device_profiles.workload import Workload, read_workload
from stages.mixing import cost
from stages.mixing.cost import CONVERSION_BYTES, Costs, weight_bytes
from stages.mixing.layout import read_layout

RATES = Path(__file__).parents[2] / "benchmarks" / "roofline" / "iot.yaml"
ALL = ("float32", "dynamic", "int8", "int16x8", "int4")


def test_bytes_are_counted_as_they_are_stored(tiny_tflites: dict[str, bytes]) -> None:
    """4 channels of 3x3x2 weights: 72 weights, 4 biases; two scales of 4 bytes a channel, and a zero point of 8."""
    node = read_layout(tiny_tflites["float32"], ALL).nodes[1]
    assert weight_bytes(node, "float32") == 4 * 72 + 4 * 4
    assert weight_bytes(node, "int8") == 72 + 4 * 4 + 16 * 4
    assert weight_bytes(node, "int4") == 36 + 4 * 4 + 16 * 4
    assert weight_bytes(node, "int16x8") == 72 + 8 * 4 + 16 * 4
    assert weight_bytes(node, "dynamic") == 72 + 4 * 4 + 12 * 4


def test_a_conversion_costs_bytes_or_time_and_tflite_runtime_lacks_one(tiny_tflites: dict[str, bytes]) -> None:
    content = tiny_tflites["float32"]
    layout = read_layout(content, ALL)
    by_bytes = Costs(content, layout, None, "litert").links()[0].costs
    assert set(by_bytes.values()) == {float(CONVERSION_BYTES)}
    assert ("int8", "int16") in by_bytes
    assert ("int8", "int16") not in Costs(content, layout, None, "tflite-runtime").links()[0].costs
    iot = load_profile("iot")
    in_time = Costs(content, layout, iot, "tflm").links()[0].costs
    assert in_time["float32", "int8"] > 0


def test_milliseconds_of_a_layer_follow_its_arithmetic(tiny_tflites: dict[str, bytes]) -> None:
    content = tiny_tflites["float32"]
    layout = read_layout(content, ALL)
    costs = {choice.format: choice.cost for choice in
             Costs(content, layout, load_profile("iot"), "tflm").choices(1, ("float32", "int8", "int4"), {})}
    assert costs["int8"] < costs["float32"]
    assert costs["int4"] == pytest.approx(costs["int8"], rel=0.05)


def test_a_layer_that_is_too_small_alone_is_priced_beside_the_rest(tiny_tflites: dict[str, bytes],
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def only_whole_models(workload: Workload, profile: Profile) -> Prediction:
        asked.append(len(workload.operators))
        if len(workload.operators) == 1:
            return Prediction(figure=None, reason="too small")
        return predict_latency(workload, profile)

    content, iot = tiny_tflites["float32"], load_profile("iot")
    layout = read_layout(content, ALL)
    alone = Costs(content, layout, iot, "tflm").choices(1, ("int8",), {})
    monkeypatch.setattr(cost, "predict_latency", only_whole_models)
    beside = Costs(content, layout, iot, "tflm").choices(1, ("int8",), {})
    assert [choice.cost for choice in beside] == pytest.approx([choice.cost for choice in alone])
    assert set(asked) == {1, len(read_workload(content).operators) + 1}


def test_a_profile_that_is_measured_cannot_say_milliseconds(tiny_tflites: dict[str, bytes]) -> None:
    content = tiny_tflites["float32"]
    costs = Costs(content, read_layout(content, ALL), load_profile("cpu"), "litert")
    with pytest.raises(StageError, match=r"0:CONV_2D .*profile 'cpu' is measured, not predicted") as caught:
        costs.choices(1, ("int8",), {})
    assert "quantize.mixed.cost: bytes" in caught.value.next_step


def test_a_format_whose_speed_the_profile_does_not_state_is_not_offered(tiny_tflites: dict[str, bytes]) -> None:
    """These rates of a board know no depthwise convolution in int16x8."""
    content = tiny_tflites["float32"]
    layout = read_layout(content, ALL)
    costs = Costs(content, layout, load_profile(RATES), "tflm")
    offered = [[each.format for each in costs.choices(number, ("int8", "int16x8"), {})] for number in (1, 2)]
    assert offered == [["int8", "int16x8"], ["int8"]]
