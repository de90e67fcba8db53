"""YOLO: parameters to the last one and operations as Ultralytics and Darknet print them."""

from __future__ import annotations

import pytest

from device_profiles.errors import UsageError
from device_profiles.networks.catalog import network_workload

DISTANCE_BIAS = 1  # the convolution that takes the mean of a distribution has no bias; the tflite model holds a zero


@pytest.mark.parametrize(("variant", "parameters", "gflops"), [
    # docs.ultralytics.com, fused; an operation is half a MAC
    ("n", 3_151_904, 8.7), ("s", 11_156_544, 28.6), ("m", 25_886_080, 78.9), ("l", 43_668_288, 165.2),
    ("x", 68_200_608, 257.8),
])
def test_v8_has_the_published_parameters_and_operations(variant: str, parameters: int, gflops: float) -> None:
    work = network_workload(f"yolov8 variant={variant}".removesuffix(" variant=n"))
    assert work.parameters == parameters + DISTANCE_BIAS
    assert work.macs * 2 / 1e9 == pytest.approx(gflops, rel=0.006)
    assert work.outputs[0].shape == (1, 80 * 80 + 40 * 40 + 20 * 20, 4 + 80)


@pytest.mark.parametrize(("variant", "parameters", "gflops"), [
    # github.com/ultralytics/yolov5, fused
    ("n", 1_867_405, 4.5), ("s", 7_225_885, 16.5), ("m", 21_172_173, 49.0), ("l", 46_533_693, 109.1),
    ("x", 86_705_005, 205.7),
])
def test_v5_has_the_published_parameters_and_operations(variant: str, parameters: int, gflops: float) -> None:
    work = network_workload(f"yolov5 variant={variant}".removesuffix(" variant=n"))
    assert work.parameters == parameters
    assert work.macs * 2 / 1e9 == pytest.approx(gflops, rel=0.01)
    assert [use.shape[1:] for use in work.outputs] == [(80, 80, 255), (40, 40, 255), (20, 20, 255)]


def test_v5_with_the_head_of_v8_gives_boxes_and_scores_in_one() -> None:
    work, plain = network_workload("yolov5 decoupled=yes size=320"), network_workload("yolov5 size=320")
    assert work.outputs[0].shape == (1, 40 * 40 + 20 * 20 + 10 * 10, 84)
    assert work.parameters > plain.parameters


def test_v4_tiny_has_the_published_size() -> None:
    work = network_workload("yolov4_tiny")  # 6.9 thousand million operations, 6.05 million parameters
    assert (round(work.macs * 2 / 1e9, 1), round(work.parameters / 1e6, 2)) == (6.9, 6.05)
    assert [use.shape[1:] for use in work.outputs] == [(26, 26, 255), (13, 13, 255)]


def test_silu_is_two_operators_and_all_scores_go_through_one_more() -> None:
    names = [op.name for op in network_workload("yolov8 size=320").operators]
    assert names.count("LOGISTIC") == names.count("CONV_2D") - 7 + 1  # six heads and the means have none
    assert names.count("MUL") == names.count("LOGISTIC") - 1 + 2


def test_an_unknown_size_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match="'z' is no size of YOLO") as caught:
        network_workload("yolov8 variant=z")
    assert caught.value.allowed == "n, s, m, l, x"
