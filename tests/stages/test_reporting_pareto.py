"""Fronts worked out by hand; a measured and a predicted cost never meet in one."""

from __future__ import annotations

import pytest

from device_profiles.records import Figure
from stages.reporting.assemble import build_report
from stages.reporting.pareto import all_fronts, pareto_front
from stages.reporting.record import Front
from tests.stages.sample_run import figure, heading, sources


@pytest.mark.parametrize(("points", "front"), [
    ([], []),
    ([(1, 1)], [0]),
    ([(3, 9), (1, 5), (2, 4), (4, 9)], [1, 0]),         # (2, 4) is beaten by (1, 5), (4, 9) by (3, 9)
    ([(1, 5), (1, 5), (1, 4)], [0, 1]),                  # equal points stay together
    ([(1, 1), (2, 2), (3, 3)], [0, 1, 2]),
    ([(3, 1), (2, 2), (1, 3)], [2])])
def test_only_points_that_nothing_beats_are_on_the_front(points: list[tuple[float, float]], front: list[int]) -> None:
    assert pareto_front(points) == front


def _fronts() -> tuple[Front, ...]:
    return build_report(sources(), heading()).fronts


def test_there_is_a_front_for_each_engine_and_each_predicted_profile() -> None:
    assert [(front.cost, front.engine, front.profile, front.provenance) for front in _fronts()] == [
        ("tflite_bytes", "litert", None, "measured"), ("tflite_bytes", "tflite-runtime", None, "measured"),
        ("tflite_bytes", "tflm", None, "measured"), ("latency", "litert", None, "measured"),
        ("latency", "tflite-runtime", None, "measured"), ("latency", "tflm", None, "measured"),
        ("latency", "litert", "mobile", "predicted"), ("latency", "tflm", "iot", "predicted")]


def test_the_bytes_front_of_the_made_up_run_is_int8_then_int8qat() -> None:
    # 26,480 bytes: int8 352 right, clustered 351, pruned 349. 26,912 bytes: int8qat 354, the most of all.
    assert _fronts()[0].front == ("int8", "int8qat")


def test_a_variant_without_a_point_says_why() -> None:
    assert _fronts()[2].missing["float16"].startswith("hybrid models are not supported")
    assert "float16" not in [point.variant for point in _fronts()[2].points]


def test_provenances_within_one_profile_are_kept_apart() -> None:
    report = build_report(sources(), heading())
    mobile = report.profiles["mobile"]
    measured: dict[str, Figure | None] = {"int8": figure(0.2, "ms")}
    mixed = mobile.model_copy(update={"latency": mobile.latency | measured})
    fronts = [front for front in all_fronts(report.variants, {"mobile": mixed}) if front.profile == "mobile"]
    assert {front.provenance: len(front.points) for front in fronts} == {"predicted": 8, "measured": 1}
    assert all(point.cost.provenance == front.provenance for front in fronts for point in front.points)
